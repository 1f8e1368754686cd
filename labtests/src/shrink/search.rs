//! The search: which edits are tried, and in which order.

use super::same::Same;
use super::size::{Meter, Size};
use super::{Bounds, Run};
use crate::runner::Choices;
use crate::suites::LabTest;
use labrpc::run::Backend;
use labrpc::tape::Tape;
use labrpc::time::{Duration, Instant};
use std::ops::ControlFlow;

/// A run that is tried may be longer than the best one in time and events, because it may have fewer messages. It may be this many
/// times as long.
const LONGER: u32 = 2;

/// A run that fails in the same way.
#[derive(Clone)]
pub(super) struct Best {
    /// The test, on as many servers as the run has.
    pub test: &'static LabTest,
    pub tape: Tape,
    pub size: Size,
}

/// The first run on fewer servers may be this long, also if the seed's run is shorter. Most runs on few servers become much shorter.
const SMALL: Size = Size { messages: 1500, events: 10_000, time: Duration::from_secs(8) };

/// A run with so few messages must not become longer.
const FEW: u64 = 60;

/// The best run so far, and what the search may still do.
pub(super) struct Search<'a> {
    run: Run<'a>,
    same: Same,
    bounds: Bounds,
    began: Instant,
    best: Best,
    runs: u32,
    stopped_early: bool,
    progress: &'a mut dyn FnMut(u32, Size) -> ControlFlow<()>,
}

impl<'a> Search<'a> {
    pub fn new(
        run: Run<'a>,
        same: Same,
        bounds: Bounds,
        began: Instant,
        best: Best,
        progress: &'a mut dyn FnMut(u32, Size) -> ControlFlow<()>,
    ) -> Search<'a> {
        let (runs, stopped_early) = (0, false);
        Search { run, same, bounds, began, best, runs, stopped_early, progress }
    }

    /// The best run, the number of runs, and whether the search was stopped early.
    pub fn found(&self) -> (Best, u32, bool) {
        (self.best.clone(), self.runs, self.stopped_early)
    }

    pub fn same(&self) -> &Same {
        &self.same
    }

    /// The best tape so far.
    pub fn tape(&self) -> &Tape {
        &self.best.tape
    }

    /// How many servers the best run has.
    pub fn size(&self) -> usize {
        self.best.test.setup.servers
    }

    /// Whether the test may have fewer.
    pub fn fits_any_size(&self) -> bool {
        self.run.test.fits_any_size()
    }

    /// Whether the search must stop.
    pub fn is_over(&mut self) -> bool {
        let late = self.bounds.within.is_some_and(|within| self.began.elapsed() >= within);
        self.stopped_early |= late && self.runs < self.bounds.runs;
        self.stopped_early || self.runs >= self.bounds.runs
    }

    /// Tries a tape. Keeps it if its run fails in the same way and is shorter.
    pub fn try_out(&mut self, tape: &Tape) -> bool {
        if *tape == self.best.tape {
            return false;
        }
        let found = self.play(self.best.test, tape, self.best.size);
        self.keep(found.filter(|found| found.measure() < self.best.measure()))
    }

    /// Tries a tape on this number of servers. Keeps it if its run fails in the same way and has fewer messages; the first run on
    /// fewer servers may have more messages.
    pub fn try_small(&mut self, servers: usize, tape: &Tape) -> bool {
        let best = self.best.size;
        let fewer = servers < self.size() && best.messages > FEW;
        let most = Size {
            messages: best.messages.max(if fewer { SMALL.messages } else { 0 }),
            events: best.events.max(SMALL.events),
            time: best.time.max(SMALL.time),
        };
        let found = self.play(self.run.test.on(servers), tape, most);
        self.keep(found.filter(|found| fewer || found.size.messages < best.messages))
    }

    /// Tries a tape on this number of servers. Keeps it if its run fails in the same way and has fewer messages.
    pub fn try_on(&mut self, servers: usize, tape: &Tape) -> bool {
        let test = self.run.test.on(servers);
        let found = self.play(test, tape, self.best.size);
        self.keep(found.filter(|found| found.size.messages < self.best.size.messages))
    }

    /// Tries a tape, and keeps it also if its run is longer, but has at most `times` as many messages.
    pub fn try_at_any_rate(&mut self, tape: &Tape, times: u64) -> bool {
        let Size { messages, events, time } = self.best.size;
        let (messages, events) = (messages.saturating_mul(times), events.saturating_mul(times));
        let found = self.play(self.best.test, tape, Size { messages, events, time });
        self.keep(found)
    }

    fn keep(&mut self, found: Option<Best>) -> bool {
        found.map(|found| self.best = found).is_some()
    }

    /// Plays a tape, unless the search must stop. Returns the run with only what it used of the tape, if it fails in the same way.
    fn play(&mut self, test: &'static LabTest, tape: &Tape, most: Size) -> Option<Best> {
        if self.is_over() {
            return None;
        }
        self.runs += 1;
        if (self.progress)(self.runs, self.best.size).is_break() {
            self.stopped_early = true;
        }
        let events = most.events.saturating_mul(u64::from(LONGER)).saturating_add(100);
        let time = most.time.saturating_mul(LONGER).saturating_add(Duration::from_secs(1));
        let meter = Meter::up_to(Size { messages: most.messages, events, time });
        let run = Run { test, ..self.run };
        let (report, size) = run.measured(Choices::Tape(tape), Backend::Coroutines, meter);
        let used = report.tape.filter(|_| self.same.as_in(&report.result))?;
        Some(Best { test, tape: *used, size })
    }

    /// Makes the run shorter until nothing helps, or until the search must stop.
    pub fn run(&mut self) {
        self.begin_small();
        self.calm_down();
        while !self.is_over() {
            let size = self.best.size;
            self.leave_out_most();
            while self.other_numbers() {
                self.leave_out_most();
            }
            self.leave_out_draws();
            self.lower_draws();
            if self.best.size == size {
                return;
            }
        }
    }

    /// Leaves out servers, parts and options, as long as that saves messages.
    fn leave_out_most(&mut self) {
        loop {
            let messages = self.best.size.messages;
            self.fewer_servers();
            self.leave_out_servers();
            self.leave_out_parts();
            self.leave_out_options();
            if self.best.size.messages == messages || self.is_over() {
                return;
            }
        }
    }
}

impl Best {
    /// What is made smaller: the size of the run, and then the size of the tape.
    fn measure(&self) -> (Size, usize, usize) {
        (self.size, self.tape.parts.len(), self.tape.len())
    }
}
