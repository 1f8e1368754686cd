//! Planned crashes at a yield point or at a save. Everything stops there; in a simulation, exactly at that statement.

#![allow(missing_docs, reason = "tests")]

mod common;

use common::{in_both_worlds, in_simulations, succeed};
use labrpc::run::Run;
use labrpc::sync::{Condvar, Mutex};
use labrpc::thread::{self, Group};
use labrpc::time::{Duration, Instant, sleep};
use labrpc::trace::{Event, What};
use labrpc::{ClientEnd, Moment, Network, Persister, Server, Service};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const LONG: Duration = Duration::from_secs(3600);

/// Starts threads of `group` that count, with a yield point after each step. Returns when they have begun.
fn counters(group: &Group, threads: usize) -> Arc<AtomicU64> {
    let steps = Arc::new(AtomicU64::new(0));
    let begin = || {
        for _ in 0..threads {
            let steps = steps.clone();
            thread::spawn(move || {
                loop {
                    thread::yield_now();
                    steps.fetch_add(1, Relaxed);
                }
            });
        }
    };
    group.enter(begin).unwrap();
    sleep(ms(1));
    steps
}

#[test]
fn a_group_crashes_at_the_point_that_was_planned() {
    in_simulations(|| {
        for threads in [1, 3] {
            for points in [1, 2, 10, 1000] {
                let group = Group::new("S1");
                let steps = counters(&group, threads);
                let before = steps.load(Relaxed);
                group.crash_after(points);
                assert!(!group.has_crashed());
                assert!(group.wait_crashed(LONG));
                assert_eq!(steps.load(Relaxed) - before, points); // each step ends with a yield point
                sleep(ms(10));
                assert_eq!(steps.load(Relaxed) - before, points);
                assert_eq!(group.alive(), Vec::<String>::new());
            }
        }
    });
}

#[test]
fn nobody_waits_longer_than_a_crash_takes_or_than_he_wants() {
    in_simulations(|| {
        let group = Group::new("S1");
        let start = Instant::now();
        assert!(!group.wait_crashed(ms(50)));
        let waited = start.elapsed();
        assert!(ms(50) <= waited && waited < ms(51), "{waited:?}");

        // A thread passes a yield point when it begins to sleep.
        let sleeps = || {
            loop {
                sleep(ms(100));
            }
        };
        group.enter(|| thread::spawn(sleeps)).unwrap();
        sleep(ms(50));
        let start = Instant::now();
        group.crash_after(3);
        assert!(group.wait_crashed(LONG));
        let waited = start.elapsed();
        assert!(ms(249) < waited && waited < ms(251), "{waited:?}");
        assert!(group.wait_crashed(Duration::ZERO), "it stays crashed");
    });
}

#[test]
fn a_plan_can_be_called_off_and_replaced() {
    in_simulations(|| {
        let group = Group::new("S1");
        let steps = counters(&group, 1);
        group.crash_after(1000);
        group.call_off_crash();
        assert!(!group.wait_crashed(ms(100)));
        assert!(steps.load(Relaxed) > 1000);
        group.crash_after(1_000_000_000);
        group.crash_after(5);
        assert!(group.wait_crashed(ms(100)));
        group.call_off_crash(); // too late
        assert!(group.has_crashed());
    });
}

#[test]
fn a_planned_crash_is_the_same_at_every_run_of_a_seed() {
    let run = |seed| {
        let outcome = Run::simulated(seed).run(|| {
            let group = Group::new("S1");
            let steps = counters(&group, 4);
            group.crash_after(500);
            group.wait_crashed(LONG);
            (steps.load(Relaxed), Instant::now())
        });
        (outcome.fingerprint, outcome.steps, succeed(outcome))
    };
    for seed in 1..20 {
        assert_eq!(run(seed), run(seed));
    }
}

/// A network with a server in a group of its own, whose handler counts calls, and an end to it.
fn server_in(group: &Group) -> (Network, ClientEnd, Arc<AtomicU64>) {
    let network = Network::new();
    let handled = Arc::new(AtomicU64::new(0));
    let count = handled.clone();
    let handle = move |wait: Duration| {
        sleep(wait);
        count.fetch_add(1, Relaxed);
    };
    let service = Service::new("S").method("Wait", handle);
    group.enter(|| network.add_server("S1", Server::new([service]))).unwrap();
    let end = network.make_end("end");
    network.connect("end", "S1");
    network.enable("end", true);
    (network, end, handled)
}

