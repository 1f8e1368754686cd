//! 4A: a replicated state machine, as in the 2025 lab.

use crate::cluster::name;
use crate::counters::{Count, Counters};
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::services::kv::{MAX_RAFT_STATE, check_log, minority_with_the_leader};
use crate::suites::worlds::setups::{reliable, service};
use crate::suites::worlds::steps::ms;
use crate::suites::worlds::threads::{joined, spawn};
use labrpc::api::Refused;
use labrpc::thread::JoinHandle;
use labrpc::time::{Duration, Instant};
use labrpc::{channel, run};

tests! { "4A", Rsm:
    rsm_basic = "Basic", service(reliable(3), None);
    rsm_concurrent = "Concurrent", service(reliable(3), None);
    rsm_leader_failure = "LeaderFailure", service(reliable(3), None);
    rsm_leader_partition = "LeaderPartition", service(reliable(3), None);
    rsm_restart_replay = "RestartReplay", service(reliable(3), None);
    rsm_shutdown = "Shutdown", service(reliable(3), None);
    rsm_restart_submit = "RestartSubmit", service(reliable(3), None);
    rsm_snapshot = "Snapshot", service(reliable(3), Some(MAX_RAFT_STATE));
}

/// How many operations are submitted at once.
const MANY: u64 = 100;
/// A `submit()` whose server is stopped must end within ten seconds, and within one more second for the test to notice it.
const ENDS_WITHIN: Duration = Duration::from_secs(11);

/// Submits ten operations. Each must get its own answer, and all servers must carry out each.
fn rsm_basic(counters: &Counters) {
    for number in 1..=10 {
        check_answer(counters.one(Count::Up), number);
        counters.check_counters(number, 3);
    }
}

/// Fails the test if counting up was answered with another number than expected.
#[track_caller]
pub fn check_answer(answer: u64, expected: u64) {
    if answer != expected {
        let why = if answer > expected {
            "either an operation was carried out more than once, or an operation was carried out that should not have been. Look \
             at what a snapshot holds: if it holds more than the entries up to its index, the entries after the index are \
             carried out twice (§7)"
        } else {
            "either this is the answer to another operation, or an operation that was acknowledged is lost (linearizability). \
             An entry is identified by its index and its term (§5.3), and is carried out when it is committed"
        };
        run::fail(format!("counting up was answered with {answer} instead of {expected}: {why}"));
    }
}

/// Submits fifty operations at once. Each must be carried out once, and must get its own answer (§5.3).
fn rsm_concurrent(counters: &Counters) {
    const AT_ONCE: u64 = 50;
    let counting = (0..AT_ONCE).map(|_| {
        let counters = counters.clone();
        spawn("counts", move || counters.one(Count::Up))
    });
    let counting: Vec<_> = counting.collect();
    let mut answers: Vec<_> = counting.into_iter().map(joined).collect();
    answers.sort_unstable();
    if answers != (1..=AT_ONCE).collect::<Vec<_>>() {
        run::fail(format!(
            "{AT_ONCE} operations that count up at once must be answered with 1 to {AT_ONCE}, but the answers are {answers:?}. \
             Each operation is carried out once, and gets the result of its own entry, which is identified by index and term \
             (§5.3)"
        ));
    }
    counters.check_counters(AT_ONCE, 3);
}

/// Cuts off the leader, and lets it come back. No operation may get lost (§5.3).
fn rsm_leader_failure(counters: &Counters) {
    counters.one(Count::Up);
    let leader = counters.check_one_leader();
    counters.disconnect(leader);
    counters.one(Count::Up);
    counters.check_counters(2, 2);
    counters.connect(leader);
    counters.one(Count::Up);
    counters.check_counters(3, 3);
}

