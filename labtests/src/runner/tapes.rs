//! Runs that are recorded, and runs from a tape.

use super::sinks::Nobody;
use super::{Report, World, new_run, run_judged, settled, telling};
use crate::lab::Lab;
use crate::reading::Reading;
use crate::story::Told;
use crate::suites::{self, LabTest};
use labrpc::run::{Backend, Logs};
use labrpc::tape::Tape;
use labrpc::trace::Sink;

/// Where the random choices of a run come from.
pub(crate) enum Choices<'a> {
    /// From the seed. They are recorded.
    Seed,
    /// From this tape.
    Tape(&'a Tape),
}

/// Does a run and records its tape.
#[expect(clippy::too_many_arguments, reason = "they are all that a run depends on")]
pub(crate) fn taped(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    choices: Choices<'_>,
    reading: &Reading,
    logs: Logs,
    backend: Backend,
    sink: impl Sink,
) -> Report {
    let run = new_run(seed, World::Simulated).logs(logs).backend(backend);
    let run = match choices {
        Choices::Seed => run.record(),
        Choices::Tape(tape) => run.tape(tape.clone()),
    };
    run_judged(run, lab, test, seed, reading, sink)
}

/// Does the run of a seed and records its [tape](Report::tape).
pub fn record(lab: &Lab, test: &'static LabTest, seed: u64) -> Report {
    let (choices, reading) = (Choices::Seed, &lab.reading);
    taped(lab, test, seed, choices, reading, Logs::Dropped, Backend::Threads, Nobody)
}

/// Does a run from a tape, and passes what happens to `hear`, in the words of the [story](crate::story).
pub fn replay_tape_told(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    tape: &Tape,
    hear: impl FnMut(&Told) + Send + 'static,
) -> Report {
    let reading = reading_of(lab, test, seed);
    let sink = telling(test, &reading, hear);
    replay_tape_read(lab, test, seed, tape, &reading, sink)
}

/// Does a run from a tape and sends its events to `sink`. The tape must come from this test.
pub fn replay_tape(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    tape: &Tape,
    sink: impl Sink,
) -> Report {
    replay_tape_read(lab, test, seed, tape, &reading_of(lab, test, seed), sink)
}

fn replay_tape_read(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    tape: &Tape,
    reading: &Reading,
    sink: impl Sink,
) -> Report {
    let choices = Choices::Tape(tape);
    taped(lab, test, seed, choices, reading, Logs::Traced, Backend::Threads, sink)
}

/// How the messages of a tape are read: as in the run of the seed, which may have more servers.
fn reading_of(lab: &Lab, test: &LabTest, seed: u64) -> Reading {
    let whole = suites::all().find(|whole| whole.name == test.name);
    whole.map_or_else(|| lab.reading.clone(), |whole| settled(lab, whole, seed).0)
}