#[test]
fn a_group_that_has_crashed_handles_and_answers_nothing() {
    in_both_worlds(|| {
        let group = Group::new("S1");
        let (network, end, handled) = server_in(&group);
        assert_eq!(end.call("S.Wait", &ms(0)), Some(()));
        let under_way = end.send::<_, ()>("S.Wait", &ms(50));
        sleep(ms(20));
        group.crash(); // in real mode the handler runs on
        assert_eq!(under_way.wait(), None);
        let before = (handled.load(Relaxed), network.count("S1"));
        assert_eq!(end.call::<_, ()>("S.Wait", &ms(0)), None);
        assert_eq!((handled.load(Relaxed), network.count("S1")), before);
        assert_eq!(network.shutdown(Duration::from_secs(5)), Vec::<String>::new());
    });
}

/// Sends when it is dropped.
struct Farewell(ClientEnd);

impl Drop for Farewell {
    fn drop(&mut self) {
        drop(self.0.send::<_, ()>("S.Wait", &ms(0)));
    }
}

#[test]
fn what_destructors_send_after_a_crash_goes_nowhere() {
    in_simulations(|| {
        let (network, end, handled) = server_in(&Group::new("S1"));
        let crashed = Group::new("S2");
        let says_farewell = move || {
            let _farewell = Farewell(end);
            sleep(LONG);
        };
        crashed.enter(|| thread::spawn(says_farewell)).unwrap();
        sleep(ms(1));
        crashed.crash();
        sleep(ms(10));
        assert_eq!((handled.load(Relaxed), network.total_count()), (0, 1));
    });
}

#[test]
fn who_is_inside_a_group_leaves_it_as_it_crashes() {
    in_simulations(|| {
        let group = Group::new("S1");
        let at_last = Arc::new((Mutex::new(false), Condvar::new()));
        // Four ways to wait for something that never happens.
        let lock = at_last.clone();
        let waits_for: [Box<dyn Fn() + Send>; 4] = [
            Box::new(|| sleep(LONG)),
            Box::new(move || lock.1.wait(&mut lock.0.lock())),
            Box::new(|| _ = thread::spawn(|| sleep(LONG)).join()),
            Box::new(|| {
                loop {
                    thread::yield_now();
                }
            }),
        ];
        let visitors: Vec<_> = waits_for
            .into_iter()
            .map(|wait| {
                let group = group.clone();
                thread::spawn(move || group.enter(wait))
            })
            .collect();
        sleep(ms(10));
        group.crash_after(100); // only the last visitor passes yield points
        assert!(group.wait_crashed(ms(10)));
        for visitor in visitors {
            assert_eq!(visitor.join().unwrap(), None);
        }
        assert!(at_last.0.try_lock().is_some(), "the lock was released");
        assert_eq!(group.enter(|| panic!("nobody enters any more")), None::<()>);
    });
}

#[test]
fn a_thread_may_see_many_groups_crash_around_it() {
    in_simulations(|| {
        for _ in 0..300 {
            let group = Group::new("S1");
            group.crash_after(3);
            let outer = Group::new("S2");
            let inner = outer.enter(|| group.enter(|| (0..9).for_each(|_| thread::yield_now())));
            assert_eq!(inner, Some(None));
            assert!(group.has_crashed() && !outer.has_crashed());
        }
    });
}

#[test]
fn a_panic_inside_a_group_is_a_panic() {
    let outcome = Run::simulated(1).run(|| {
        let group = Group::new("S1");
        group.enter(|| panic!("a mistake"))
    });
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.message, "a mistake");
}

/// Notes whether its thread was panicking when it was dropped.
struct Last(Arc<AtomicU64>);

impl Drop for Last {
    fn drop(&mut self) {
        thread::yield_now(); // a destructor may wait
        self.0.store(if std::thread::panicking() { 2 } else { 1 }, Relaxed);
    }
}

