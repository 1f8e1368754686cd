//! How a run's messages are read in the end.
//!
//! A run that fails is held against itself, and against [others](super::learn). If messages contradict what is certain, they mean something else
//! than was read, and what rests on that is no verdict: the test is run again without believing them.

use super::backend::{self, Before};
use super::sinks::{LastEvents, Nobody};
use super::{Report, World, learn, new_run, run_watched, simulate};
use crate::invariants::Watch;
use crate::lab::Lab;
use crate::reading::{Doubts, Reading};
use crate::suites::LabTest;
use labrpc::run::{Backend, Failure, FailureKind, Logs};
use std::cell::{Cell, RefCell};

/// Runs one test where messages are read like that. Gives back how they were read in the end.
pub fn run_read(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    world: World,
    reading: &Reading,
) -> (Report, Reading) {
    match world {
        World::Simulated => simulated(lab, test, seed, reading, Logs::Printed),
        World::Real => real(lab, test, seed, reading),
    }
}

/// The same seed gives the same run, so one that fails is run again: to be studied, and at last to see its last events. Its log lines are
/// told once, if they are.
pub(super) fn simulated(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    reading: &Reading,
    told: Logs,
) -> (Report, Reading) {
    let reading = RefCell::new(reading.clone());
    let settled = Cell::new(None);
    loop {
        let mut report = lab.backends.run(test, seed, |backend, before| {
            let Before::Failed(since) = before else {
                let logs = if before == Before::Nothing { told } else { Logs::Dropped };
                let report = settle(lab, test, seed, &mut reading.borrow_mut(), logs, backend);
                settled.set(Some(report.fingerprint));
                return report;
            };
            let events = LastEvents::until(since);
            let reading = reading.borrow();
            let mut report =
                simulate(lab, test, seed, &reading, Logs::Dropped, backend, events.clone());
            report.last_events = if report.result.is_err() { events.take() } else { Vec::new() };
            report
        });
        let Err(failure) = &report.result else { break (report, reading.into_inner()) };
        // Threads may have had another run.
        if settled.get() != Some(report.fingerprint) {
            let new = new_doubts(lab, test, seed, &report, &reading.borrow());
            if !new.is_empty() {
                let doubting = reading.borrow().doubting(new);
                reading.replace(doubting);
                continue;
            }
        }
        if report.last_events.is_empty() {
            let events = LastEvents::until(failure.since);
            let backend = backend::to_tell_of(failure);
            let reading = reading.borrow();
            simulate(lab, test, seed, &reading, Logs::Dropped, backend, events.clone());
            report.last_events = events.take();
        }
        break (report, reading.into_inner());
    }
}

/// Runs a test until it passes, or nothing more of what it says is doubtful.
fn settle(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    reading: &mut Reading,
    mut logs: Logs,
    backend: Backend,
) -> Report {
    loop {
        let report = simulate(lab, test, seed, reading, logs, backend, Nobody);
        let new = new_doubts(lab, test, seed, &report, reading);
        if new.is_empty() {
            return report;
        }
        *reading = reading.doubting(new);
        logs = Logs::Dropped;
    }
}

/// What a run gives reason to doubt that is still believed; nothing if it passed, or didn't fail for words.
fn new_doubts(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    report: &Report,
    reading: &Reading,
) -> Doubts {
    let Some(failure) = report.result.as_ref().err().filter(|f| has_to_do_with_reading(f)) else {
        return Doubts::new();
    };
    let (_, evidence) = learn::study(lab, test, seed, reading, failure.at);
    still_believed(learn::doubts(lab, test, evidence, reading), reading)
}

/// Real threads don't repeat themselves, so a run is studied as it goes, and its last events are kept.
fn real(lab: &Lab, test: &'static LabTest, seed: u64, reading: &Reading) -> (Report, Reading) {
    let mut reading = reading.clone();
    loop {
        let watch =
            Watch::studying(test.setup.servers, test.expects_saves(), reading.clone(), true);
        let (run, events) = (new_run(seed, World::Real), LastEvents::default());
        let mut report = run_watched(run, lab, test, seed, World::Real, &watch, events.clone());
        let Err(failure) = &report.result else { return (report, reading) };
        report.last_events = events.take();
        if !has_to_do_with_reading(failure) {
            return (report, reading);
        }
        let new = still_believed(learn::doubts(lab, test, watch.evidence(), &reading), &reading);
        if new.is_empty() {
            return (report, reading);
        }
        reading = reading.doubting(new);
    }
}

fn still_believed(doubts: Doubts, reading: &Reading) -> Doubts {
    doubts.into_iter().filter(|(fact, _)| reading.trusts(*fact)).collect()
}

/// Whether a failure may come from what messages were taken to say: from a verdict, or from a script that waits for something.
fn has_to_do_with_reading(failure: &Failure) -> bool {
    use FailureKind::{Deadlock, Stuck, Test, TimeLimit};
    matches!(failure.kind, Test | TimeLimit | Stuck | Deadlock)
}
