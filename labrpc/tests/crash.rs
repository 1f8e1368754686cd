//! How threads of a simulation end: at a server's crash, at the end of the run, at a failure. No thread runs another
//! statement of its body, all destructors run, and no value is left.

#![allow(missing_docs, reason = "tests")]

mod common;

use common::{alone, failure, succeed};
use labrpc::channel::{self, Receiver, Sender, select};
use labrpc::run::{FailureKind, Outcome, Run};
use labrpc::sync::{Condvar, Mutex, MutexGuard};
use labrpc::thread::{self, Group, JoinHandle};
use labrpc::time::sleep;
use labrpc::{Network, Pending, Server, Service, rand, sim};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

type Body = Box<dyn FnOnce() + Send>;

/// Counts the values that it has made and that were not dropped yet.
#[derive(Clone, Default)]
struct Live(Arc<AtomicI64>);

struct Counted(Live);

impl Live {
    fn one(&self) -> Counted {
        self.0.fetch_add(1, Relaxed);
        Counted(self.clone())
    }

    fn count(&self) -> i64 {
        self.0.load(Relaxed)
    }

    #[track_caller]
    fn assert_none(&self) {
        assert_eq!(self.count(), 0, "values that were not dropped");
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

/// Runs its closure when dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A seeded number of microseconds.
fn micros(range: std::ops::Range<u64>) -> Duration {
    Duration::from_micros(rand::tester().range("when", range))
}

fn named(name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().name(name).spawn(body).unwrap()
}

/// Starts threads that wait in every possible way, named and unnamed, each with values on its stack, in its closure, in
/// locks and in channels. What they wait for never happens while the returned value is kept.
fn wait_in_every_way(live: &Live) -> impl Sized + use<> {
    let lock = Arc::new((Mutex::new(live.one()), Condvar::new()));
    let (full, empty) = channel::bounded::<Counted>(1);
    let (offer, nobody_takes) = channel::bounded::<Counted>(0);
    full.send(live.one()).unwrap();
    let network = Network::new();
    network.long_delays(true);
    let (held, kept) = (lock.clone(), live.one());
    let hang = Service::new("S").method("Hang", move |(): ()| {
        let _kept = &kept;
        held.1.wait(&mut held.0.lock());
    });
    network.add_server("server", Server::new([hang]));
    let ends = ["open", "cut"].map(|name| network.make_end(name));
    network.connect("open", "server");
    network.enable("open", true);
    let other_lock = Arc::new(Mutex::new(live.one()));

    let mut ways: Vec<(&str, Body)> = Vec::new();
    let mut way = |name, body: Body| ways.push((name, body));
    let l = lock.clone();
    way("condvar", Box::new(move || l.1.wait(&mut l.0.lock())));
    let l = lock.clone();
    way("condvar, timed", Box::new(move || _ = l.1.wait_for(&mut l.0.lock(), HOUR)));
    let l = other_lock.clone();
    way("lock", Box::new(move || (sleep(Duration::from_millis(1)), drop(l.lock())).1));
    let l = other_lock.clone();
    way(
        "holds a lock",
        Box::new(move || {
            let _guard = l.lock();
            sleep(HOUR);
        }),
    );
    let (sender, one) = (full.clone(), live.one());
    way("send", Box::new(move || _ = sender.send(one)));
    let (sender, one) = (offer.clone(), live.one());
    way("rendezvous", Box::new(move || _ = sender.send(one)));
    let (silent, receiver) = channel::unbounded::<Counted>();
    let never = channel::never::<Counted>();
    way("receive", Box::new(move || _ = never.recv()));
    way("receive, timed", Box::new(move || _ = receiver.recv_timeout(HOUR)));
    let (sender, one, never) = (full.clone(), live.one(), channel::never::<Counted>());
    way(
        "select",
        Box::new(move || {
            select! {
                send(sender, one) -> _ => {}
                recv(never) -> _ => {}
                recv(channel::tick(HOUR)) -> _ => {}
            }
        }),
    );
    way("sleep", Box::new(|| sleep(HOUR)));
    way(
        "yield",
        Box::new(|| {
            loop {
                thread::yield_now();
                sleep(Duration::from_millis(1));
            }
        }),
    );
    let sleeper = thread::spawn(|| sleep(HOUR));
    way("join", Box::new(move || _ = sleeper.join()));
    for end in ends {
        let call = move || while end.call::<_, ()>("S.Hang", &()).is_none() {};
        way("call", Box::new(call));
    }
    let group = Group::new("others");
    group.enter(|| thread::spawn(|| sleep(HOUR)));
    way("group", Box::new(move || _ = group.wait_ended(HOUR)));

    for (i, (name, body)) in ways.into_iter().enumerate() {
        let (in_closure, live) = (live.one(), live.clone());
        let all = move || {
            let _on_stack = live.one();
            body();
            drop(in_closure);
            unreachable!("{name} went on");
        };
        let _thread = if i % 2 == 0 { named(name, all) } else { thread::spawn(all) };
    }
    (empty, nobody_takes, silent, network)
}

#[test]
fn the_end_of_a_run_drops_everything() {
    for seed in 0..20 {
        let live = Live::default();
        let inside = live.clone();
        succeed(sim::run(seed, move || {
            let _waited_for = wait_in_every_way(&inside);
            sleep(rand::tester().millis("when", 0..20));
        }));
        live.assert_none();
    }
}

#[test]
fn a_failure_drops_everything() {
    for seed in 0..20 {
        let live = Live::default();
        let inside = live.clone();
        let outcome = sim::run(seed, move || {
            let _waited_for = wait_in_every_way(&inside);
            thread::spawn(|| {
                sleep(rand::tester().millis("when", 0..20));
                panic!("enough");
            });
            sleep(HOUR);
        });
        failure(outcome, FailureKind::Panic, &["enough"]);
        live.assert_none();
    }
}

#[test]
fn a_crash_drops_everything_at_once() {
    for seed in 0..50 {
        let live = Live::default();
        let inside = live.clone();
        succeed(sim::run(seed, move || {
            let group = Group::new("S0");
            let waited_for = group.enter(|| wait_in_every_way(&inside));
            sleep(rand::tester().millis("when", 0..20));
            group.crash();
            assert_eq!(group.alive(), [""; 0]);
            drop(waited_for);
            inside.assert_none();
        }));
        live.assert_none();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn no_thread_of_the_system_is_left() {
    alone("no_thread_of_the_system_is_left", || {
        let before = common::os_threads();
        for seed in 0..10 {
            let used = succeed(sim::run(seed, || {
                let group = Group::new("S0");
                let _waited_for = group.enter(|| wait_in_every_way(&Live::default()));
                let _waited_for_too = wait_in_every_way(&Live::default());
                sleep(Duration::from_millis(5));
                group.crash();
                common::os_threads()
            }));
            assert!(used > before + 20, "{used} threads, {before} before");
            assert_eq!(common::os_threads(), before);
            let failed = sim::run(seed, || {
                let _waited_for = wait_in_every_way(&Live::default());
                panic!("enough");
            });
            failure::<()>(failed, FailureKind::Panic, &["enough"]);
            assert_eq!(common::os_threads(), before);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn threads_that_have_ended_are_not_kept() {
    alone("threads_that_have_ended_are_not_kept", || {
        let most = succeed(sim::run(1, || {
            let mut most = 0;
            for _ in 0..300 {
                named("short", || ()).join().unwrap();
                thread::spawn(|| ()).join().unwrap();
                most = most.max(common::os_threads());
            }
            most
        }));
        assert!(most < 20, "{most} threads at once");
    });
}

// What a crashed thread still does.

/// A body that counts its statements, so that a test sees one statement too many.
fn count_for_ever(progress: &AtomicU64) {
    loop {
        progress.fetch_add(1, Relaxed);
        sleep(Duration::from_micros(100));
        progress.fetch_add(1, Relaxed);
        thread::yield_now();
    }
}

#[test]
fn a_crashed_thread_runs_no_other_statement() {
    for seed in 0..50 {
        succeed(sim::run(seed, || {
            let group = Group::new("S0");
            let progress = Arc::new(AtomicU64::new(0));
            for _ in 0..3 {
                let progress = progress.clone();
                group.enter(|| thread::spawn(move || count_for_ever(&progress)));
            }
            sleep(micros(0..5000));
            let before = progress.load(Relaxed);
            group.crash();
            sleep(Duration::from_secs(1));
            assert_eq!(progress.load(Relaxed), before);
        }));
    }
}

#[test]
fn a_thread_may_crash_its_own_group() {
    succeed(sim::run(1, || {
        let group = Group::new("S0");
        let went_on = Arc::new(AtomicBool::new(false));
        let (own, flag) = (group.clone(), went_on.clone());
        group.enter(|| {
            thread::spawn(|| sleep(HOUR));
            thread::spawn(move || {
                own.crash();
                flag.store(true, Relaxed);
            });
        });
        sleep(Duration::from_secs(1));
        assert_eq!(group.alive(), [""; 0]);
        assert!(!went_on.load(Relaxed));
    }));
}

#[test]
fn others_see_a_crashed_thread_end() {
    succeed(sim::run(1, || {
        let group = Group::new("S0");
        let (sender, receiver) = channel::unbounded::<u8>();
        let joined = group.enter(|| {
            thread::spawn(move || {
                let _sender = sender;
                sleep(HOUR);
            })
        });
        let joined = joined.unwrap();
        let waits = thread::spawn(move || receiver.recv());
        sleep(Duration::from_millis(1));
        group.crash();
        assert!(joined.is_finished() && joined.join().is_err());
        assert!(waits.join().unwrap().is_err(), "its sender was dropped");
    }));
}

// Locks.

#[test]
fn survivors_get_the_locks_of_a_crashed_group() {
    for seed in 0..300 {
        succeed(sim::run(seed, || {
            let lock = Arc::new(Mutex::new(0u32));
            let group = Group::new("S0");
            let use_it = |lock: Arc<Mutex<u32>>| {
                move || {
                    for _ in 0..20 {
                        *lock.lock() += 1;
                        let guard = lock.lock();
                        sleep(Duration::from_micros(50));
                        drop(guard);
                    }
                }
            };
            for _ in 0..4 {
                group.enter(|| thread::spawn(use_it(lock.clone())));
            }
            let survivors: Vec<_> = (0..3).map(|_| thread::spawn(use_it(lock.clone()))).collect();
            sleep(micros(0..2000));
            group.crash();
            for survivor in survivors {
                survivor.join().unwrap();
            }
            assert!(*lock.lock() >= 60);
        }));
    }
}

#[test]
fn a_lock_that_a_crashed_thread_was_about_to_get_goes_to_the_next() {
    for seed in 0..300 {
        succeed(sim::run(seed, || {
            let lock = Arc::new(Mutex::new(()));
            let group = Group::new("S0");
            let moment = Duration::from_micros(100);
            let (holds, wants, survives) = (lock.clone(), lock.clone(), lock);
            group.enter(|| {
                thread::spawn(move || {
                    let guard = holds.lock();
                    sleep(moment);
                    drop(guard);
                    sleep(HOUR);
                });
                thread::spawn(move || {
                    sleep(moment / 2);
                    drop(wants.lock());
                });
            });
            let survivor = thread::spawn(move || {
                sleep(moment / 2);
                drop(survives.lock());
            });
            sleep(moment + micros(0..8));
            group.crash();
            survivor.join().unwrap();
        }));
    }
}

struct UsesGuard<'a>(MutexGuard<'a, u32>, Live);

impl Drop for UsesGuard<'_> {
    fn drop(&mut self) {
        let before = *self.0;
        *self.0 += 1;
        assert_eq!(*self.0, before + 1);
        drop(self.1.one());
    }
}

#[test]
fn a_destructor_may_use_the_guard_of_a_wait_that_a_crash_cut_short() {
    for seed in 0..100 {
        let count = Arc::new(AtomicU64::new(0));
        let counts = count.clone();
        succeed(sim::run(seed, move || {
            let shared = Arc::new((Mutex::new(0u32), Condvar::new()));
            let group = Group::new("S0");
            for i in 0..6 {
                let (shared, counts) = (shared.clone(), counts.clone());
                let waits = move || {
                    let _count = OnDrop(|| _ = counts.fetch_add(1, Relaxed));
                    let mut uses = UsesGuard(shared.0.lock(), Live::default());
                    loop {
                        if i % 2 == 0 {
                            shared.1.wait(&mut uses.0);
                        } else {
                            shared.1.wait_for(&mut uses.0, Duration::from_micros(30));
                        }
                    }
                };
                if i < 4 {
                    drop(group.enter(|| thread::spawn(waits)))
                } else {
                    drop(thread::spawn(waits))
                }
            }
            sleep(micros(50..300));
            group.crash();
            assert_eq!(*shared.0.lock() as u64, counts.load(Relaxed));
        }));
        assert_eq!(count.load(Relaxed), 6);
    }
}

// Destructors that wait.

/// Runs threads whose destructor does `last`, once for each way in which a thread can be ended. Asserts that each destructor came
/// to its end.
fn last_words(last: impl Fn() + Clone + Send + 'static) -> Vec<Outcome<()>> {
    let ended = Arc::new(AtomicU64::new(0));
    let ways: [fn(Group); 3] = [
        |_| sleep(Duration::from_millis(3)), // the end of the run
        |group| {
            sleep(Duration::from_millis(3));
            group.crash();
            sleep(Duration::from_millis(20));
        },
        |_| {
            sleep(Duration::from_millis(3));
            panic!("enough");
        },
    ];
    let mut outcomes = Vec::new();
    for seed in 0..10 {
        for way in ways {
            let (last, ended) = (last.clone(), ended.clone());
            outcomes.push(sim::run(seed, move || {
                let group = Group::new("S0");
                for _ in 0..3 {
                    let (last, ended) = (last.clone(), ended.clone());
                    group.enter(|| {
                        thread::spawn(move || {
                            let _ended = OnDrop(|| _ = ended.fetch_add(1, Relaxed));
                            let _last = OnDrop(last);
                            sleep(HOUR);
                        })
                    });
                }
                way(group);
            }));
        }
    }
    assert_eq!(
        ended.load(Relaxed),
        3 * outcomes.len() as u64,
        "not every destructor came to its end"
    );
    outcomes
}

/// Asserts that nothing but the panics of [`last_words`] itself failed.
#[track_caller]
fn assert_peaceful(outcomes: Vec<Outcome<()>>) {
    for outcome in outcomes {
        if let Err(failure) = outcome.result {
            assert!(failure.message == "enough", "{failure}");
        }
    }
}

#[test]
fn destructors_may_sleep_and_yield() {
    assert_peaceful(last_words(|| {
        sleep(Duration::from_millis(1));
        thread::yield_now();
    }));
}

#[test]
fn destructors_may_lock_and_wait_a_while() {
    assert_peaceful(last_words(|| {
        let lock = Arc::new((Mutex::new(0), Condvar::new()));
        *lock.0.lock() += 1;
        lock.1.wait_for(&mut lock.0.lock(), Duration::from_millis(1));
        lock.1.notify_all();
    }));
}

#[test]
fn destructors_may_use_channels() {
    assert_peaceful(last_words(|| {
        let (sender, receiver) = channel::unbounded();
        sender.send(1).unwrap();
        assert_eq!(receiver.recv(), Ok(1));
        assert!(receiver.recv_timeout(Duration::from_millis(1)).is_err());
        select! {
            recv(receiver) -> _ => unreachable!("it is empty"),
            default(Duration::from_millis(1)) => {}
        }
        drop(sender);
        assert!(receiver.recv().is_err());
    }));
}

#[test]
fn destructors_may_start_threads_and_join_them() {
    assert_peaceful(last_words(|| _ = thread::spawn(|| ()).join()));
}

#[test]
fn threads_that_destructors_start_crash_too() {
    assert_peaceful(last_words(|| drop(thread::spawn(|| sleep(HOUR)))));
    succeed(sim::run(1, || {
        let group = Group::new("S0");
        group.enter(|| {
            thread::spawn(|| {
                let _last = OnDrop(|| drop(thread::spawn(|| sleep(HOUR))));
                sleep(HOUR);
            })
        });
        sleep(Duration::from_millis(1));
        let begun = labrpc::time::Instant::now();
        group.crash();
        assert_eq!(group.alive(), [""; 0]);
        assert!(begun.elapsed() < Duration::from_secs(1), "waited for a thread of a crashed group");
    }));
}

#[test]
fn destructors_may_hand_on_to_others_who_are_ending_too() {
    for seed in 0..50 {
        let (got, live) = (Arc::new(AtomicU64::new(0)), Live::default());
        let (gets, lives) = (got.clone(), live.clone());
        succeed(sim::run(seed, move || {
            let (sender, receiver) = channel::bounded::<Counted>(1);
            let collector = thread::spawn(move || {
                let _last = OnDrop(|| {
                    while let Ok(_one) = receiver.recv() {
                        gets.fetch_add(1, Relaxed);
                    }
                });
                sleep(HOUR);
            });
            let mut threads = vec![collector];
            for _ in 0..5 {
                let (sender, lives) = (sender.clone(), lives.clone());
                threads.push(thread::spawn(move || {
                    let _last = OnDrop(|| _ = sender.send(lives.one()));
                    sleep(HOUR);
                }));
            }
            thread::spawn(move || {
                let _last = OnDrop(|| threads.drain(..).for_each(|thread| _ = thread.join()));
                sleep(HOUR);
            });
            drop(sender);
            sleep(Duration::from_millis(1));
        }));
        assert_eq!(got.load(Relaxed), 5, "seed {seed}");
        live.assert_none();
    }
}

/// For destructors that wait for something that never happens.
struct Never {
    lock: Mutex<()>,
    changed: Condvar,
    channel: (Sender<u8>, Receiver<u8>),
}

#[test]
fn a_destructor_that_waits_for_ever_is_let_go() {
    let ways: [fn(&Never); 5] = [
        |never| never.changed.wait(&mut never.lock.lock()),
        |never| _ = never.channel.1.recv(),
        |never| select! { recv(never.channel.1) -> _ => {} },
        |_| _ = channel::bounded(0).0.send(1),
        |_| {
            let (offer, _nobody_takes) = channel::bounded(0);
            let _ = offer.send(1);
        },
    ];
    for (i, way) in ways.into_iter().enumerate() {
        let live = Live::default();
        let inside = live.clone();
        let outcome = sim::run(1, move || {
            let (lock, changed) = (Mutex::new(()), Condvar::new());
            let never = Arc::new(Never { lock, changed, channel: channel::unbounded() });
            for _ in 0..3 {
                let (never, one) = (never.clone(), inside.one());
                thread::spawn(move || {
                    let _one = one;
                    let _last = OnDrop(|| way(&never));
                    sleep(HOUR);
                });
            }
            sleep(Duration::from_millis(1));
        });
        assert!(outcome.result.is_ok(), "way {i}: {:?}", outcome.result);
        live.assert_none();
    }
}

#[test]
fn a_destructor_that_insists_on_waiting_is_left_behind_by_name() {
    let outcome = sim::run(1, || {
        named("stubborn", || {
            let never = Mutex::new(false);
            let changed = Condvar::new();
            let _last = OnDrop(|| changed.wait_while(&mut never.lock(), |go| !*go));
            sleep(HOUR);
        });
        named("locks itself", || {
            let lock = Mutex::new(());
            let _last = OnDrop(|| {
                let _guard = lock.lock();
                drop(lock.lock());
            });
            sleep(HOUR);
        });
        sleep(Duration::from_millis(1));
    });
    failure(outcome, FailureKind::Leak, &["test/stubborn", "test/locks itself"]);
}

// Unwinding that somebody stops.

#[test]
fn a_thread_that_swallows_the_unwinding_ends_at_its_next_wait() {
    let live = Live::default();
    let inside = live.clone();
    succeed(sim::run(1, move || {
        let group = Group::new("S0");
        for _ in 0..2 {
            let one = inside.one();
            let swallows = move || {
                for _ in 0..5 {
                    let _ = catch_unwind(|| sleep(HOUR));
                }
                let _one = one;
                sleep(HOUR);
                unreachable!("went on");
            };
            group.enter(|| thread::spawn(swallows));
        }
        sleep(Duration::from_millis(1));
        group.crash();
        inside.assert_none();
    }));
}

#[test]
fn a_thread_that_swallows_every_unwinding_is_left_behind_by_name() {
    for at_a_crash in [false, true] {
        let outcome = sim::run(1, move || {
            let group = Group::new("S0");
            let lock = Arc::new(Mutex::new(0u64));
            group.enter(|| {
                named("undead", move || {
                    loop {
                        let _ = catch_unwind(AssertUnwindSafe(|| {
                            *lock.lock() += 1;
                            sleep(Duration::from_millis(1));
                        }));
                    }
                })
            });
            sleep(Duration::from_millis(1));
            if at_a_crash {
                group.crash();
                unreachable!("went on after a crash that failed");
            }
        });
        failure(outcome, FailureKind::Leak, &["S0/undead"]);
    }
}

#[test]
fn calls_to_a_crashing_server_return() {
    for seed in 0..100 {
        succeed(sim::run(seed, || {
            let network = Network::new();
            let group = Group::new("S0");
            let add = || {
                let busy = Arc::new(Mutex::new(0));
                Service::new("S").method("Add", move |n: u64| {
                    let mut sum = busy.lock();
                    sleep(Duration::from_micros(300));
                    *sum += n;
                    *sum
                })
            };
            group.enter(|| network.add_server("S0", Server::new([add()])));
            let end = network.make_end("end");
            network.connect("end", "S0");
            network.enable("end", true);
            let calls: Vec<Pending<u64>> = (0..10).map(|_| end.send("S.Add", &1u64)).collect();
            sleep(micros(0..5000));
            group.crash();
            network.delete_server("S0");
            let answered = calls.into_iter().filter_map(Pending::wait).count() as u64;
            let group = Group::new("S0");
            group.enter(|| network.add_server("S0", Server::new([add()])));
            assert_eq!(end.call::<_, u64>("S.Add", &1u64), Some(1), "{answered} answered before");
            network.shutdown(Duration::ZERO);
        }));
    }
}

#[test]
fn a_limit_on_virtual_time_ends_what_would_run_for_ever() {
    let live = Live::default();
    let inside = live.clone();
    let run = Run::simulated(1).time_limit(Duration::from_secs(10));
    let outcome = run.run(move || {
        let _waited_for = wait_in_every_way(&inside);
        loop {
            sleep(Duration::from_millis(10));
        }
    });
    assert_eq!(outcome.lab_time.as_secs(), 10);
    let failure =
        failure::<()>(outcome, FailureKind::TimeLimit, &["10s", "test/condvar has waited"]);
    assert_eq!(failure.at.as_secs(), 10);
    live.assert_none();
}
