//! A seed determines the run: it is the same on every machine, traced or not, with one job or several.

use labrpc::run::Backend;
use labrpc::trace::Event;
use labtests::lab::{Ability, Lab};
use labtests::reading::Reading;
use labtests::runner::{self, World};
use labtests::suites::{self, LabTest};
use parking_lot::Mutex;
use raftlab::kv::{Clerk, KvServer, Rsm};
use raftlab::raft::{Options, Raft};
use std::hash::{DefaultHasher, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A Raft, and the services on it.
fn lab() -> Lab {
    let raft = labtests::make(Raft::make);
    Lab::new()
        .raft(Raft::make)
        .kv(KvServer::on(raft.clone()), Clerk::new)
        .rsm(Rsm::on(raft.clone()))
        .versioned(KvServer::on(raft), Clerk::new)
        .beyond(Ability::Transfer, Raft::with(Options::beyond_the_lab()))
        .beyond(Ability::Lease, Raft::with(Options::beyond_the_lab()))
        .beyond(Ability::Flow, Raft::with(Options::beyond_the_lab()))
        .members(Raft::with_members(Options::beyond_the_lab()))
}

/// All tests of Raft itself, and some tests of each kind for the services, whose tests take long, and for the parts beyond the
/// lab.
fn tests() -> impl Iterator<Item = &'static LabTest> + Clone + Send {
    const OTHERS: [&str; 10] = [
        "transfers_under_all_faults",
        "lease_reads_under_all_faults",
        "membership_changes_under_all_faults",
        "flow_under_all_faults",
        "kv_unreliable_one_key",
        "kv_snapshot_rpc",
        "rsm_concurrent",
        "rsm_leader_partition",
        "versioned_unreliable",
        "versioned_one_partition",
    ];
    suites::all().filter(|test| test.part.starts_with('2') || OTHERS.contains(&test.name))
}

/// The tests of the Go lab for a Raft.
fn classic() -> impl Iterator<Item = &'static LabTest> + Clone + Send {
    tests().filter(|test| test.part.len() == 2 && test.part.starts_with('2'))
}

/// The fingerprint of a run, the hash of its trace, and the number of events in the trace.
fn traced(test: &'static LabTest, seed: u64) -> (u64, u64, u64) {
    let seen = Arc::new(Mutex::new((DefaultHasher::new(), 0)));
    let sink = seen.clone();
    let reading = Reading::default();
    let report = runner::replay_read(
        &lab(),
        test,
        seed,
        &reading,
        Backend::Threads,
        move |event: &Event| {
            let (hasher, count) = &mut *sink.lock();
            hasher.write(event.to_string().as_bytes());
            *count += 1;
        },
    );
    let (hasher, count) = &*seen.lock();
    (report.fingerprint, hasher.finish(), *count)
}

#[test]
fn the_same_seed_gives_the_same_trace_for_every_other_test() {
    same_traces(0);
}

#[test]
fn the_same_seed_gives_the_same_trace_for_the_tests_between_them() {
    same_traces(1);
}

fn same_traces(first: usize) {
    for test in tests().skip(first).step_by(2) {
        let first = traced(test, 3);
        assert!(first.2 >= 5, "{} wrote {} events", test.name, first.2);
        assert_eq!(first, traced(test, 3), "{}", test.name);
        let untraced = runner::run_one(&lab(), test, 3, World::Simulated);
        assert_eq!(untraced.fingerprint, first.0, "{}: listening changed the run", test.name);
    }
}

#[test]
fn another_seed_gives_another_run() {
    for test in classic() {
        assert_ne!(traced(test, 3), traced(test, 4), "{}", test.name);
    }
}

#[test]
fn one_job_and_several_give_the_same_runs() {
    let run = |jobs| {
        let work = classic().map(|test| (test, 5));
        let mut seen = Vec::new();
        runner::run_all(&lab(), work, World::Simulated, jobs, |report| {
            seen.push((report.test.name, report.fingerprint));
            ControlFlow::Continue(())
        });
        seen
    };
    assert_eq!(run(1), run(4));
}
