//! Records the draws of a run, and plays the draws of a tape.

use super::{Part, Tape, source};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What a draw gets that has no number on the tape.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Or {
    /// The smallest number of its range.
    Least,
    /// The largest number of its range.
    Most,
    /// This number.
    This(u64),
    /// Any number of its range, from the tape's seed.
    Any,
}

/// The state of a run that is recorded, or played from a tape. A run that is played is recorded, too: the record has only what was
/// used.
pub(crate) struct Deck(Mutex<Inner>);

struct Inner {
    seed: u64,
    /// The tape that is played.
    played: Option<Tape>,
    /// For each part of the tape that is played: the parts inside it, by label.
    within: Vec<BTreeMap<String, Vec<usize>>>,
    scenes: Vec<Scene>,
    /// The scene that is on.
    now: usize,
    key: String,
}

/// A part of the record.
#[derive(Default)]
struct Scene {
    label: &'static str,
    inner: Vec<usize>,
    draws: BTreeMap<String, Vec<u64>>,
    /// The part that it plays.
    plays: usize,
    /// How many parts of each label have begun inside it.
    begun: BTreeMap<&'static str, usize>,
}

impl Deck {
    /// The scheduler's draw of which zero does not mean the same as no number.
    pub const YIELD: &str = "yield";

    /// Records a run.
    pub fn recording(seed: u64) -> Deck {
        Deck::new(seed, None)
    }

    /// Plays a tape.
    pub fn playing(tape: Tape) -> Deck {
        Deck::new(tape.seed, Some(tape))
    }

    fn new(seed: u64, played: Option<Tape>) -> Deck {
        let within = played.as_ref().map(within).unwrap_or_default();
        let whole = Scene { label: "run", ..Scene::default() };
        let (scenes, key) = (vec![whole], String::new());
        Deck(Mutex::new(Inner { seed, played, within, scenes, now: 0, key }))
    }

    /// A number in `range`. If a run is only recorded, `seeded` draws it. `write` writes the draw's key.
    pub fn draw(
        &self,
        write: impl FnOnce(&mut String),
        range: RangeInclusive<u64>,
        or: Or,
        seeded: impl FnOnce() -> u64,
    ) -> u64 {
        let inner = &mut *self.0.lock();
        inner.key.clear();
        write(&mut inner.key);
        let number = match inner.played {
            None => seeded(),
            Some(_) => inner.play(&range, or, seeded),
        };
        let draws = &mut inner.scenes[inner.now].draws;
        match draws.get_mut(&inner.key) {
            Some(list) => list.push(number),
            None => _ = draws.insert(inner.key.clone(), vec![number]),
        }
        number
    }

    /// Begins a part. Returns the part that was on before, or `None` if the tape leaves the new part out.
    pub fn begin(&self, label: &'static str) -> Option<usize> {
        let inner = &mut *self.0.lock();
        let plays = match inner.played {
            None => 0,
            Some(_) => inner.next(label)?,
        };
        let (before, new) = (inner.now, inner.scenes.len());
        let outer = &mut inner.scenes[before];
        *outer.begun.entry(label).or_default() += 1;
        outer.inner.push(new);
        inner.scenes.push(Scene { label, plays, ..Scene::default() });
        inner.now = new;
        Some(before)
    }

    /// Ends a part: the part `before` is on again.
    pub fn end(&self, before: usize) {
        self.0.lock().now = before;
    }

    /// Whether the tape has another part of this label inside the present one. If a run is only recorded, there is always one.
    pub fn more(&self, label: &'static str) -> bool {
        let inner = self.0.lock();
        inner.played.is_none() || inner.next(label).is_some()
    }

    /// What was drawn.
    pub fn tape(&self) -> Tape {
        let inner = &mut *self.0.lock();
        let mut parts = Vec::new();
        let mut left = vec![(0, 0)];
        while let Some((number, depth)) = left.pop() {
            let scene = &mut inner.scenes[number];
            let mut draws = std::mem::take(&mut scene.draws);
            draws.iter_mut().for_each(|(key, numbers)| shorten(key, numbers));
            draws.retain(|_, numbers| !numbers.is_empty());
            parts.push(Part { depth, label: scene.label.into(), draws });
            left.extend(scene.inner.iter().rev().map(|inner| (*inner, depth + 1)));
        }
        Tape { seed: inner.seed, noisy: false, parts }
    }
}

/// The end of a list of the scheduler has many zeros, which mean the same as no number.
fn shorten(key: &str, numbers: &mut Vec<u64>) {
    if key.starts_with(source::SCHEDULER) && !key.ends_with(Deck::YIELD) {
        let length = numbers.iter().rposition(|number| *number != 0).map_or(0, |last| last + 1);
        numbers.truncate(length);
    }
}

impl Inner {
    fn play(&self, range: &RangeInclusive<u64>, or: Or, seeded: impl FnOnce() -> u64) -> u64 {
        let scene = &self.scenes[self.now];
        let (least, most) = (*range.start(), *range.end());
        let drawn = scene.draws.get(&self.key).map_or(0, Vec::len);
        let list = self.played.as_ref().and_then(|tape| tape.parts.get(scene.plays));
        let number = list.and_then(|part| part.draws.get(&self.key)?.get(drawn)).copied();
        let number = number.unwrap_or_else(|| match or {
            Or::Least | Or::Most | Or::This(_) if self.is_noisy() => seeded(),
            Or::Least => least,
            Or::Most => most,
            Or::This(number) => number,
            Or::Any => {
                let place = [self.seed, self.now as u64, drawn as u64];
                let key = self.key.bytes().map(u64::from);
                let hash = place.into_iter().chain(key).fold(0, fold);
                Pcg64::seed_from_u64(hash).random_range(range.clone())
            }
        });
        number.clamp(least, most)
    }

    /// Whether draws of the network and the scheduler without a number are random. An option is a draw of the tester.
    fn is_noisy(&self) -> bool {
        let noisy = self.played.as_ref().is_some_and(|tape| tape.noisy);
        noisy && !self.key.starts_with(source::OPTION)
    }

    /// The part that the next part of this label plays.
    fn next(&self, label: &str) -> Option<usize> {
        let scene = &self.scenes[self.now];
        let begun = scene.begun.get(label).copied().unwrap_or(0);
        self.within.get(scene.plays)?.get(label)?.get(begun).copied()
    }
}

/// One step of a hash that is the same on every machine.
fn fold(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(5) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// For each part: the parts inside it, by label.
fn within(tape: &Tape) -> Vec<BTreeMap<String, Vec<usize>>> {
    let mut within = vec![BTreeMap::<String, Vec<usize>>::new(); tape.parts.len()];
    let mut open: Vec<usize> = Vec::new();
    for (number, part) in tape.parts.iter().enumerate() {
        open.truncate(part.depth);
        if let Some(&outer) = open.last() {
            within[outer].entry(part.label.clone()).or_default().push(number);
        }
        open.push(number);
    }
    within
}
