//! Ten ways to get stuck. For each of them the report must soon name the cause, with names and lines of code.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "some ways are std's")]

use labrpc::api::{ApplyMsg, Command, Raft, Refused, Snapshot, Started};
use labrpc::channel::Sender;
use labrpc::run::{Backend, FailureKind};
use labrpc::sync::{Arc, Condvar, Mutex};
use labrpc::trace::Event;
use labrpc::{ClientEnd, Persister, Service, channel, thread, time};
use labtests::lab::Lab;
use labtests::reading::{Names, Reading};
use labtests::report::{self, Again};
use labtests::runner::{self, Report, World};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It isn't stuck at all.
    None,
    SleepsWithTheLock,
    SendsWithTheLock,
    ReceivesWithTheLock,
    WaitsForAnotherMutexWithTheLock,
    JoinsWithTheLock,
    SpinsThroughTheLock,
    SpinsOnAnAtomic,
    StdSleep,
    StdMutex,
    StdCondvar,
    StdThread,
    StdInstant,
    KillWakesNobody,
}

use Way::*;

/// Threads that nobody can end check this.
static OVER: AtomicBool = AtomicBool::new(false);

/// A toy: server 0 leads from the start and forever. Its commands reach all servers that it can reach.
struct Toy {
    way: Way,
    me: usize,
    peers: Arc<Vec<ClientEnd>>,
    shared: Arc<(Mutex<Log>, Condvar)>,
    /// For the ticker, which checks nothing else.
    dead: Arc<AtomicBool>,
}

#[derive(Default)]
struct Log {
    commands: BTreeMap<u64, Command>,
    applied: u64,
    leads: bool,
    killed: bool,
}

impl Toy {
    fn make(
        way: Way,
        peers: Vec<ClientEnd>,
        me: usize,
        apply_ch: Sender<ApplyMsg>,
    ) -> (Arc<Toy>, Vec<Service>) {
        let leads = me == 0 && way != StdInstant;
        let shared = Arc::new((Mutex::new(Log { leads, ..Log::default() }), Condvar::new()));
        let (appended, applied, hung) = (shared.clone(), shared.clone(), shared.clone());
        thread::Builder::new()
            .name("applier")
            .spawn(move || apply(way, &applied, &apply_ch))
            .unwrap();
        let dead = Arc::new(AtomicBool::new(false));
        let ended = dead.clone();
        let tick = move || {
            while !ended.load(Relaxed) {
                time::sleep(Duration::from_millis(100));
            }
        };
        thread::Builder::new().name("ticker").spawn(tick).unwrap();
        if me == 0 {
            thread::spawn(move || hang(way, &hung));
        }
        let append = move |(index, command): (u64, Command)| {
            appended.0.lock().commands.insert(index, command);
            appended.1.notify_all();
        };
        let service = Service::new("Toy").method("Append", append);
        (Arc::new(Toy { way, me, peers: Arc::new(peers), shared, dead }), vec![service])
    }
}

/// Sends the next message, with or without holding the lock.
fn apply(way: Way, shared: &(Mutex<Log>, Condvar), apply_ch: &Sender<ApplyMsg>) {
    let mut log = shared.0.lock();
    while !log.killed {
        let index = log.applied + 1;
        let Some(command) = log.commands.get(&index).cloned() else {
            shared.1.wait(&mut log);
            continue;
        };
        log.applied = index;
        let message = ApplyMsg::Command { index, term: 1, command };
        if way == SendsWithTheLock {
            let _ = apply_ch.send(message); // this closes the circle
        } else {
            drop(log);
            let _ = apply_ch.send(message);
            log = shared.0.lock();
        }
    }
}

/// The body of the leader's unnamed thread.
fn hang(way: Way, shared: &Arc<(Mutex<Log>, Condvar)>) {
    const LONG: Duration = Duration::from_secs(1000);
    time::sleep(Duration::from_millis(20));
    match way {
        SleepsWithTheLock => {
            let _log = shared.0.lock();
            time::sleep(LONG);
        }
        ReceivesWithTheLock => {
            let _log = shared.0.lock();
            let _ = channel::never::<u8>().recv();
        }
        WaitsForAnotherMutexWithTheLock => {
            let _log = shared.0.lock();
            Condvar::new().wait(&mut Mutex::new(()).lock());
        }
        JoinsWithTheLock => {
            let (log, wanted) = (shared.0.lock(), shared.clone());
            let other = thread::spawn(move || wanted.0.lock().applied);
            let _ = other.join();
            drop(log);
        }
        SpinsThroughTheLock => {
            while shared.0.lock().applied < 1000 {
                thread::yield_now(); // on each server, so that a million steps take less time
            }
        }
        SpinsOnAnAtomic => {
            while !OVER.load(Relaxed) {
                std::hint::spin_loop();
            }
        }
        StdSleep => std::thread::sleep(LONG),
        StdMutex => {
            let lock = Arc::new(std::sync::Mutex::new(()));
            let held = lock.clone();
            thread::spawn(move || {
                let _held = held.lock();
                time::sleep(LONG);
            });
            time::sleep(Duration::from_millis(20));
            drop(lock.lock());
        }
        StdCondvar => {
            let lock = std::sync::Mutex::new(());
            drop(std::sync::Condvar::new().wait(lock.lock().unwrap()));
        }
        StdThread => {
            let shared = shared.clone();
            let _ = std::thread::spawn(move || shared.0.lock().applied).join();
        }
        StdInstant => {
            let begun = std::time::Instant::now();
            while begun.elapsed() < LONG {
                time::sleep(Duration::from_millis(10));
            }
        }
        None | SendsWithTheLock | KillWakesNobody => {}
    }
}

