//! The search: which edits are tried, and in which order.

use super::same::Same;
use super::size::{Meter, Size};
use super::{Bounds, Run};
use crate::runner::Choices;
use labrpc::run::Backend;
use labrpc::tape::Tape;
use labrpc::time::{Duration, Instant};

/// A run that is tried may be longer than the best one in time and events, because it may have fewer messages. It may be this many
/// times as long.
const LONGER: u32 = 2;

/// The best tape so far, and what the search may still do.
pub(super) struct Search<'a> {
    run: Run<'a>,
    same: Same,
    bounds: Bounds,
    began: Instant,
    best: (Tape, Size),
    runs: u32,
    stopped_early: bool,
    progress: &'a mut dyn FnMut(u32, Size),
}

impl<'a> Search<'a> {
    pub fn new(
        run: Run<'a>,
        same: Same,
        bounds: Bounds,
        began: Instant,
        tape: Tape,
        size: Size,
        progress: &'a mut dyn FnMut(u32, Size),
    ) -> Search<'a> {
        let (best, runs, stopped_early) = ((tape, size), 0, false);
        Search { run, same, bounds, began, best, runs, stopped_early, progress }
    }

    /// The best tape, its size, the number of runs, and whether the search was stopped early.
    pub fn found(&self) -> (Tape, Size, u32, bool) {
        (self.best.0.clone(), self.best.1, self.runs, self.stopped_early)
    }

    pub fn same(&self) -> &Same {
        &self.same
    }

    /// The best tape so far.
    pub fn tape(&self) -> &Tape {
        &self.best.0
    }

    /// Whether the search must stop.
    pub fn is_over(&mut self) -> bool {
        if self.bounds.within.is_some_and(|within| self.began.elapsed() >= within) {
            self.stopped_early |= self.runs < self.bounds.runs;
            return true;
        }
        self.runs >= self.bounds.runs
    }

    /// Tries a tape. Keeps it if its run fails in the same way and is shorter.
    pub fn try_out(&mut self, tape: &Tape) -> bool {
        if *tape == self.best.0 || self.is_over() {
            return false;
        }
        let best = self.best.1;
        let found = self.play(tape, best);
        let Some(found) = found.filter(|found| self.is_better(found)) else { return false };
        self.best = found;
        true
    }

    /// Tries a tape, and keeps it also if its run is somewhat longer: up to `times` as many messages.
    pub fn try_at_any_rate(&mut self, tape: &Tape, times: u64) -> bool {
        if *tape == self.best.0 || self.is_over() {
            return false;
        }
        let Size { messages, events, time } = self.best.1;
        let (messages, events) = (messages.saturating_mul(times), events.saturating_mul(times));
        let found = self.play(tape, Size { messages, events, time });
        found.map(|found| self.best = found).is_some()
    }

    /// Plays a tape. Returns the tape with only what was used, if the run fails in the same way.
    fn play(&mut self, tape: &Tape, most: Size) -> Option<(Tape, Size)> {
        self.runs += 1;
        (self.progress)(self.runs, self.best.1);
        let events = most.events.saturating_mul(u64::from(LONGER)).saturating_add(100);
        let time = most.time.saturating_mul(LONGER).saturating_add(Duration::from_secs(1));
        let meter = Meter::up_to(Size { messages: most.messages, events, time });
        let (report, size) = self.run.measured(Choices::Tape(tape), Backend::Coroutines, meter);
        let used = report.tape.filter(|_| self.same.as_in(&report.result))?;
        Some((*used, size))
    }

    fn is_better(&self, (tape, size): &(Tape, Size)) -> bool {
        let measure = |tape: &Tape, size: Size| (size, tape.parts.len(), tape.len());
        measure(tape, *size) < measure(&self.best.0, self.best.1)
    }

    /// Makes the tape shorter until nothing helps, or until the search must stop.
    pub fn run(&mut self) {
        self.calm_down();
        loop {
            let before = self.runs;
            let size = self.best.1;
            self.leave_out_parts();
            self.leave_out_options();
            self.leave_out_draws();
            self.lower_draws();
            if self.is_over() || self.best.1 == size || self.runs == before {
                return;
            }
        }
    }
}
