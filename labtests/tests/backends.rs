//! A seed gives the same run on coroutines as on threads. If coroutines can't do a run, threads do it, and the output says so.
//!
//! `LAB_BACKENDS=100` compares this many seeds of every test; without it, one seed of a few tests.

#[path = "../examples/go_shape.rs"]
#[allow(dead_code, reason = "its main is for the example")]
mod go_shape;

use labrpc::run::{Backend, FailureKind};
use labrpc::trace::Event;
use labrpc::{sync, thread};
use labtests::lab::{Ability, Lab};
use labtests::reading::{Names, Reading};
use labtests::runner::{self, Report, World};
use labtests::suites::{self, LabTest};
use parking_lot::Mutex;
use raftlab::kv::{Clerk, KvServer, Rsm};
use raftlab::raft::{Options, Raft};
use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Without the variable, every test whose number is a multiple of this is compared.
const A_FEW: usize = 7;

/// The fingerprint and the verdict of a run, and a hash of its whole trace.
fn traced(lab: &Lab, test: &'static LabTest, seed: u64, backend: Backend) -> (u64, String, u64) {
    let hash = Arc::new(Mutex::new(DefaultHasher::new()));
    let sink = hash.clone();
    let event = move |event: &Event| event.to_string().hash(&mut *sink.lock());
    let reading = Reading::new(Names::new());
    let report = runner::replay_read(lab, test, seed, &reading, backend, event);
    let verdict = report.result.map_or_else(|failure| failure.message, |_| "passed".into());
    let hash = hash.lock().finish();
    (report.fingerprint, verdict, hash)
}

fn is_the_same_on_both(lab: &Lab) {
    let wanted = std::env::var("LAB_BACKENDS").ok().map(|text| text.parse().expect("a number"));
    let (seeds, step) = wanted.map_or((1, A_FEW), |seeds| (seeds, 1));
    let tests: Vec<_> = lab.tests().step_by(step).collect();
    let work: Vec<_> = (1..=seeds)
        .flat_map(|seed| tests.clone().into_iter().map(move |test| (test, seed)))
        .collect();
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let (lab, mut runs, mut others) = (lab.clone(), 0, Vec::new());
    let compare = move |(test, seed): (&'static LabTest, u64)| {
        let on = |backend| traced(&lab, test, seed, backend);
        let (threads, coroutines) = (on(Backend::Threads), on(Backend::Coroutines));
        (threads != coroutines)
            .then(|| format!("{}, seed {seed}: {threads:?}, and {coroutines:?}", test.name))
    };
    runner::in_order(work.into_iter(), jobs, compare, |other| {
        runs += 1;
        others.extend(other);
        ControlFlow::Continue(())
    });
    eprintln!("{runs} runs had twice, {} differ", others.len());
    assert!(others.is_empty(), "{} of {runs}; the first: {}", others.len(), others[0]);
}

#[test]
fn the_reference_runs_the_same_on_both() {
    let raft = || labtests::make(Raft::make);
    let more = Options::beyond_the_lab();
    let changing = Raft::with_members(more.clone());
    let lab = Lab::new()
        .raft(Raft::make)
        .kv(KvServer::on(raft()), Clerk::new)
        .rsm(Rsm::on(raft()))
        .versioned(KvServer::on(raft()), Clerk::new)
        .once(KvServer::on(raft()), Clerk::new)
        .beyond(Ability::PreVote, Raft::with(more.clone()))
        .beyond(Ability::Transfer, Raft::with(more.clone()))
        .beyond(Ability::Lease, Raft::with(more.clone()))
        .beyond(Ability::Flow, Raft::with(more))
        .members(changing);
    is_the_same_on_both(&lab);
}

#[test]
fn go_shape_runs_the_same_on_both() {
    is_the_same_on_both(&Lab::new().raft(go_shape::Raft::make));
}

fn run(lab: &Lab, name: &str, seed: u64) -> Report {
    let test = suites::all().find(|test| test.name == name).expect("a test of that name");
    runner::run_one(lab, test, seed, World::Simulated)
}

/// A `go_shape` in which each server has one more thread.
fn with_a_thread(name: &'static str, body: fn()) -> Lab {
    Lab::new().raft(move |peers, me, persister, apply| {
        thread::Builder::new().name(name).spawn(body).expect("a thread");
        go_shape::Raft::make(peers, me, persister, apply)
    })
}