impl Raft for Toy {
    fn start(&self, command: Command) -> Result<Started, Refused> {
        let mut log = self.shared.0.lock();
        if !log.leads {
            return Err(Refused::NotLeader { leader: Option::None });
        }
        let index = log.commands.len() as u64 + 1;
        log.commands.insert(index, command.clone());
        self.shared.1.notify_all();
        for peer in (0..self.peers.len()).filter(|peer| *peer != self.me) {
            let (peers, command) = (self.peers.clone(), command.clone());
            thread::spawn(move || {
                while peers[peer].call::<_, ()>("Toy.Append", &(index, &command)).is_none() {
                    time::sleep(Duration::from_millis(10));
                }
            });
        }
        Ok(Started { index, term: 1 })
    }

    fn get_state(&self) -> (u64, bool) {
        (1, self.shared.0.lock().leads)
    }

    fn snapshot(&self, _: u64, _: Snapshot) {
        let _log = self.shared.0.lock();
    }

    fn kill(&self) {
        self.dead.store(true, Relaxed);
        if self.way != KillWakesNobody {
            self.shared.0.lock().killed = true;
            self.shared.1.notify_all();
        }
    }
}

fn lab(way: Way) -> Lab {
    let make = move |peers, me, _: Persister, apply_ch: Sender<ApplyMsg>| {
        Toy::make(way, peers, me, apply_ch)
    };
    Lab::new().raft(make)
}

fn run(way: Way, test: &str, world: World) -> Report {
    let test = runner::select(test).unwrap()[0];
    match way {
        // Each of these takes the watchdog ten seconds, or a million steps, so one run is enough. The others are run on
        // coroutines and on threads.
        SpinsThroughTheLock | SpinsOnAnAtomic | StdSleep | StdCondvar => {
            let reading = Reading::new(Names::new());
            runner::replay_read(&lab(way), test, 1, &reading, Backend::Threads, |_: &Event| {})
        }
        _ => runner::run_one(&lab(way), test, 1, world),
    }
}

/// Checks how a toy that is stuck in this way fails. The report must contain these words and name a line of this file. Returns
/// the time of the failure, in virtual seconds.
#[track_caller]
fn stuck(way: Way, test: &str, kind: FailureKind, words: &[&str]) -> (Report, f64) {
    let report = run(way, test, World::Simulated);
    let failure = report.result.as_ref().expect_err("it is not stuck");
    let text = report::failure(&report, &Again::Command("raftlab".into()));
    assert_eq!(failure.kind, kind, "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in\n{text}");
    }
    let at = failure.at.as_secs_f64();
    (report, at)
}

/// The longest patience of the tester, not counting the time at which it began to wait.
const PATIENCE: f64 = 31.5;

#[test]
fn a_toy_that_is_not_stuck_passes() {
    for test in ["initial_election", "basic_agree", "rpc_bytes"] {
        let report = run(None, test, World::Simulated);
        assert!(report.result.is_ok(), "{test}: {:?}", report.result);
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    }
}

#[test]
fn a_lock_held_while_sleeping_is_named_with_its_holder() {
    let words = [
        "get_state() on S0, called by test/main, has not returned for 30s",
        "held by S0/unnamed, which took it at labtests/tests/stuck.rs:",
        "S0/unnamed has waited since 0.02",
        "sleep at labtests/tests/stuck.rs:",
        "(a thread without a name, spawned at labtests/tests/stuck.rs:",
    ];
    let (_, at) = stuck(SleepsWithTheLock, "initial_election", FailureKind::Stuck, &words);
    assert!(at <= PATIENCE, "{at}");
}

