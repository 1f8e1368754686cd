//! The scheduler's random choices, which a tape may record or decide.

use super::{Core, Sched};
use crate::tape::{Deck, Or, source};
use rand::RngExt;
use rand_pcg::Pcg64;
use std::fmt::Write;
use std::ops::Range;
use std::time::Duration;

/// On average, one in this many yield points yields.
const YIELD_ONE_IN: u32 = 16;

/// With a tape that says nothing else, a thread passes this many yield points before it yields. It must yield at some time: it may
/// wait for another thread in a loop.
const UNTAPED_YIELD: u64 = 1000;

/// Whether and how long a task pauses.
pub(crate) struct Dice<'a> {
    rng: &'a mut Pcg64,
    tape: Option<&'a Deck>,
    title: &'a str,
}

impl Dice<'_> {
    /// A pause that lasts a time from this range, in one of `one_in` cases.
    pub fn pause(self, one_in: u32, lasting: &Range<Duration>) -> Option<Duration> {
        let Dice { rng, tape, title } = self;
        let mut seeded =
            || (rng.random_range(0..one_in) == 0).then(|| rng.random_range(lasting.clone()));
        let Some(deck) = tape else { return seeded() };
        // 0 means no pause.
        let code = |pause: Duration| pause.as_nanos() as u64 + 1;
        let write = |key: &mut String| _ = write!(key, "{} pause {title}", source::SCHEDULER);
        let all = 0..=code(lasting.end) - 1;
        let drawn = deck.draw(write, all, Or::This(0), || seeded().map_or(0, code));
        let lasts = Duration::from_nanos(drawn.checked_sub(1)?);
        Some(lasts.max(lasting.start))
    }
}

/// How many yield points to pass before the next yield.
pub(super) fn until_yield(rng: &mut Pcg64, tape: Option<&Deck>) -> u32 {
    let mut seeded = || rng.random_range(0..2 * YIELD_ONE_IN);
    match tape {
        None => seeded(),
        Some(deck) => taped_yield(deck, seeded),
    }
}

fn taped_yield(deck: &Deck, seeded: impl FnOnce() -> u32) -> u32 {
    let write = |key: &mut String| _ = write!(key, "{} {}", source::SCHEDULER, Deck::YIELD);
    let all = 0..=u64::from(u32::MAX);
    deck.draw(write, all, Or::This(UNTAPED_YIELD), || u64::from(seeded())) as u32
}

impl Sched {
    /// A part of the tape begins or ends. The yield points that are left until the next yield belong to the part that is on now, so
    /// that it does not depend on the part before it.
    pub fn resync(&self) {
        let core = &mut *self.core.lock();
        if let Some(deck) = &core.tape {
            core.until_yield = taped_yield(deck, || core.until_yield);
        }
    }
}

impl Core {
    pub(super) fn draw_until_yield(&mut self) {
        self.until_yield = until_yield(&mut self.rng, self.tape.as_deref());
    }

    /// A number below `n`, for a choice of this name.
    pub(super) fn any_of(&mut self, name: &str, n: usize) -> usize {
        let mut seeded = || self.rng.random_range(0..n);
        let Some(deck) = &self.tape else { return seeded() };
        let write = |key: &mut String| _ = write!(key, "{} {name}", source::SCHEDULER);
        deck.draw(write, 0..=n as u64 - 1, Or::This(0), || seeded() as u64) as usize
    }

    /// Makes a task ready to run.
    pub(super) fn make_ready(&mut self, id: u64) {
        self.ready.push(id);
        if self.tape.is_some() {
            self.queued += 1;
            if let Some(slot) = self.tasks.get_mut(&id) {
                slot.queued = self.queued;
            }
        }
    }

    /// Takes the task that runs next from those that are ready.
    pub(super) fn take_ready(&mut self) -> Option<u64> {
        let which = match self.ready.len() {
            0 => return None,
            1 => 0,
            // The oldest task ends first. A server's threads are older than the tester's thread that drops the server last and may
            // wait to join them.
            n if self.ending => (0..n).min_by_key(|&at| self.ready[at])?,
            n => self.pick_one(n),
        };
        Some(self.ready.swap_remove(which))
    }

    /// The place in `ready` of the task that runs next, of `n` tasks. A tape counts tasks by how long they have been ready: 0 is
    /// the one that has waited longest.
    fn pick_one(&mut self, n: usize) -> usize {
        if self.tape.is_none() {
            return self.rng.random_range(0..n);
        }
        let queued = |at: &usize| self.tasks.get(&self.ready[*at]).map(|slot| slot.queued);
        let mut by_age: Vec<usize> = (0..n).collect();
        by_age.sort_by_key(queued);
        let Some(deck) = &self.tape else { return 0 };
        let write = |key: &mut String| _ = write!(key, "{} next", source::SCHEDULER);
        let rng = &mut self.rng;
        let seeded = || {
            let chosen = rng.random_range(0..n);
            by_age.iter().position(|at| *at == chosen).unwrap_or(0) as u64
        };
        by_age[deck.draw(write, 0..=n as u64 - 1, Or::This(0), seeded) as usize]
    }

    /// Lets `pause` decide whether a task pauses.
    pub(super) fn dice(
        &mut self,
        task: u64,
        pause: impl FnOnce(Dice<'_>) -> Option<Duration>,
    ) -> Option<Duration> {
        let title = self.tasks.get(&task).map_or("", |slot| &slot.title);
        pause(Dice { rng: &mut self.rng, tape: self.tape.as_deref(), title })
    }
}
