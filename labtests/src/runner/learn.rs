//! What other runs show about the messages of a Raft.
//!
//! A run that fails may be too short, or too quiet, to contradict the meaning that the lab reads into its messages. So before a
//! verdict that rests on a message is reported, some tests are run and studied, whether they pass or fail. That is done once
//! for each Raft. A field is not believed if it contradicts something certain in any of these runs, or if nothing certain ever
//! agrees with it.

use super::sinks::Enough;
use super::{Report, World, new_run, run_watched};
use crate::invariants::Watch;
use crate::lab::Lab;
use crate::reading::{Doubts, Evidence, Reading};
use crate::suites::{self, Body, LabTest};
use labrpc::run::{FailureKind, Logs};
use labrpc::time::Duration;

/// Tests in which all kinds of messages are sent, and often: elections, conflicts, crashes, snapshots. They are in the lab's
/// order.
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

/// Any seed would do, but it must always be the same. Then the verdict is the same, whichever test fails first.
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

/// Runs the tests that come no later than this one. Nobody needs to have implemented more than that.
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
        // A Raft that waits where the scheduler doesn't see it costs wall time, and its run shows nothing.
        if report.result.is_err_and(|failure| failure.kind == FailureKind::Stall) {
            break;
        }
    }
    evidence
}

/// A run that nobody judges. It shows what can be concluded about the messages up to the time `until`, and in some events after
/// it.
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
