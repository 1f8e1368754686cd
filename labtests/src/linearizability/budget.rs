//! Limits the time of a search for an order, and the memory that it uses.

use labrpc::time::{Duration, Instant};

/// How long to search for an order.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// Until an order is found, or it is certain that there is none.
    None,
    /// This many steps. The same history then has the same verdict on every machine.
    Steps(u64),
    /// This long, on the wall clock. Not for simulated runs, which must be repeatable.
    Time(Duration),
}

/// How much time and memory a check may use.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long to search.
    pub limit: Limit,
    /// How many bytes a search may use to remember what it has tried. If a search needs more, it ends undecided.
    pub memory: usize,
}

/// The default memory bound: 256 MiB.
pub const MEMORY: usize = 256 << 20;

impl From<Limit> for Bounds {
    fn from(limit: Limit) -> Bounds {
        Bounds { limit, memory: MEMORY }
    }
}

/// About how many bytes a search needs to remember one try.
const A_TRY: usize = 48;

/// What is left of the bounds.
pub struct Budget {
    steps: u64,
    end: Option<Instant>,
    tries: usize,
}

/// How many steps are done between two looks at the clock.
const LOOK_EVERY: u64 = 1024;

impl Budget {
    /// The whole budget.
    pub fn new(bounds: impl Into<Bounds>) -> Budget {
        let Bounds { limit, memory } = bounds.into();
        let tries = memory / A_TRY;
        match limit {
            Limit::None => Budget { steps: u64::MAX, end: None, tries },
            Limit::Steps(steps) => Budget { steps, end: None, tries },
            Limit::Time(time) => {
                Budget { steps: u64::MAX, end: Some(Instant::now() + time), tries }
            }
        }
    }

    /// Takes this many steps out, or as many as are left.
    pub fn part(&mut self, steps: u64) -> Budget {
        let steps = steps.min(self.steps);
        self.steps -= steps;
        Budget { steps, end: self.end, tries: self.tries }
    }

    /// Takes half of the steps that are left, but at most `most`.
    pub fn half(&mut self, most: u64) -> Budget {
        self.part(most.min(self.steps / 2))
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.steps == 0
    }

    /// Whether a search that remembers this many tries has filled its memory.
    pub fn is_full(&self, tries: usize) -> bool {
        tries >= self.tries
    }

    /// Returns what is left of a part.
    pub fn put_back(&mut self, part: Budget) {
        self.steps += part.steps;
    }

    /// Uses one step, if one is left.
    pub fn spend(&mut self) -> bool {
        let late = |end| self.steps.is_multiple_of(LOOK_EVERY) && Instant::now() >= end;
        if self.end.is_some_and(late) {
            self.steps = 0;
        }
        let left = self.steps.checked_sub(1);
        self.steps = left.unwrap_or(0);
        left.is_some()
    }
}