/// An election on this lab, whose result must be the one on threads.
fn as_on_threads(lab: &Lab, seed: u64) -> Report {
    let report = run(lab, "initial_election", seed);
    let threads = run(&lab.clone().backend(Backend::Threads), "initial_election", seed);
    assert_eq!(report.fingerprint, threads.fingerprint, "seed {seed}");
    assert_eq!(report.result.as_ref().err(), threads.result.as_ref().err(), "seed {seed}");
    report
}

thread_local! {
    static THREADS_HERE: Cell<u64> = const { Cell::new(0) };
}

/// Yields as often as threads ran this code before. If each thread has a thread-local of its own, that is never.
fn yields_by_a_thread_local() {
    let before = THREADS_HERE.replace(THREADS_HERE.get() + 1);
    (0..before).for_each(|_| thread::yield_now());
}

#[test]
fn what_differs_on_threads_goes_on_on_threads_and_says_so() {
    let lab = with_a_thread("odd", yields_by_a_thread_local);
    (1..4).for_each(|seed| _ = as_on_threads(&lab, seed));
    let why = lab.why_threads().expect("a reason");
    assert!(why.contains("initial_election, seed 1, ran differently"), "{why}");
    assert_eq!(lab.backend_counts().0, 1, "nothing is compared after that");
}

/// Waits for a thread when it is dropped, even if it is dropped because a crash unwinds its thread.
struct Waits;

impl Drop for Waits {
    fn drop(&mut self) {
        let _ = thread::spawn(thread::yield_now).join();
    }
}

#[test]
fn a_run_whose_destructors_wait_is_had_on_threads() {
    let lab = with_a_thread("waits", || {
        let _waits = Waits;
        thread::sleep(labrpc::time::Duration::from_secs(3600));
    });
    for seed in 1..4 {
        let report = as_on_threads(&lab, seed);
        assert!(report.result.is_ok(), "{:?}", report.result);
    }
    assert_eq!(lab.backend_counts(), (0, 3), "none compared, three unfit");
    assert_eq!(lab.why_threads(), None, "three are too few to tell");
    (4..=101).for_each(|seed| _ = run(&lab, "initial_election", seed));
    let why = lab.why_threads().expect("a reason");
    assert!(why.contains("101 of 101 runs can't run on coroutines: a thread waits"), "{why}");
}

/// The reference joins its threads when it is dropped. If a run has failed, this happens while threads unwind.
#[test]
fn a_failed_run_whose_servers_wait_for_their_threads_is_the_same_on_both() {
    let lab = Lab::new().raft(|peers, me, persister, apply| {
        thread::spawn(|| {
            thread::sleep(labrpc::time::Duration::from_secs(2));
            panic!("it fails");
        });
        Raft::make(peers, me, persister, apply)
    });
    for seed in 1..8 {
        let failure = as_on_threads(&lab, seed).result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Panic);
    }
    assert_eq!((lab.backend_counts(), lab.why_threads()), ((7, 0), None));
}

#[inline(never)]
fn goes_down_for_ever(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    if room[0] == u64::MAX { 0 } else { goes_down_for_ever(depth + 1) + room[0] }
}

#[test]
fn an_overflow_fails_its_run_and_no_other() {
    let lab = with_a_thread("deep", || _ = std::hint::black_box(goes_down_for_ever(0)));
    for seed in 1..4 {
        let failure = run(&lab, "initial_election", seed).result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Overflow);
        assert!(failure.message.contains("/deep has overflowed its stack"), "{failure}");
    }
    let sound = Lab::new().raft(go_shape::Raft::make);
    assert!(run(&sound, "initial_election", 1).result.is_ok());
}

#[test]
fn failures_are_told_as_threads_show_them() {
    let lab = with_a_thread("twice", || {
        let lock = sync::Mutex::new(());
        let _first = lock.lock();
        let _again = lock.lock();
    });
    let failure = as_on_threads(&lab, 7).result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Deadlock);
    assert_eq!((lab.backend_counts().0, lab.why_threads()), (1, None), "run twice, and the same");
}
