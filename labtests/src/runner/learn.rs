//! What other runs say of a Raft's words.
//!
//! A run that fails may be too short, or too quiet, to contradict what its words are taken to mean. So before a verdict that rests on them is
//! told, some tests are run and studied, whatever comes of them. That is done once for a Raft. A word that contradicts what is certain in any of
//! them, or that nothing certain ever agrees with, is not believed.

use super::sinks::Enough;
use super::{Report, World, new_run, run_watched};
use crate::invariants::Watch;
use crate::lab::Lab;
use crate::reading::{Doubts, Evidence, Reading};
use crate::suites::{self, Body, LabTest};
use labrpc::run::{FailureKind, Logs};
use labrpc::time::Duration;

/// In which all messages are sent, and often: elections, conflicts, crashes, snapshots. In the lab's order.
const TELLING: [&str; 12] = [
    "initial_election",
    "re_election",
    "many_elections",
    "basic_agree",
    "rejoin",
    "backup",
    "persist2",
    "persist3",
    "figure_8",
    "snapshot_basic",
    "snapshot_install",
    "snapshot_install_crash",
];

/// Any, but always the same: whatever fails first, the verdict is the same.
const SEED: u64 = 1;

/// What is doubtful in a run that failed.
pub(super) fn doubts(lab: &Lab, failed: &LabTest, run: Evidence, reading: &Reading) -> Doubts {
    let mut doubts = run.doubts();
    let read = run.read.clone();
    let mut all = other_runs(lab, failed, reading);
    doubts.extend(all.doubts());
    all.add(run);
    doubts.extend(all.is_silent_on(&read));
    doubts
}

/// The runs of tests that come no later than this one: nobody need have built for more.
fn other_runs(lab: &Lab, test: &LabTest, reading: &Reading) -> Evidence {
    if lab.raft.is_none() {
        return Evidence::default();
    }
    let raft_so_far = matches!(test.body, Body::Raft(_)).then_some(&test.part[..2]);
    let is_due = |other: &&LabTest| raft_so_far.is_none_or(|part| other.part <= part);
    let telling: Vec<_> =
        suites::all().filter(|other| TELLING.contains(&other.name)).filter(is_due).collect();
    reading.learnt(telling.len(), || learn(lab, &telling, reading))
}

fn learn(lab: &Lab, tests: &[&'static LabTest], reading: &Reading) -> Evidence {
    let mut evidence = Evidence::default();
    for test in tests {
        let (report, run) = study(lab, test, SEED, reading, Duration::ZERO);
        evidence.add(run);
        // A Raft that the scheduler doesn't see takes wall time, and tells nothing.
        if report.result.is_err_and(|failure| failure.kind == FailureKind::Stall) {
            break;
        }
    }
    evidence
}

/// A run that nobody judges, until that time and some events more: what it says of its words.
pub(super) fn study(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    reading: &Reading,
    until: Duration,
) -> (Report, Evidence) {
    let watch = Watch::studying(test.setup.servers, test.expects_saves(), reading.clone(), false);
    let run = new_run(seed, World::Simulated).logs(Logs::Dropped).backend(lab.backends.now());
    let enough = Enough::from(until);
    let report = run_watched(run, lab, test, seed, World::Simulated, &watch, enough);
    (report, watch.evidence())
}
