//! The simulation's own tests: the same seed gives the same run, and failures name the threads and places.

#![allow(missing_docs, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "some tests are about threads of std")]
#![allow(clippy::disallowed_types, reason = "what leaves a simulation is kept outside it")]

mod common;

use ::rand::RngExt;
use common::{failure, succeed};
use labrpc::channel::{self, Receiver, Sender, select};
use labrpc::run::{self, Failure, FailureKind, Outcome, Run};
use labrpc::sync::{Condvar, Mutex};
use labrpc::thread::{self, Group, JoinHandle};
use labrpc::time::{Instant, sleep};
use labrpc::trace::{self, Event};
use labrpc::{Network, Pending, Persister, Server, Service, rand, sim};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn named(name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().name(name).spawn(body).unwrap()
}

fn joined<T>(threads: Vec<JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

// Replay.

/// Everything at once: servers that crash, an unreliable network, locks, channels, time and random numbers. The result depends on
/// the order in which things happened.
fn busy_day() -> Vec<u64> {
    let network = Network::new();
    network.reliable(false);
    network.long_reordering(true);
    let log = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
    let (logs, persister) = (log.clone(), Persister::new());
    let group = Group::new("S0");
    group.enter(|| {
        let put = Service::new("Log").method("Put", move |n: u64| {
            let mut log = logs.0.lock();
            log.push(n);
            persister.append(&n);
            logs.1.notify_all();
            log.len()
        });
        network.add_server("S0", Server::new([put]));
    });
    let (sender, receiver) = channel::bounded(2);
    let client = |i: u64| {
        let name = format!("C{i}");
        let end = network.make_end(name.clone());
        network.connect(&name, "S0");
        network.enable(&name, true);
        let sender = sender.clone();
        let body = move || {
            for j in 0..10 {
                sleep(Duration::from_micros(rand::rng().random_range(0..20_000)));
                let reply: Option<usize> = end.call_timeout("Log.Put", &(100 * i + j), ms(300));
                sender.send(reply.is_some()).unwrap();
            }
        };
        if i.is_multiple_of(2) { named(&name, body) } else { thread::spawn(body) }
    };
    let clients: Vec<_> = (0..5).map(client).collect();
    drop(sender);
    let counts = thread::spawn(move || receiver.iter().filter(|answered| *answered).count() as u64);
    {
        let mut length = log.0.lock();
        while length.len() < 10 {
            log.1.wait_for(&mut length, ms(1));
        }
    }
    trace::note("ten are in");
    network.enable("C1", false);
    sleep(rand::tester().millis("when", 0..50));
    group.crash();
    network.delete_server("S0");
    joined(clients);
    let mut seen = log.0.lock().clone();
    seen.push(counts.join().unwrap());
    seen.push(Instant::now().elapsed().as_nanos() as u64);
    seen
}

/// What two runs of one seed have in common.
fn footprint<R>(outcome: &Outcome<R>) -> (u64, u64, Duration) {
    (outcome.fingerprint, outcome.steps, outcome.lab_time)
}

/// A sink that keeps its lines.
fn kept_lines() -> (Arc<std::sync::Mutex<Vec<String>>>, impl FnMut(&Event) + Send + 'static) {
    let lines = Arc::new(std::sync::Mutex::new(Vec::new()));
    let keeps = lines.clone();
    (lines, move |event: &Event| keeps.lock().unwrap().push(event.to_string()))
}

#[test]
fn a_seed_is_a_run() {
    for seed in 0..30 {
        let runs = [(); 2].map(|()| {
            let (lines, sink) = kept_lines();
            let outcome = Run::simulated(seed).trace(sink).run(busy_day);
            let lines = std::mem::take(&mut *lines.lock().unwrap());
            assert!(lines.len() > 100, "{} lines", lines.len());
            (footprint(&outcome), succeed(outcome), lines)
        });
        assert_eq!(runs[0], runs[1]);
        let untraced = sim::run(seed, busy_day);
        assert_eq!((footprint(&untraced), succeed(untraced)), (runs[0].0, runs[0].1.clone()));
    }
}

#[test]
fn another_seed_is_another_run() {
    let outcomes: Vec<_> = (0..100).map(|seed| sim::run(seed, busy_day)).collect();
    let prints: BTreeSet<u64> = outcomes.iter().map(|outcome| outcome.fingerprint).collect();
    assert_eq!(prints.len(), 100);
    let results: BTreeSet<Vec<u64>> = outcomes.into_iter().map(succeed).collect();
    assert!(results.len() > 95, "only {} courses of events", results.len());
}

#[test]
fn a_failure_is_replayed_too() {
    let fails = |seed| {
        let outcome = sim::run(seed, || {
            thread::spawn(|| {
                sleep(rand::tester().range("when", 0..300_000) as u32 * Duration::from_micros(1));
                panic!("enough");
            });
            busy_day()
        });
        (footprint(&outcome), outcome.result.map_err(|failure| (failure.at, failure.to_string())))
    };
    for seed in 0..20 {
        assert_eq!(fails(seed), fails(seed));
    }
}

#[test]
fn simulations_side_by_side_disturb_nothing() {
    let alone: Vec<_> = (0..24).map(|seed| footprint(&sim::run(seed, busy_day))).collect();
    let side_by_side = std::thread::scope(|scope| {
        let run_some = |first: u64| {
            scope.spawn(move || {
                let seeds = (first..24).step_by(4);
                seeds.map(|seed| (seed, footprint(&sim::run(seed, busy_day)))).collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = (0..4).map(run_some).collect();
        let results = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        results.collect::<Vec<_>>()
    });
    assert_eq!(side_by_side.len(), 24);
    for (seed, found) in side_by_side {
        assert_eq!(found, alone[seed as usize], "seed {seed}");
    }
}

#[test]
fn a_simulation_runs_inside_a_thread_of_another() {
    let inner = || succeed(sim::run(7, busy_day));
    let nested = sim::run(1, move || {
        sleep(ms(1));
        let result = std::thread::spawn(inner).join().unwrap();
        sleep(ms(1));
        result
    });
    assert_eq!(succeed(nested), inner());
}

/// A random program of threads that share locks, channels and condition variables. It always ends, because every wait has a
/// timeout.
fn random_program() -> u64 {
    let locks: Arc<Vec<_>> = Arc::new((0..3).map(|i| (Mutex::new(i), Condvar::new())).collect());
    let channels: Vec<(Sender<u64>, Receiver<u64>)> =
        vec![channel::bounded(0), channel::bounded(1), channel::bounded(3), channel::unbounded()];
    let worker = |id: u64| {
        let (locks, channels) = (locks.clone(), channels.clone());
        move || {
            let mut sum = id;
            for _ in 0..15 {
                sum = sum.wrapping_mul(31).wrapping_add(random_step(&locks, &channels, id));
            }
            sum
        }
    };
    let threads: Vec<_> = (0..rand::rng().random_range(2..7))
        .map(|id| {
            if rand::rng().random_bool(0.3) {
                thread::Builder::new().name(format!("worker {id}")).spawn(worker(id)).unwrap()
            } else {
                thread::spawn(worker(id))
            }
        })
        .collect();
    joined(threads).into_iter().fold(0, |all, sum| all.wrapping_mul(37).wrapping_add(sum))
}

fn random_step(
    locks: &[(Mutex<u64>, Condvar)],
    channels: &[(Sender<u64>, Receiver<u64>)],
    id: u64,
) -> u64 {
    let mut rng = rand::rng();
    let (lock, changed) = &locks[rng.random_range(0..locks.len())];
    let (sender, receiver) = &channels[rng.random_range(0..channels.len())];
    let (other, other_receiver) = &channels[rng.random_range(0..channels.len())];
    let time = Duration::from_micros(rng.random_range(0..200));
    match rng.random_range(0..12) {
        0 | 1 => {
            let mut value = lock.lock();
            *value += id;
            thread::yield_now();
            changed.notify_one();
            *value
        }
        2 => {
            let mut value = lock.lock();
            let timed_out = changed.wait_for(&mut value, time).timed_out();
            *value * 2 + u64::from(timed_out)
        }
        3 => lock.try_lock().map_or(5, |value| *value),
        4 => u64::from(sender.try_send(id).is_ok()),
        5 => u64::from(sender.send_timeout(id, time).is_ok()),
        6 => receiver.try_recv().unwrap_or(11),
        7 => receiver.recv_timeout(time).unwrap_or(13),
        8 => select! {
            recv(receiver) -> message => message.unwrap_or(17),
            send(other, id) -> sent => u64::from(sent.is_ok()),
            default(time) => 19,
        },
        9 => select! {
            recv(receiver) -> message => message.unwrap_or(23),
            recv(other_receiver) -> message => message.unwrap_or(29),
            recv(channel::after(time)) -> _ => 31,
        },
        10 => {
            let child = thread::spawn(move || sleep(time));
            child.join().map_or(0, |()| 37)
        }
        _ => {
            sleep(time);
            changed.notify_all();
            (time.as_nanos() % 41) as u64
        }
    }
}

#[test]
fn random_programs_replay() {
    let mut results = BTreeSet::new();
    for seed in 0..300 {
        let runs = [(); 2].map(|()| {
            let outcome = sim::run(seed, random_program);
            (footprint(&outcome), succeed(outcome))
        });
        assert_eq!(runs[0], runs[1], "seed {seed}");
        results.insert(runs[0].1);
    }
    assert!(results.len() > 290);
}

// Time.

#[test]
fn virtual_time_is_exact_and_costs_nothing() {
    let outcome = sim::run(1, || {
        let begun = Instant::now();
        let sleepers = |i: u64| thread::spawn(move || sleep(Duration::from_secs(i * 100)));
        joined((1..=36).map(sleepers).collect());
        begun.elapsed()
    });
    assert!(outcome.steps < 1000, "{} steps for 36 sleeps", outcome.steps);
    let took = succeed(outcome);
    let hour = Duration::from_secs(3600);
    assert!(hour <= took && took < hour + ms(1), "{took:?}");
}

#[test]
fn a_loop_that_watches_the_clock_lets_time_pass() {
    succeed(sim::run(1, || {
        let ready = Arc::new(AtomicBool::new(false));
        let sets = ready.clone();
        thread::spawn(move || {
            sleep(ms(1));
            sets.store(true, Relaxed);
        });
        let begun = Instant::now();
        while begun.elapsed() < ms(2) {}
        assert!(ready.load(Relaxed));
    }));
}

#[test]
fn interleavings_differ_where_nobody_blocks() {
    let orders: BTreeSet<Vec<u32>> = (0..100)
        .map(|seed| {
            succeed(sim::run(seed, || {
                let order = Arc::new(Mutex::new(Vec::new()));
                let push = |i| {
                    let order = order.clone();
                    thread::spawn(move || (0..50).for_each(|_| order.lock().push(i)))
                };
                joined((0..2).map(push).collect());
                order.lock().clone()
            }))
        })
        .collect();
    assert!(orders.len() > 50, "{} orders in 100 seeds", orders.len());
}

// Hangs.

/// Starts threads that hang at a known line, and notes what a report must say about them.
#[derive(Clone, Default)]
struct Expected(Arc<std::sync::Mutex<Vec<String>>>);

impl Expected {
    fn hangs(&self, name: &str, what: &str, line: u32, body: impl FnOnce() + Send + 'static) {
        self.note(&format!("S1/{name}"), what, line);
        Group::new("S1").enter(|| named(name, body));
    }

    fn note(&self, thread: &str, what: &str, line: u32) {
        let mut all = self.0.lock().unwrap();
        all.push(format!("{thread} has waited since 0.00"));
        all.push(format!(" s: {what} at {}:{line}", file!()));
    }

    /// Asserts that the report has the words, and a line for each of the threads.
    #[track_caller]
    fn assert_in<R>(&self, outcome: Outcome<R>, kind: FailureKind) -> Failure {
        let all = self.0.lock().unwrap();
        let words: Vec<&str> = all.iter().map(String::as_str).collect();
        let failure = failure(outcome, kind, &words);
        let threads = failure.message.matches(" has waited since ").count();
        assert_eq!(threads, words.len() / 2, "{failure}");
        failure
    }
}

fn holding<T>(lock: &Mutex<T>, f: impl FnOnce()) {
    let _guard = lock.lock();
    f();
}

#[test]
fn a_deadlock_names_every_thread_what_it_waits_for_and_where() {
    let expected = Expected::default();
    let e = expected.clone();
    let outcome: Outcome<()> = sim::run(3, move || {
        let (lock, changed) = (Mutex::new(()), Condvar::new());
        let held = Arc::new(Mutex::new(()));
        let wanted = held.clone();
        let (_sender, receiver) = channel::unbounded::<u8>();
        let (offer, _nobody) = channel::bounded::<u8>(0);
        let [never, never_too] = [(); 2].map(|()| channel::never::<u8>());
        e.hangs("receiver", "receive", line!(), move || _ = receiver.recv());
        e.hangs("sender", "send", line!(), move || _ = offer.send(1));
        e.hangs("ticker", "condition variable", line!(), move || changed.wait(&mut lock.lock()));
        e.hangs("chooser", "select!", line!(), move || select! { recv(never) -> _ => {} });
        e.hangs("holder", "receive", line!(), move || holding(&held, || _ = never_too.recv()));
        sleep(ms(1));
        e.hangs("waiter", "lock", line!(), move || drop(wanted.lock()));
        let joins = thread::spawn(|| channel::never::<u8>().recv());
        e.note("test/unnamed", "receive", line!() - 1);
        e.note("test/main", "join", line!() + 1);
        drop(joins.join());
    });
    let failure = expected.assert_in(outcome, FailureKind::Deadlock);
    assert!(failure.message.contains("held by S1/holder"), "{failure}");
    assert_eq!((failure.seed, failure.at.as_millis()), (3, 1));
}

#[test]
fn a_lock_taken_twice_is_reported_at_once() {
    let expected = Expected::default();
    let e = expected.clone();
    let outcome: Outcome<()> = ten_seconds().run(move || {
        let lock = Mutex::new(());
        thread::spawn(|| loop_for_ever()); // so that there is no deadlock
        sleep(ms(5));
        e.hangs("twice", "lock", line!(), move || holding(&lock, || drop(lock.lock())));
        loop_for_ever()
    });
    let failure = expected.assert_in(outcome, FailureKind::Deadlock);
    assert!(failure.message.starts_with("S1/twice takes a lock that it already holds"));
    assert_eq!((failure.at.as_millis(), &failure.thread[..]), (5, "S1/twice"));
}

/// A run with a time limit, so that it ends even if no failure is reported.
fn ten_seconds() -> Run {
    Run::simulated(1).time_limit(Duration::from_secs(10))
}

fn loop_for_ever() -> ! {
    loop {
        sleep(ms(1));
    }
}

#[test]
fn locks_taken_in_a_circle_are_reported_when_it_closes() {
    for n in [2, 3, 5] {
        let expected = Expected::default();
        let e = expected.clone();
        let outcome: Outcome<()> = ten_seconds().run(move || {
            let locks: Arc<Vec<_>> = Arc::new((0..n).map(Mutex::new).collect());
            let bystander = locks.clone();
            for i in 0..n {
                let locks = locks.clone();
                let all = bystander.clone();
                let line = line!() + 1;
                let next = move || drop((sleep(ms(5)), locks[(i + 1) % n].lock()));
                e.hangs(&format!("T{i}"), "lock", line, move || holding(&all[i], next));
            }
            sleep(ms(1));
            thread::spawn(move || drop(bystander[0].lock())); // not part of the circle
            loop_for_ever()
        });
        let failure = expected.assert_in(outcome, FailureKind::Deadlock);
        assert!(
            failure.message.starts_with("threads wait for each other's locks in a circle"),
            "{failure}"
        );
        assert_eq!(failure.at.as_millis(), 5);
        for i in 0..n {
            assert!(failure.message.contains(&format!("held by S1/T{i}")), "{failure}");
        }
    }
}

#[test]
fn a_lock_that_is_only_busy_is_no_circle() {
    for seed in 0..100 {
        succeed(sim::run(seed, || {
            let locks = Arc::new([Mutex::new(0), Mutex::new(0)]);
            let busy = |i: usize| {
                let locks = locks.clone();
                thread::spawn(move || {
                    for round in 0..10 {
                        // Holds both locks in the same order, or only one at a time in any order.
                        if (i + round).is_multiple_of(2) {
                            let first = locks[0].lock();
                            thread::yield_now();
                            *locks[1].lock() += *first;
                        } else {
                            *locks[1].lock() += 1;
                            *locks[0].lock() += 1;
                        }
                    }
                })
            };
            joined((0..4).map(busy).collect());
        }));
    }
}

#[test]
fn a_long_wait_for_a_lock_is_told_with_any_failure() {
    let outcome: Outcome<()> = sim::run(1, || {
        let lock = Arc::new(Mutex::new(()));
        let wanted = lock.clone();
        named("careless", move || holding(&lock, || sleep(Duration::from_secs(100))));
        sleep(ms(1));
        named("patient", move || drop(wanted.lock()));
        sleep(Duration::from_secs(10));
        run::fail("no leader");
    });
    let words =
        &["no leader", "test/patient has waited since", "held by test/careless", "sleep at"];
    let failure = failure(outcome, FailureKind::Test, words);
    assert_eq!(failure.place.as_deref().map(|place| place.contains("simulation.rs")), Some(true));
}

/// There is only one such test, because the watchdog needs ten seconds of real time.
#[test]
fn a_thread_that_spins_fails_the_run_and_not_the_process() {
    let over = Arc::new(AtomicBool::new(false));
    let flag = over.clone();
    let outcome = sim::run(1, move || {
        named("spinner", move || {
            while !flag.load(Relaxed) {
                std::thread::sleep(ms(1)); // saves CPU time; the scheduler does not see it
            }
        });
        sleep(Duration::from_secs(1));
    });
    failure(outcome, FailureKind::Stall, &["test/spinner", "std::thread::sleep", "seed 1"]);
    assert!(sim::run(1, busy_day).result.is_ok(), "another run is not affected");
    over.store(true, Relaxed);
}

#[test]
fn a_run_that_goes_on_for_ever_is_ended() {
    let outcome: Outcome<()> = ten_seconds().run(|| {
        named("ticker", || loop_for_ever());
        named("applier", || _ = channel::never::<u8>().recv());
        sleep(Duration::from_secs(1000));
    });
    let words =
        &["10s", "test/main has waited", "sleep at", "test/applier has waited", "simulation.rs"];
    let failure = failure(outcome, FailureKind::TimeLimit, words);
    assert!(failure.at.abs_diff(Duration::from_secs(10)) <= ms(1), "{failure}");
}

// Strangers: threads from outside the simulation.

type Body = Box<dyn FnOnce() + Send>;

/// A thread of std uses an object that was made in a simulation, while the simulation's own thread waits for it.
fn stranger(what: &str, make: fn() -> Body) {
    let name = format!("stranger to a {what}");
    let words = [&name, what, "labrpc::thread::spawn", "not std::thread::spawn"];
    let title = name.clone();
    let outcome = sim::run(1, move || {
        let stranger = std::thread::Builder::new().name(title).spawn(make()).unwrap();
        assert!(stranger.join().is_err(), "the stranger should have panicked");
        sleep(ms(1));
        unreachable!("the run went on");
    });
    let failure = failure::<()>(outcome, FailureKind::Stranger, &words);
    assert!(failure.message.contains(file!()), "{failure}");
}

#[test]
fn a_stranger_fails_the_run_and_is_told_of_labrpc_thread() {
    stranger("mutex", || {
        let lock = Mutex::new(());
        Box::new(move || drop(lock.lock()))
    });
    stranger("mutex", || {
        let lock = Mutex::new(());
        Box::new(move || drop(lock.try_lock()))
    });
    stranger("condition variable", || {
        let changed = Condvar::new();
        Box::new(move || changed.notify_all())
    });
    stranger("channel", || {
        let (sender, receiver) = channel::unbounded();
        Box::new(move || drop((sender.send(1), receiver)))
    });
    stranger("channel", || {
        let never = channel::never::<u8>();
        Box::new(move || _ = never.recv())
    });
    stranger("channel", || {
        let never = channel::never::<u8>();
        Box::new(move || _ = never.try_recv())
    });
    stranger("channel", || {
        let never = channel::never::<u8>();
        Box::new(move || select! { recv(never) -> _ => {}, default => {} })
    });
    stranger("thread", || {
        let sleeper = thread::spawn(|| sleep(ms(1)));
        Box::new(move || _ = sleeper.join())
    });
    stranger("network", || {
        let network = Network::new();
        let end = network.make_end("end");
        Box::new(move || drop((end.call::<_, ()>("S.Do", &()), network)))
    });
}

#[test]
fn a_thread_of_another_simulation_is_a_stranger_too() {
    let outcome: Outcome<()> = sim::run(1, || {
        let lock = Mutex::new(());
        let inside = move || sim::run(2, move || drop(lock.lock())).result.is_err();
        assert!(std::thread::spawn(inside).join().unwrap());
        sleep(ms(1));
        unreachable!("the run went on");
    });
    failure(outcome, FailureKind::Stranger, &["mutex", "labrpc::thread::spawn"]);
}

#[test]
fn objects_outlive_their_simulation() {
    let (lock, sender, receiver) = succeed(sim::run(1, || {
        let (sender, receiver) = channel::unbounded();
        sender.send(1).unwrap();
        (Mutex::new(7), sender, receiver)
    }));
    assert_eq!(*lock.lock(), 7);
    drop((sender, receiver));
}

#[test]
fn a_channel_from_outside_is_refused_before_it_blocks_everything() {
    let (_sender, receiver) = channel::unbounded::<u8>();
    let outcome = sim::run(1, move || receiver.recv());
    failure(outcome, FailureKind::Panic, &["made outside the simulation"]);
}

// Panics.

/// A run in which `body` panics with "enough" 3 ms after the start, while main waits.
fn panics(start: fn(Body), thread: &str) {
    let outcome: Outcome<()> = sim::run(5, move || {
        let body = || {
            sleep(ms(3));
            panic!("enough");
        };
        start(Box::new(body));
        sleep(Duration::from_secs(1000));
        unreachable!("the run went on");
    });
    let words = &["panicked: enough", file!(), "virtual time 0.00", "seed 5", thread];
    let failure = failure(outcome, FailureKind::Panic, words);
    assert_eq!((&failure.thread[..], failure.seed, failure.simulated), (thread, 5, true));
    // A handler begins up to two milliseconds later.
    assert!((3..=5).contains(&failure.at.as_millis()), "{failure}");
}

#[test]
fn a_panic_in_any_thread_fails_the_run() {
    panics(|body| body(), "test/main");
    panics(|body| _ = named("ticker", body), "test/ticker");
    panics(|body| _ = thread::spawn(body), "test/unnamed");
    panics(|body| _ = Group::new("S2").enter(|| named("applier", body)), "S2/applier");
    panics(|body| _ = thread::spawn(body).join(), "test/unnamed");
    // In a handler.
    panics(
        |body| {
            let body = Mutex::new(Some(body));
            let handler = move |(): ()| body.lock().take().unwrap()();
            let service = Service::new("Bad").method("Luck", handler);
            let network = Network::new();
            Group::new("S3").enter(|| network.add_server("S3", Server::new([service])));
            let end = network.make_end("end");
            network.connect("end", "S3");
            network.enable("end", true);
            let _pending: Pending<()> = end.send("Bad.Luck", &());
            std::mem::forget(network);
        },
        "S3/Bad.Luck",
    );
}

#[test]
fn only_the_first_failure_counts() {
    for seed in 0..20 {
        let outcome: Outcome<()> = sim::run(seed, || {
            for i in 0..5 {
                thread::spawn(move || {
                    struct Late;
                    impl Drop for Late {
                        fn drop(&mut self) {
                            let _ = std::panic::catch_unwind(|| panic!("late"));
                        }
                    }
                    let _late = Late;
                    sleep(ms(10 - i));
                    panic!("panic {i}");
                });
            }
            sleep(Duration::from_secs(1));
        });
        failure(outcome, FailureKind::Panic, &["panicked: panic 4"]);
    }
}

#[test]
fn a_verdict_fails_the_run_from_any_thread() {
    let outcome: Outcome<()> = sim::run(1, || {
        thread::spawn(|| run::fail("two leaders in term 3"));
        sleep(Duration::from_secs(1));
        unreachable!("the run went on");
    });
    let words = &["two leaders in term 3", "test/unnamed", file!()];
    let failure = failure(outcome, FailureKind::Test, words);
    assert!(failure.to_string().starts_with("two leaders"), "{failure}");
}

#[test]
fn a_test_may_be_given_up() {
    let outcome: Outcome<()> = sim::run(1, || {
        thread::spawn(|| run::give_up("it has no leader"));
        sleep(Duration::from_secs(1));
        unreachable!("the run went on");
    });
    let kind = FailureKind::GivenUp("it has no leader");
    failure(outcome, kind, &["given up: it has no leader"]);
}

#[test]
fn any_payload_will_do_for_a_panic() {
    struct Bomb(Arc<AtomicU64>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
            panic!("the payload itself");
        }
    }
    let dropped = Arc::new(AtomicU64::new(0));
    let drops = dropped.clone();
    let outcome: Outcome<()> = sim::run(1, move || {
        named("thrower", move || std::panic::panic_any(Bomb(drops)));
        sleep(Duration::from_secs(1));
    });
    failure(outcome, FailureKind::Panic, &["test/thrower"]);
    assert_eq!(dropped.load(Relaxed), 1);
}
