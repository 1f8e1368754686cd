//! Decides how the messages of a run are read in the end.
//!
//! A run that fails is compared with itself and with [other runs](super::learn). If its messages contradict what is certain,
//! they mean something else than the lab has read, and a failure that rests on them is no verdict. The test is then run again
//! without believing them.

use super::backend::{self, Before};
use super::sinks::{LastEvents, Nobody};
use super::{Report, World, learn, new_run, run_watched, simulate};
use crate::invariants::Watch;
use crate::lab::Lab;
use crate::reading::{Doubts, Reading};
use crate::suites::LabTest;
use labrpc::run::{Backend, Failure, FailureKind, Logs};
use std::cell::{Cell, RefCell};

/// Runs one test with this way of reading messages. Also returns how they were read in the end.
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

/// The same seed gives the same run, so a run that fails is repeated: first to study it, and at the end to collect its last
/// events. `told` says whether its log lines are printed; they are printed at most once.
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
            let reading = reading.borrow();
            let events = LastEvents::new(test, &reading, since);
            let mut report =
                simulate(lab, test, seed, &reading, Logs::Dropped, backend, events.clone());
            events.explain(&mut report);
            report
        });
        let Err(failure) = &report.result else { break (report, reading.into_inner()) };
        // On threads the run may have been a different one.
        if settled.get() != Some(report.fingerprint) {
            let new = new_doubts(lab, test, seed, &report, &reading.borrow());
            if !new.is_empty() {
                let doubting = reading.borrow().doubting(new);
                reading.replace(doubting);
                continue;
            }
        }
        if report.last_events.is_empty() {
            let backend = backend::to_tell_of(failure);
            let reading = reading.borrow();
            let events = LastEvents::new(test, &reading, failure.since);
            simulate(lab, test, seed, &reading, Logs::Dropped, backend, events.clone());
            events.explain(&mut report);
        }
        break (report, reading.into_inner());
    }
}

/// Runs a test until it passes, or until none of its messages gives a new doubt.
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

/// The new doubts that a run gives about fields that are still believed. Empty if the run passed, or if its failure does not
/// depend on messages.
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

/// On real threads a run can't be repeated. So it is studied while it runs, and its last events are kept.
fn real(lab: &Lab, test: &'static LabTest, seed: u64, reading: &Reading) -> (Report, Reading) {
    let mut reading = reading.clone();
    loop {
        let watch =
            Watch::studying(test.setup.servers, test.expects_saves(), reading.clone(), true);
        let (run, events) = (new_run(seed, World::Real), LastEvents::new(test, &reading, None));
        let mut report = run_watched(run, lab, test, seed, World::Real, &watch, events.clone());
        events.explain(&mut report);
        let Err(failure) = &report.result else { return (report, reading) };
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

/// Whether a failure may depend on how messages were read: a verdict may, and so may a test that waits for something.
fn has_to_do_with_reading(failure: &Failure) -> bool {
    use FailureKind::{Deadlock, Stuck, Test, TimeLimit};
    matches!(failure.kind, Test | TimeLimit | Stuck | Deadlock)
}
