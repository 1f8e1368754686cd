//! The short version of a failing run: a tape that is edited until little is left, and still fails in the same way.
//!
//! The seed's run is recorded first. Every edit of its [tape](labrpc::tape) is tried by a run. An edit is kept if the run fails in
//! the same way and is shorter. Only the number of runs bounds the search, so the same failure always gives the same short
//! version. See "Short versions" in `docs/DESIGN.md`.

mod cuts;
mod file;
mod same;
mod search;
mod size;
mod start;

pub use file::TapeFile;
pub use size::Size;

use crate::lab::Lab;
use crate::outcome::{Report, World};
use crate::reading::Reading;
use crate::runner::{self, Choices};
use crate::suites::LabTest;
use labrpc::run::{Backend, FailureKind, Logs};
use labrpc::tape::Tape;
use labrpc::time::{Duration, Instant};
use same::Same;
use search::{Best, Search};
use size::Meter;
use std::ops::ControlFlow;

/// How long a search may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At most this many runs.
    pub runs: u32,
    /// A search that takes longer stops early, with what it has found. Its result then depends on the machine.
    pub within: Option<Duration>,
}

/// The short version of a failing run.
#[derive(Clone, Debug)]
pub struct Short {
    /// Its tape.
    pub tape: Tape,
    /// Its run.
    pub report: Report,
    /// The size of the seed's run.
    pub before: Size,
    /// The size of the short version.
    pub after: Size,
    /// How many runs the search took.
    pub runs: u32,
    /// Whether the search was stopped before it had done all its runs: by its limit of time or by `progress`.
    pub stopped_early: bool,
}

/// Why there is no short version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unshortened {
    /// The run did not fail, or not in a simulation, or for a reason outside the simulation.
    NotAFailure,
    /// The recorded run did not fail in the same way.
    NotRepeated,
    /// Nothing could be left out.
    Nothing,
    /// On threads, the short version does not fail in the same way.
    OnlyOnCoroutines,
}

/// Looks for a short version of a failed run. `progress` is told the number of runs and the best size so far. With a `Break`, it
/// stops the search early.
///
/// # Errors
/// There is none. The error says why.
pub fn shrink(
    lab: &Lab,
    report: &Report,
    bounds: Bounds,
    mut progress: impl FnMut(u32, Size) -> ControlFlow<()>,
) -> Result<Short, Unshortened> {
    let same = Same::of(report).ok_or(Unshortened::NotAFailure)?;
    let began = Instant::now();
    let (reading, _) = runner::settled(lab, report.test, report.seed);
    let whole = Run { lab, test: report.test, seed: report.seed, reading: &reading };
    let (first, before) = whole.measured(Choices::Seed, Backend::Coroutines, Meter::unlimited());
    let tape = first.tape.filter(|_| same.as_in(&first.result)).ok_or(Unshortened::NotRepeated)?;
    let best = Best { test: report.test, tape: *tape, size: before };
    let mut search = Search::new(whole, same, bounds, began, best, &mut progress);
    search.run();
    let (Best { test, tape, size: after }, runs, stopped_early) = search.found();
    if after >= before {
        return Err(Unshortened::Nothing);
    }
    let choices = Choices::Tape(&tape);
    let short = Run { test, ..whole };
    let (report, size) = short.measured(choices, Backend::Threads, Meter::unlimited());
    if size != after || !Same::of(&report).is_some_and(|it| it == *search.same()) {
        return Err(Unshortened::OnlyOnCoroutines);
    }
    Ok(Short { tape, report, before, after, runs, stopped_early })
}

/// The run that is shortened.
#[derive(Clone, Copy)]
struct Run<'a> {
    lab: &'a Lab,
    test: &'static LabTest,
    seed: u64,
    reading: &'a Reading,
}

impl Run<'_> {
    /// Does it with these choices, and measures it.
    fn measured(&self, choices: Choices<'_>, backend: Backend, meter: Meter) -> (Report, Size) {
        let Run { lab, test, seed, reading } = *self;
        let meter = meter.reading(reading.clone());
        let sink = meter.clone();
        let logs = Logs::Dropped;
        let report = runner::taped(lab, test, seed, choices, reading, logs, backend, sink);
        let time = report.result.as_ref().map_or_else(|failure| failure.at, |_| report.lab_time);
        (report, meter.size(time))
    }
}

/// Whether runs that fail in this way have a short version.
fn can_be_shortened(report: &Report) -> bool {
    use FailureKind::{GivenUp, Overflow, Stall, Unfit};
    let kind = report.result.as_ref().err().map(|failure| failure.kind);
    let outside = |kind| matches!(kind, Stall | Overflow | Unfit | GivenUp(_));
    report.world == World::Simulated && kind.is_some_and(|kind| !outside(kind))
}