#[test]
fn what_is_buried_knows_that_it_was_crashed() {
    in_both_worlds(|| {
        let dropped = Arc::new(AtomicU64::new(0));
        thread::bury(Last(dropped.clone()));
        assert_eq!(dropped.load(Relaxed), 2);
        drop(Last(dropped.clone()));
        assert_eq!(dropped.load(Relaxed), 1);
    });
}

/// Saves 1, 2, 3.. in a thread of a group that crashes just before or just after its third save from now. Returns what the next
/// incarnation finds, and the last save that returned while the group was still alive.
fn crash_at_third_save(moment: Moment) -> (Option<u64>, u64) {
    let (group, persister) = (Group::new("S1"), Persister::new());
    let alive = Arc::new(AtomicU64::new(0));
    let (saves, noted, own) = (persister.clone(), alive.clone(), group.clone());
    let keeps_saving = move || {
        for n in 1..100 {
            saves.save_state(&n);
            if own.has_crashed() {
                return; // only real mode gets here
            }
            noted.store(n, Relaxed);
            sleep(ms(5));
        }
    };
    persister.save_state(&0u64); // before the plan
    persister.crash_at_save(&group, 3, moment);
    group.enter(|| thread::spawn(keeps_saving)).unwrap();
    assert!(group.wait_crashed(Duration::from_secs(10)));
    group.wait_ended(Duration::from_secs(10));
    (persister.succeed().raft_state(), alive.load(Relaxed))
}

#[test]
fn a_crash_falls_just_before_or_just_after_a_save() {
    in_both_worlds(|| {
        assert_eq!(crash_at_third_save(Moment::Before), (Some(2), 2));
        assert_eq!(crash_at_third_save(Moment::After), (Some(3), 2));
    });
}

#[test]
fn a_save_shows_in_the_trace_if_it_took_effect() {
    for (moment, seen) in [(Moment::Before, 3), (Moment::After, 4)] {
        let saves = Arc::new(AtomicU64::new(0));
        let noted = saves.clone();
        let count = move |event: &Event| {
            if matches!(event.what, What::Saved { .. }) {
                noted.fetch_add(1, Relaxed);
            }
        };
        let run = Run::simulated(1).trace(count);
        succeed(run.run(move || _ = crash_at_third_save(moment)));
        assert_eq!(saves.load(Relaxed), seen);
    }
}

#[test]
fn a_crash_at_a_save_can_be_called_off_and_ends_with_its_life() {
    in_both_worlds(|| {
        let (group, persister) = (Group::new("S1"), Persister::new());
        persister.crash_at_save(&group, 1, Moment::Before);
        persister.call_off_crash();
        persister.save_state(&1u64);
        persister.crash_at_save(&group, 1, Moment::Before);
        let next = persister.succeed();
        next.save_state(&2u64);
        assert!(!group.has_crashed());
        assert_eq!(next.raft_state(), Some(2u64));
    });
}

#[test]
fn in_real_mode_nobody_hears_of_a_save_that_was_not_made() {
    succeed(Run::real(1).time_limit(Duration::from_secs(60)).run(|| {
        let (group, persister) = (Group::new("S1"), Persister::new());
        let (network, end, handled) = server_in(&Group::new("S2"));
        let saves = persister.clone();
        let votes = Service::new("Raft").method("Vote", move |term: u64| {
            saves.save_state(&term);
            saves.save_state(&(term + 1)); // its thread goes on, but its saves have no effect
            drop(end.send::<_, ()>("S.Wait", &ms(0)));
            term
        });
        group.enter(|| network.add_server("S3", Server::new([votes]))).unwrap();
        let caller = network.make_end("caller");
        network.connect("caller", "S3");
        network.enable("caller", true);
        persister.crash_at_save(&group, 1, Moment::After);
        assert_eq!(caller.call::<u64, u64>("Raft.Vote", &7), None);
        assert!(group.wait_crashed(Duration::ZERO));
        assert_eq!(network.shutdown(Duration::from_secs(5)), Vec::<String>::new());
        assert_eq!(persister.succeed().raft_state(), Some(7u64));
        assert_eq!(handled.load(Relaxed), 0);
    }));
}