/// Submits many operations to a leader in the minority. They must not be carried out, and each `submit()` must end with an
/// error when the partition heals (§5.3).
fn rsm_leader_partition(counters: &Counters) {
    counters.one(Count::Up);
    let minority = minority_with_the_leader(counters);
    let majority: Vec<_> = counters.all().into_iter().filter(|i| !minority.contains(i)).collect();
    let leader = minority[0];
    counters.partition(&minority);
    let (done, end) = channel::unbounded();
    let lost = (0..MANY).map(|_| {
        let (counters, done) = (counters.clone(), done.clone());
        spawn("counts down", move || {
            let result = counters.submit(leader, Count::Down);
            let _ = done.send(result);
            result
        })
    });
    let lost: Vec<_> = lost.collect();
    counters.sleep(ms(10)); // the leader gets these operations first
    check_answer(counters.one_of(&majority, Count::Up), 2);
    if let Ok(result) = end.recv_timeout(ELECTION_TIMEOUT) {
        run::fail(format!(
            "submit() on {} ended with {result:?}, although this server is cut off from the majority. The server can't know yet \
             whether the operation will be carried out, so submit() must wait until the server knows",
            name(leader)
        ));
    }
    counters.connect_all();
    check_answer(counters.one_of(&majority, Count::Up), 3);
    check_all_end(
        &lost,
        ELECTION_TIMEOUT,
        "the server of these calls was reconnected to a new leader. The new leader has other entries at the same indices, so \
         each call must end",
    );
    for thread in lost {
        if let Ok(answer) = joined(thread) {
            run::fail(format!(
                "submit(Down) was answered with {answer}, but this operation was not carried out"
            ));
        }
    }
    counters.check_counters(3, 3);
}

/// Fails the test if threads don't end within `limit`.
#[track_caller]
pub fn check_all_end<R>(threads: &[JoinHandle<R>], limit: Duration, since: &str) {
    let began = Instant::now();
    let waiting = || threads.iter().filter(|thread| !thread.is_finished()).count();
    while waiting() > 0 {
        if began.elapsed() >= limit {
            run::fail(format!(
                "{} calls of submit() still wait {limit:?} after {since}",
                waiting()
            ));
        }
        labrpc::time::sleep(ms(10));
    }
}

/// Crashes all servers. When they start again, they must carry out the operations in their logs again and count on from there.
fn rsm_restart_replay(counters: &Counters) {
    count_to(counters, MANY);
    counters.shut_down();
    counters.sleep(ELECTION_TIMEOUT);
    counters.start_all();
    check_answer(counters.one(Count::Up), MANY + 1);
    counters.check_counters(MANY + 1, 3);
}

fn count_to(counters: &Counters, number: u64) {
    for n in 1..=number {
        check_answer(counters.one(Count::Up), n);
    }
    counters.check_counters(number, 3);
}

/// Stops the servers while many calls of `submit()` wait. Each call must end.
fn rsm_shutdown(counters: &Counters) {
    let waiting = submit_nothing(counters);
    shut_down_around(counters, waiting);
}

/// Submits many operations to the leader: half of them in time, half when it is cut off, so that these have to wait.
fn submit_nothing(counters: &Counters) -> Vec<JoinHandle<Result<u64, Refused>>> {
    let leader = counters.check_one_leader();
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.extend((0..MANY / 2).map(|_| {
            let counters = counters.clone();
            spawn("submits", move || counters.submit(leader, Count::Nothing))
        }));
        counters.sleep(ms(20));
        counters.disconnect(leader);
    }
    waiting
}

/// Stops the servers. Fails the test if a waiting `submit()` doesn't end.
fn shut_down_around(counters: &Counters, waiting: Vec<JoinHandle<Result<u64, Refused>>>) {
    for i in 0..counters.n() {
        counters.call(i, "kill()", labrpc::api::kv::Replica::kill);
    }
    check_all_end(&waiting, ENDS_WITHIN, "kill() of their server. kill() must wake these calls");
    waiting.into_iter().for_each(|thread| _ = joined(thread));
    counters.shut_down();
}

/// Restarts the servers twice and submits operations in between. The result of an entry that is carried out again from the log
/// must not be the answer to a new `submit()`.
fn rsm_restart_submit(counters: &Counters) {
    count_to(counters, MANY);
    counters.shut_down();
    counters.sleep(ELECTION_TIMEOUT);
    counters.start_all();
    check_answer(counters.one(Count::Up), MANY + 1);
    let waiting = submit_nothing(counters);
    shut_down_around(counters, waiting);
    counters.start_all();
    check_answer(counters.one(Count::Up), MANY + 2);
    counters.check_counters(MANY + 2, 3);
}

/// Submits many operations with snapshots. The log must stay short, and a crash must not lose anything (§7).
fn rsm_snapshot(counters: &Counters) {
    count_to(counters, MANY);
    check_log(counters, 2 * MAX_RAFT_STATE);
    counters.shut_down();
    counters.start_all();
    check_answer(counters.one(Count::Up), MANY + 1);
    counters.check_counters(MANY + 1, 3);
}
