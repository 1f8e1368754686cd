//! A stream of random numbers that is the same on every machine.

use crate::sched::mix;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::ops::Range;
use std::time::Duration;

/// The random numbers of one user, from a generator that gives the same numbers on every machine.
///
/// Every draw (a random number that is consumed) has a label, which becomes part of the run's fingerprint.
pub struct Stream {
    state: Mutex<(Pcg64, u64)>,
}

impl Stream {
    /// Stream number `which` of `seed`.
    pub fn new(seed: u64, which: u64) -> Stream {
        let mixed = seed.wrapping_add(which.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Stream { state: Mutex::new((Pcg64::seed_from_u64(mixed), which)) }
    }

    /// A random number in `range`.
    ///
    /// # Panics
    /// If the range is empty.
    pub fn range(&self, label: &'static str, range: Range<u64>) -> u64 {
        let mut state = self.state.lock();
        let drawn = state.0.random_range(range);
        let label = label.bytes().fold(0, |hash, byte| mix(hash, u64::from(byte)));
        state.1 = mix(mix(state.1, label), drawn);
        drawn
    }

    /// A random number below `n`.
    pub fn below(&self, label: &'static str, n: u64) -> u64 {
        self.range(label, 0..n)
    }

    /// True in `numerator` of `denominator` cases.
    pub fn chance(&self, label: &'static str, numerator: u64, denominator: u64) -> bool {
        self.below(label, denominator) < numerator
    }

    /// A random whole number of milliseconds in `range`.
    pub fn millis(&self, label: &'static str, range: Range<u64>) -> Duration {
        Duration::from_millis(self.range(label, range))
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        self.state.lock().1
    }

    /// Consumes random numbers that need no label.
    pub(crate) fn draw<T>(&self, f: impl FnOnce(&mut Pcg64) -> T) -> T {
        let mut state = self.state.lock();
        state.1 = mix(state.1, 1);
        f(&mut state.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_portable_and_independent() {
        let draws = |seed, which| {
            let stream = Stream::new(seed, which);
            (0..4).map(|_| stream.below("x", 1000)).collect::<Vec<_>>()
        };
        assert_eq!(draws(1, 1), [135, 399, 559, 313], "these numbers must never change");
        assert_eq!(draws(1, 1), draws(1, 1));
        assert_ne!(draws(1, 1), draws(1, 2));
        assert_ne!(draws(1, 1), draws(2, 1));
    }
}