#[test]
fn a_lock_held_over_any_wait_is_named_with_its_holder() {
    for (way, wait) in [
        (ReceivesWithTheLock, ": receive at "),
        (WaitsForAnotherMutexWithTheLock, ": condition variable at "),
    ] {
        let words = ["get_state() on S0", "held by S0/unnamed, which took it at", wait];
        let (_, at) = stuck(way, "initial_election", FailureKind::Stuck, &words);
        assert!(at <= PATIENCE, "{way:?}: {at}");
    }
}

#[test]
fn a_circle_of_a_lock_and_a_join_is_named() {
    let words = ["in a circle", ": join at ", "held by S0/unnamed, which took it at"];
    let (_, at) = stuck(JoinsWithTheLock, "initial_election", FailureKind::Deadlock, &words);
    assert!(at <= 7.0, "{at}");
}

#[test]
fn a_circle_of_a_lock_and_the_apply_channel_is_named_when_it_closed() {
    let words = [
        "in a circle",
        "/reader of S",
        ": lock at labtests/tests/stuck.rs:",
        "/applier, which took it at labtests/tests/stuck.rs:",
        ": send at labtests/tests/stuck.rs:",
        "the last events before it got stuck",
        "calls snapshot(9) on S",
    ];
    let (report, at) = stuck(SendsWithTheLock, "snapshot_basic", FailureKind::Deadlock, &words);
    let since = report.result.unwrap_err().since.unwrap().as_secs_f64();
    assert!(at - since <= 6.5, "stuck since {since}, told at {at}");
    let of = |event: &String| event.trim_start().split(' ').next().unwrap().parse::<f64>().unwrap();
    let last = report.last_events.last().map(of).unwrap();
    assert!(last <= since * 1e3, "{last} ms");
}

#[test]
fn a_spin_through_a_lock_is_named_with_its_line() {
    let words = [
        "S0/unnamed (spawned at labtests/tests/stuck.rs:",
        "last seen at labtests/tests/stuck.rs:",
    ];
    let (_, at) = stuck(SpinsThroughTheLock, "initial_election", FailureKind::Stall, &words);
    assert!(at <= PATIENCE, "{at}");
}

/// The watchdog notices waits that the scheduler can't see. It names the thread, the place where that thread was started, and
/// the suspects.
#[track_caller]
fn unseen(way: Way) {
    let words = [
        "S0/unnamed (spawned at labtests/tests/stuck.rs:",
        "std Mutex, Condvar",
        "atomic",
        "std::thread::sleep",
    ];
    stuck(way, "initial_election", FailureKind::Stall, &words);
}

#[test]
fn a_spin_on_an_atomic_is_named() {
    unseen(SpinsOnAnAtomic);
    OVER.store(true, Relaxed);
}

#[test]
fn a_sleep_of_std_is_named() {
    unseen(StdSleep);
}

#[test]
fn a_mutex_of_std_is_named() {
    unseen(StdMutex);
}

#[test]
fn a_condition_variable_of_std_is_named() {
    unseen(StdCondvar);
}

#[test]
fn a_thread_of_std_is_named() {
    let words =
        ["used a mutex of the simulation at labtests/tests/stuck.rs:", "not std::thread::spawn"];
    stuck(StdThread, "initial_election", FailureKind::Stranger, &words);
}

#[test]
fn a_clock_of_std_is_suspected() {
    let words = [
        "no leader among 3 connected servers",
        "no server has sent a message yet",
        "the servers' threads have slept ",
        "std::time::Instant",
        "use labrpc::time::Instant",
    ];
    let (_, at) = stuck(StdInstant, "initial_election", FailureKind::Test, &words);
    assert!(at <= PATIENCE, "{at}");
}

/// Checks that the text names the place of each of the three appliers that a kill has not woken.
fn assert_names_the_appliers(text: &str, place: &str) {
    let words = [
        "10s after kill() 3 threads still run",
        &format!("S0/applier, S1/applier, S2/applier: {place}"),
        ", spawned at labtests/tests/stuck.rs:",
        "kill() must wake every thread",
    ];
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in\n{text}");
    }
}

#[test]
fn a_kill_that_wakes_nobody_is_a_warning_that_names_threads_and_places() {
    let report = run(KillWakesNobody, "initial_election", World::Simulated);
    assert!(report.result.is_ok(), "{:?}", report.result);
    let [warning] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
    assert_names_the_appliers(&warning.message, "condition variable at labtests/tests/stuck.rs:");
}

#[test]
fn on_real_threads_it_says_what_they_cost() {
    let report = run(KillWakesNobody, "initial_election", World::Real);
    assert!(report.result.is_ok(), "{:?}", report.result);
    let [warning] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
    assert_names_the_appliers(&warning.message, "where it stands is not known");
    let cost = if cfg!(target_os = "linux") { "and take 0 % of a CPU" } else { "unknown share" };
    assert!(warning.message.contains(cost), "{}", warning.message);
}
