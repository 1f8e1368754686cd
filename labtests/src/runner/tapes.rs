//! Runs that are recorded, and runs from a tape.

use super::sinks::Nobody;
use super::{Report, World, new_run, run_watched, settle};
use crate::invariants::Watch;
use crate::lab::Lab;
use crate::reading::Reading;
use crate::story::{Teller, Told};
use crate::suites::{self, LabTest};
use labrpc::run::{Backend, Logs};
use labrpc::tape::Tape;
use labrpc::trace::{Event, Sink};

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
    let watch = Watch::new(test.setup.servers, test.expects_saves(), reading.clone());
    let run = new_run(seed, World::Simulated).logs(logs).backend(backend);
    let run = match choices {
        Choices::Seed => run.record(),
        Choices::Tape(tape) => run.tape(tape.clone()),
    };
    run_watched(run, lab, test, seed, World::Simulated, &watch, sink)
}

/// Does the run of a seed and records its [tape](Report::tape).
pub fn record(lab: &Lab, test: &'static LabTest, seed: u64) -> Report {
    let (choices, reading) = (Choices::Seed, &lab.reading);
    taped(lab, test, seed, choices, reading, Logs::Dropped, Backend::Threads, Nobody)
}

/// Does the seed's run once more. Returns how its messages are read in the end.
pub(crate) fn settled(lab: &Lab, test: &'static LabTest, seed: u64) -> (Report, Reading) {
    settle::simulated(lab, test, seed, &lab.reading, Logs::Dropped)
}

/// Does a run from a tape, and passes what happens to `hear`, in the words of the [story](crate::story).
pub fn replay_tape_told(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    tape: &Tape,
    mut hear: impl FnMut(&Told) + Send + 'static,
) -> Report {
    let mut teller = Teller::new(test.setup.servers, reading_of(lab, test, seed));
    let sink = move |event: &Event| teller.tell(event).iter().for_each(&mut hear);
    replay_tape(lab, test, seed, tape, sink)
}

/// How the messages of a tape are read: as in the run of the seed, which may have more servers.
fn reading_of(lab: &Lab, test: &LabTest, seed: u64) -> Reading {
    let whole = suites::all().find(|whole| whole.name == test.name);
    whole.map_or_else(|| lab.reading.clone(), |whole| settled(lab, whole, seed).1)
}

/// Does a run from a tape and sends its events to `sink`, like [`replay`](super::replay). The tape must come from this test.
pub fn replay_tape(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    tape: &Tape,
    sink: impl Sink,
) -> Report {
    let reading = reading_of(lab, test, seed);
    let choices = Choices::Tape(tape);
    taped(lab, test, seed, choices, &reading, Logs::Traced, Backend::Threads, sink)
}
