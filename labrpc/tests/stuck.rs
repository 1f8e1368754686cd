//! Runs that make no progress are ended soon, and other runs are not.

#![allow(missing_docs, reason = "tests")]

mod common;

use common::{failure, succeed};
use labrpc::channel;
use labrpc::run::{self, Failure, FailureKind, Outcome, Run};
use labrpc::sync::Mutex;
use labrpc::thread;
use labrpc::time::sleep;
use std::sync::Arc;
use std::time::Duration;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A run with a patience of 30 s and a time limit of 120 s.
fn patient() -> Run {
    Run::simulated(1).patience(secs(30)).time_limit(secs(120))
}

/// Asserts that the run is stuck, and that it ends within a second after this is certain.
#[track_caller]
fn stuck(body: impl FnOnce() + Send + 'static, after: Duration, words: &[&str]) -> Failure {
    let outcome: Outcome<()> = patient().run(body);
    let failure = failure(outcome, FailureKind::Stuck, words);
    let late = failure.at.checked_sub(after).unwrap_or_else(|| panic!("too early: {failure}"));
    assert!(late <= Duration::from_millis(1001), "{failure}");
    failure
}

/// Asserts that the run is not ended before its time limit.
#[track_caller]
fn not_stuck(body: impl FnOnce() + Send + 'static) {
    let outcome: Outcome<()> = patient().run(body);
    failure(outcome, FailureKind::TimeLimit, &["120s"]);
}

/// A thread that goes on for ever and calls `f` every second.
fn every_second(mut f: impl FnMut() + Send + 'static) -> thread::JoinHandle<()> {
    let body = move || {
        loop {
            sleep(secs(1));
            f();
        }
    };
    thread::Builder::new().name("ticker").spawn(body).unwrap()
}

fn wait_for(thread: thread::JoinHandle<()>) {
    let _ = thread.join();
}

#[test]
fn a_run_in_which_nothing_happens_is_stuck() {
    let words =
        ["nothing has happened for 30s", "test/main has waited since", "join at", "test/ticker"];
    let failure = stuck(|| wait_for(every_second(|| ())), secs(30), &words);
    assert_eq!(failure.since, Some(Duration::ZERO));
    let later = || {
        sleep(secs(50));
        run::note_progress();
        wait_for(every_second(|| ()));
    };
    let failure = stuck(later, secs(80), &["since 50.0"]);
    assert!(failure.since.is_some_and(|since| since.as_secs() == 50));
}

#[test]
fn a_run_in_which_something_happens_is_not_stuck() {
    not_stuck(|| wait_for(every_second(run::note_progress)));
}

#[test]
fn a_test_that_holds_somebody_back_is_not_stuck_until_it_stops() {
    not_stuck(|| {
        run::excuse(true);
        wait_for(every_second(|| ()));
    });
    let stops = || {
        run::excuse(true);
        sleep(secs(40));
        run::excuse(false);
        wait_for(every_second(|| ()));
    };
    stuck(stops, secs(70), &["nothing has happened"]);
    not_stuck(|| {
        run::excuse_for_good();
        run::excuse(false);
        wait_for(every_second(|| ()));
    });
}

#[test]
fn a_test_that_sleeps_is_not_stuck() {
    succeed(patient().run(|| sleep(secs(100))));
    succeed(patient().run(|| (0..100).for_each(|_| sleep(secs(1)))));
    not_stuck(|| sleep(secs(1000)));
}

#[test]
fn without_patience_nothing_but_the_limit_ends_a_run() {
    let run = Run::simulated(1).time_limit(secs(120));
    let outcome: Outcome<()> = run.run(|| wait_for(every_second(|| ())));
    failure(outcome, FailureKind::TimeLimit, &["120s"]);
}

#[test]
fn a_lock_that_is_not_released_ends_the_run_though_the_test_goes_on() {
    let body = || {
        let lock = Arc::new(Mutex::new(()));
        let held = lock.clone();
        let holds = move || {
            let _held = held.lock();
            (0..1000).for_each(|_| sleep(secs(1)));
        };
        thread::Builder::new().name("holder").spawn(holds).unwrap();
        sleep(secs(1));
        thread::spawn(move || drop(lock.lock()));
        (0..100).for_each(|_| sleep(secs(1)));
    };
    let words =
        ["has waited for a lock for 30s", "held by test/holder, which took it at", "sleep at"];
    stuck(body, secs(31), &words);
    not_stuck(move || {
        run::excuse_for_good();
        body();
        sleep(secs(100));
    });
}

#[test]
fn a_call_that_is_to_return_soon_and_does_not_ends_the_run_whoever_is_held_back() {
    let body = || {
        run::excuse_for_good();
        let ticker = every_second(|| ());
        sleep(secs(5));
        run::calling_briefly(|| "get_state() on S0".into(), || wait_for(ticker));
    };
    let words = ["get_state() on S0, called by test/main, has not returned for 30s", "join at"];
    let failure = stuck(body, secs(35), &words);
    assert!(failure.since.is_some_and(|since| since.as_secs() == 5));
    not_stuck(|| {
        run::excuse_for_good();
        run::calling(|| "submit() on S0".into(), || wait_for(every_second(|| ())));
    });
}

#[test]
fn a_circle_of_a_lock_and_a_channel_is_named_when_it_has_lasted() {
    let outcome: Outcome<()> = patient().run(|| {
        let lock = Arc::new(Mutex::new(()));
        let wanted = lock.clone();
        let (sender, receiver) = channel::bounded(0);
        every_second(|| ());
        let reads = move || {
            for message in receiver.iter() {
                let _lock = wanted.lock();
                let _: u8 = message;
            }
        };
        let reader = thread::Builder::new().name("reader").spawn(reads).unwrap();
        sleep(secs(2));
        let _held = lock.lock();
        let _ = sender.send(1);
        let _ = sender.send(2);
        drop(reader);
    });
    let words = [
        "in a circle",
        "test/reader has waited since 2.0",
        "held by test/main, which took it",
        "send at",
    ];
    let failure = failure(outcome, FailureKind::Deadlock, &words);
    assert_eq!(failure.since.map(|since| since.as_secs()), Some(2));
    assert!((7..=8).contains(&failure.at.as_secs()), "{failure}");
}

#[test]
fn a_channel_with_another_reader_closes_no_circle() {
    succeed(patient().run(|| {
        let lock = Arc::new(Mutex::new(()));
        let wanted = lock.clone();
        let (sender, receiver) = channel::bounded(0);
        let other = receiver.clone();
        let reads = move || {
            for message in receiver.iter() {
                let _lock = wanted.lock();
                let _: u8 = message;
            }
        };
        thread::spawn(reads);
        thread::spawn(move || {
            sleep(secs(20)); // the scheduler does not know yet that this thread will read
            other.iter().for_each(drop);
        });
        sleep(secs(2));
        let held = lock.lock();
        sender.send(1).unwrap();
        sender.send(2).unwrap(); // received by the other reader, after 20 s
        drop(held);
        drop(sender);
    }));
}
