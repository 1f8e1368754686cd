//! Seeded random numbers. Each user has a stream of its own. So if one user consumes one more random number, the numbers of the
//! others stay the same.

pub use ::rand::RngExt;

use crate::run;
use ::rand::{SeedableRng, TryRng};
use parking_lot::Mutex;
use rand_pcg::Pcg64;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;
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
        let label = label.bytes().fold(0, |hash, byte| run::mix(hash, u64::from(byte)));
        state.1 = run::mix(run::mix(state.1, label), drawn);
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
}

/// The random number generator for Rafts and services. Inside a run it is seeded; outside, its seed comes from the system.
///
/// ```
/// use labrpc::rand::{RngExt, rng};
/// let timeout_ms = rng().random_range(400..800);
/// assert!((400..800).contains(&timeout_ms));
/// ```
pub fn rng() -> LabRng {
    LabRng(match run::here() {
        Some(here) => here.world.user.clone(),
        None => Arc::new(Stream::new(outside_seed(), 3)),
    })
}

/// The tester's random numbers (which server to crash, how long to wait).
pub fn tester() -> Arc<Stream> {
    run::here()
        .map_or_else(|| Arc::new(Stream::new(outside_seed(), 2)), |here| here.world.tester.clone())
}

/// The network's random numbers (which messages get lost, how late a message is).
pub(crate) fn network() -> Arc<Stream> {
    run::here()
        .map_or_else(|| Arc::new(Stream::new(outside_seed(), 1)), |here| here.world.network.clone())
}

/// Outside a run nothing is replayed, so the system may choose the seed.
fn outside_seed() -> u64 {
    ::rand::rngs::SysRng.try_next_u64().unwrap_or(1)
}

/// See [`rng`].
pub struct LabRng(Arc<Stream>);

impl LabRng {
    fn draw<T>(&mut self, f: impl FnOnce(&mut Pcg64) -> T) -> Result<T, Infallible> {
        let mut state = self.0.state.lock();
        state.1 = run::mix(state.1, 1);
        Ok(f(&mut state.0))
    }
}

impl TryRng for LabRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.draw(::rand::Rng::next_u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.draw(::rand::Rng::next_u64)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.draw(|rng| ::rand::Rng::fill_bytes(rng, bytes))
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
