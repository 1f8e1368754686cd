//! How long to look for an order, and how much to remember on the way.

use labrpc::time::{Duration, Instant};

/// How long to look for an order.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// Until it is found, or certain that there is none.
    None,
    /// So many steps. The same history has the same verdict on every machine.
    Steps(u64),
    /// So long, on the wall clock. Not for simulated runs, which must replay.
    Time(Duration),
}

/// What a check may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long to look.
    pub limit: Limit,
    /// How many bytes a search may fill with what it has tried. One that would need more ends undecided.
    pub memory: usize,
}

/// What a search may fill unless it is told otherwise: 256 MiB.
pub const MEMORY: usize = 256 << 20;

impl From<Limit> for Bounds {
    fn from(limit: Limit) -> Bounds {
        Bounds { limit, memory: MEMORY }
    }
}

/// What a search remembers of a try takes about this many bytes.
const A_TRY: usize = 48;

/// How much of the bounds is left.
pub struct Budget {
    steps: u64,
    end: Option<Instant>,
    tries: usize,
}

/// How many steps go by between two looks at the clock.
const LOOK_EVERY: u64 = 1024;

impl Budget {
    /// All of it.
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

    /// Takes so many steps, or what is left.
    pub fn part(&mut self, steps: u64) -> Budget {
        let steps = steps.min(self.steps);
        self.steps -= steps;
        Budget { steps, end: self.end, tries: self.tries }
    }

    /// Half of the steps that are left, and at most so many.
    pub fn half(&mut self, most: u64) -> Budget {
        self.part(most.min(self.steps / 2))
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.steps == 0
    }

    /// Whether a search that remembers so many tries has filled its memory.
    pub fn is_full(&self, tries: usize) -> bool {
        tries >= self.tries
    }

    /// Puts back what is left of a part.
    pub fn put_back(&mut self, part: Budget) {
        self.steps += part.steps;
    }

    /// Takes a step, if there is one left.
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
