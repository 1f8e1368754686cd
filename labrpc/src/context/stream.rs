//! A stream of random numbers that is the same on every machine.

use super::with_here;
use crate::sched::mix;
use crate::tape::{Deck, Or, source};
use parking_lot::Mutex;
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// The random numbers of one user, from a generator that gives the same numbers on every machine.
///
/// Every draw (a random number that is consumed) has a label, which becomes part of the run's fingerprint.
pub struct Stream {
    state: Mutex<(Pcg64, u64)>,
    /// The tape, in a run that has one, and the word with which the keys of this stream begin.
    tape: Option<(Arc<Deck>, &'static str)>,
}

/// A stream, and what its next draws are about. On a tape, draws about different things are in different lists.
pub(crate) struct Draws<'a> {
    stream: &'a Stream,
    about: String,
}

impl Stream {
    /// Stream number `which` of `seed`.
    pub fn new(seed: u64, which: u64) -> Stream {
        let mixed = seed.wrapping_add(which.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Stream { state: Mutex::new((Pcg64::seed_from_u64(mixed), which)), tape: None }
    }

    /// The same stream, with a tape. The keys of its draws begin with `source`.
    pub(crate) fn on_tape(self, tape: Option<&Arc<Deck>>, source: &'static str) -> Stream {
        Stream { tape: tape.map(|deck| (deck.clone(), source)), ..self }
    }

    /// A random number in `range`.
    ///
    /// # Panics
    /// If the range is empty.
    pub fn range(&self, label: &'static str, range: Range<u64>) -> u64 {
        self.draw("", label, range, Or::Any)
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

    /// Does `f`, as a [part](crate::tape) of the run that a tape may leave out. Returns `None` if it was left out. Without a tape,
    /// this only does `f`.
    pub fn part<R>(&self, label: &'static str, f: impl FnOnce() -> R) -> Option<R> {
        let Some((deck, _)) = &self.tape else { return Some(f()) };
        let before = deck.begin(label)?;
        resync();
        let value = f();
        deck.end(before);
        resync();
        Some(value)
    }

    /// Whether a loop whose rounds are [parts](Stream::part) of this label may go on. With a tape it ends with the last of these
    /// parts: a round that is left out takes no time, so a loop that waits for a time would never end. Without a tape, this is
    /// true.
    pub fn more(&self, label: &'static str) -> bool {
        self.tape.as_ref().is_none_or(|(deck, _)| deck.more(label))
    }

    /// Whether to do something that a tape may leave out. Without a tape, this is true.
    pub fn optional(&self, label: &'static str) -> bool {
        let Some((deck, _)) = &self.tape else { return true };
        let write = |key: &mut String| _ = write!(key, "{} {label}", source::OPTION);
        deck.draw(write, 0..=1, Or::Least, || 1) == 1
    }

    /// The same stream for draws about something.
    pub(crate) fn about(&self, what: impl FnOnce() -> String) -> Draws<'_> {
        let about = if self.tape.is_some() { what() } else { String::new() };
        Draws { stream: self, about }
    }

    fn draw(&self, about: &str, label: &'static str, range: Range<u64>, or: Or) -> u64 {
        let mut state = self.state.lock();
        let drawn = match &self.tape {
            None => state.0.random_range(range),
            Some((deck, source)) => {
                assert!(!range.is_empty(), "a draw needs a range that is not empty");
                let write = |key: &mut String| {
                    let about = if about.is_empty() { "" } else { &format!("{about} ") };
                    _ = write!(key, "{source} {about}{label}");
                };
                let all = range.start..=range.end - 1;
                deck.draw(write, all, or, || state.0.random_range(range))
            }
        };
        let label = label.bytes().fold(0, |hash, byte| mix(hash, u64::from(byte)));
        state.1 = mix(mix(state.1, label), drawn);
        drawn
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        self.state.lock().1
    }

    /// A random number below 2^32, without a label.
    pub(crate) fn next_u32(&self) -> u32 {
        self.unlabelled(u64::from(u32::MAX), |rng| u64::from(rng.next_u32())) as u32
    }

    /// A random number below 2^64, without a label.
    pub(crate) fn next_u64(&self) -> u64 {
        self.unlabelled(u64::MAX, |rng| rng.next_u64())
    }

    /// Random bytes, without a label.
    pub(crate) fn fill_bytes(&self, bytes: &mut [u8]) {
        let mut state = self.state.lock();
        state.1 = mix(state.1, 1);
        state.0.fill_bytes(bytes);
        if let Some((deck, source)) = &self.tape {
            for piece in bytes.chunks_mut(size_of::<u64>()) {
                let mut word = [0; size_of::<u64>()];
                word[..piece.len()].copy_from_slice(piece);
                let write = |key: &mut String| write_who(key, source);
                let drawn = || u64::from_le_bytes(word);
                let number = deck.draw(write, 0..=u64::MAX, Or::Any, drawn);
                piece.copy_from_slice(&number.to_le_bytes()[..piece.len()]);
            }
        }
    }

    fn unlabelled(&self, most: u64, f: impl FnOnce(&mut Pcg64) -> u64) -> u64 {
        let mut state = self.state.lock();
        state.1 = mix(state.1, 1);
        match &self.tape {
            None => f(&mut state.0),
            Some((deck, source)) => {
                let write = |key: &mut String| write_who(key, source);
                deck.draw(write, 0..=most, Or::Any, || f(&mut state.0))
            }
        }
    }
}

/// Writes a key for the current thread's server.
fn write_who(key: &mut String, source: &str) {
    with_here(|here| _ = write!(key, "{source} {}", here.group.name()));
}

/// Lets the scheduler begin or end a part, too.
fn resync() {
    with_here(|here| {
        if let Some(sched) = &here.world.sched {
            sched.resync();
        }
    });
}

impl Draws<'_> {
    /// See [`Stream::range`].
    pub fn range(&self, label: &'static str, range: Range<u64>) -> u64 {
        self.stream.draw(&self.about, label, range, Or::Least)
    }

    /// See [`Stream::below`].
    pub fn below(&self, label: &'static str, n: u64) -> u64 {
        self.range(label, 0..n)
    }

    /// See [`Stream::chance`].
    pub fn chance(&self, label: &'static str, numerator: u64, denominator: u64) -> bool {
        self.stream.draw(&self.about, label, 0..denominator, Or::Most) < numerator
    }

    /// See [`Stream::millis`].
    pub fn millis(&self, label: &'static str, range: Range<u64>) -> Duration {
        Duration::from_millis(self.range(label, range))
    }

    /// Like [`millis`](Draws::millis), but any number if the tape has none.
    pub fn any_millis(&self, label: &'static str, range: Range<u64>) -> Duration {
        Duration::from_millis(self.stream.draw(&self.about, label, range, Or::Any))
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
