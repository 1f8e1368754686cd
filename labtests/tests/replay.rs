//! A seed is a run: the same one on every machine, traced or not, with one job or several.

use labrpc::api::Make;
use labrpc::trace::Event;
use labtests::runner::{self, World};
use labtests::suites;
use parking_lot::Mutex;
use raftlab::raft::Raft;
use std::hash::{DefaultHasher, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;

fn make() -> Make {
    labtests::make(Raft::make)
}

/// The fingerprint of a run, the hash of its trace, and how many events that has.
fn traced(test: &'static suites::LabTest, seed: u64) -> (u64, u64, u64) {
    let seen = Arc::new(Mutex::new((DefaultHasher::new(), 0)));
    let sink = seen.clone();
    let report = runner::replay(&make(), test, seed, move |event: &Event| {
        let (hasher, count) = &mut *sink.lock();
        hasher.write(event.to_string().as_bytes());
        *count += 1;
    });
    let (hasher, count) = &*seen.lock();
    (report.fingerprint, hasher.finish(), *count)
}

#[test]
fn the_same_seed_gives_the_same_trace_for_every_test() {
    for test in suites::all() {
        let first = traced(test, 3);
        assert!(first.2 >= 5, "{} wrote {} events", test.name, first.2);
        assert_eq!(first, traced(test, 3), "{}", test.name);
        let untraced = runner::run_one(&make(), test, 3, World::Simulated);
        assert_eq!(untraced.fingerprint, first.0, "{}: listening changed the run", test.name);
    }
}

#[test]
fn another_seed_gives_another_run() {
    for test in suites::all() {
        assert_ne!(traced(test, 3), traced(test, 4), "{}", test.name);
    }
}

#[test]
fn one_job_and_several_give_the_same_runs() {
    let run = |jobs| {
        let work = suites::all().map(|test| (test, 5));
        let mut seen = Vec::new();
        runner::run_all(&make(), work, World::Simulated, jobs, |report| {
            seen.push((report.test.name, report.fingerprint));
            ControlFlow::Continue(())
        });
        seen
    };
    assert_eq!(run(1), run(4));
}
