//! Threads that pause between two steps while other threads go on.

#![allow(missing_docs, reason = "tests")]

mod common;

use common::succeed;
use labrpc::run::{Outcome, Run};
use labrpc::sync::{Arc, Mutex};
use labrpc::thread::{self, Group, Hiccups};
use labrpc::time::{Duration, Instant, sleep};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const MS: Duration = Duration::from_millis(1);

fn always(lasting: std::ops::Range<Duration>) -> Option<Hiccups> {
    Some(Hiccups { one_in: 1, lasting })
}

/// How long it takes a thread of a group to take a lock a thousand times.
fn a_thousand_locks(seed: u64, hiccups: Option<Hiccups>) -> Outcome<Duration> {
    Run::simulated(seed).run(|| {
        let group = Group::new("S0");
        group.hiccups(hiccups);
        let thread = group.enter(|| {
            thread::spawn(|| {
                let (lock, began) = (Mutex::new(0), Instant::now());
                (0..1000).for_each(|_| *lock.lock() += 1);
                began.elapsed()
            })
        });
        thread.unwrap().join().unwrap()
    })
}

#[test]
fn a_slow_thread_takes_its_time_and_a_seed_says_how_much() {
    let quick = a_thousand_locks(7, None);
    let slow = a_thousand_locks(7, always(MS..2 * MS));
    let again = a_thousand_locks(7, always(MS..2 * MS));
    assert_eq!(slow.fingerprint, again.fingerprint);
    assert!(succeed(quick) < MS, "there is no other thread, and nothing else takes time");
    let slow = succeed(slow);
    let expected = 300 * MS..600 * MS;
    assert!(
        expected.contains(&slow),
        "{slow:?}: a thread should pause about once in 16 times before a lock, and once in 4 times after it"
    );
}

/// What a thread has seen may not be true any more after a pause: here, whether the thread is alone.
#[test]
fn others_act_while_a_thread_stands_still() {
    let overtaken = |seed: u64, hiccups: Option<Hiccups>| {
        succeed(Run::simulated(seed).run(|| {
            let seen = Arc::new(Mutex::new(0));
            let group = Group::new("S0");
            group.hiccups(hiccups);
            let slow = seen.clone();
            let slow = group.enter(|| {
                thread::spawn(move || {
                    (0..100).any(|_| {
                        let before = *slow.lock();
                        before != *slow.lock()
                    })
                })
            });
            for _ in 0..20 {
                sleep(MS);
                *seen.lock() += 1;
            }
            slow.unwrap().join().unwrap()
        }))
    };
    assert!((1..20).all(|seed| !overtaken(seed, None)), "it takes microseconds");
    assert!((1..20).all(|seed| overtaken(seed, always(MS..3 * MS))));
}

/// A decision made while holding the lock may be outdated when the thread goes on without the lock.
#[test]
fn a_thread_stands_still_where_it_lets_go_of_a_lock() {
    let overtaken = |seed: u64, hiccups: Option<Hiccups>| {
        succeed(Run::simulated(seed).run(move || {
            let (clock, group) = (Arc::new(AtomicU64::new(0)), Group::new("S0"));
            group.hiccups(hiccups);
            let seen = clock.clone();
            let lets_go = move || {
                let lock = Mutex::new(());
                let guard = lock.lock();
                let with_lock = seen.load(Relaxed);
                drop(guard);
                seen.load(Relaxed) > with_lock
            };
            let slow = group.enter(|| thread::spawn(move || (0..50).any(|_| lets_go())));
            for _ in 0..50 {
                sleep(MS);
                clock.fetch_add(1, Relaxed);
            }
            slow.unwrap().join().unwrap()
        }))
    };
    assert!((1..20).all(|seed| !overtaken(seed, None)), "no other thread may come in between");
    assert!((1..20).all(|seed| overtaken(seed, always(MS..3 * MS))));
}

/// A decision made before a thread was started may be outdated when the thread runs.
#[test]
fn a_thread_stands_still_before_its_first_statement() {
    let late = |hiccups: Option<Hiccups>| {
        let outcome = Run::simulated(3).run(move || {
            let (clock, group) = (Arc::new(AtomicU64::new(0)), Group::new("S0"));
            let ticking = clock.clone();
            let ticks = thread::spawn(move || {
                (0..500).for_each(|_| {
                    sleep(MS);
                    ticking.fetch_add(1, Relaxed);
                });
            });
            group.hiccups(hiccups);
            let start = |_| {
                let seen = clock.clone();
                let thread = group.enter(|| thread::spawn(move || seen.load(Relaxed)));
                (clock.load(Relaxed), thread.unwrap())
            };
            let threads: Vec<_> = (0..50).map(start).collect();
            let began_late = |(before, thread): (u64, thread::JoinHandle<u64>)| {
                thread.join().is_ok_and(|now| now > before + 1)
            };
            let late = threads.into_iter().map(began_late).filter(|late| *late).count();
            ticks.join().unwrap();
            late
        });
        succeed(outcome)
    };
    assert_eq!(late(None), 0);
    let late = late(always(5 * MS..6 * MS));
    assert!((10..40).contains(&late), "{late} of 50 are late, but it should be about half of them");
}

/// A crash unwinds a thread that pauses, without waiting for the end of the pause.
#[test]
fn a_thread_that_stands_still_crashes_as_others_do() {
    let hour = Duration::from_secs(3600);
    let outcome = Run::simulated(1).run(move || {
        let group = Group::new("S0");
        group.hiccups(always(hour..2 * hour));
        let _ = group.enter(|| {
            thread::spawn(|| {
                let lock = Mutex::new(());
                (0..1000).for_each(|_| drop(lock.lock()));
            })
        });
        sleep(MS);
        assert_eq!(group.alive().len(), 1);
        group.crash();
        assert!(group.alive().is_empty());
    });
    assert!(outcome.lab_time < Duration::from_secs(1), "{:?}", outcome.lab_time);
    succeed(outcome);
}
