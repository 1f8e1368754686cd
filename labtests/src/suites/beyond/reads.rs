//! Reads that don't go through the log (thesis §6.4): as fresh as if they did.
//!
//! Every index that a server gives is held against what was applied before it was asked, so a test has but to ask at the wrong moments.

use crate::checks::ELECTION_TIMEOUT;
use crate::clients::Texts;
use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::suites::lab_test::tests;
use crate::suites::services::kv;
use crate::suites::worlds::setups::{reliable, service, sloppy, unreliable};
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{agree, give, ms, random, restart};
use crate::suites::worlds::storm::{Trouble, calm, every_but, rage};
use crate::suites::worlds::threads::{Stop, joined, spawn};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::thread::JoinHandle;
use labrpc::time::{Duration, Instant};

tests! { READS = "reads", Beyond(Reads):
    reads_by_index = "ReadsByIndex", reliable(5);
    reads_leave_no_entries = "ReadsLeaveNoEntries", reliable(3);
    reads_alone = "ReadsAlone", reliable(1);
    reads_of_a_new_leader = "ReadsOfANewLeader", reliable(3);
    reads_of_a_deposed_leader = "ReadsOfADeposedLeader", reliable(5);
    reads_in_the_minority = "ReadsInTheMinority", reliable(5);
    reads_and_old_answers = "ReadsAndOldAnswers", reliable(3);
    reads_leave_the_log_alone = "ReadsLeaveTheLogAlone", reliable(3);
    reads_in_a_storm = "ReadsInAStorm", unreliable(5);
    reads_in_every_storm = "ReadsInEveryStorm", sloppy(reliable(5));
}

tests! { STORE_READS = "reads", Store(Reads):
    store_reads = "StoreReads", service(reliable(5), None);
    store_reads_in_trouble = "StoreReadsInTrouble", service(unreliable(5), Some(kv::MAX_RAFT_STATE));
}

/// A leader that is heard by all gives an index.
#[track_caller]
pub(super) fn must_read(cluster: &Cluster, leader: usize) -> u64 {
    match cluster.read_index(leader) {
        Some(Ok(index)) => index,
        other => run::fail(format!(
            "{} leads, everybody hears it, and it gives no index to read at: {other:?}. A new leader doesn't know what is committed before \
             an entry of its own term is: it appends one, a no-op, without being given a command (thesis §6.4, step 1)",
            name(leader)
        )),
    }
}

/// A leader gives an index after every command; the others may, too.
pub(super) fn reads_by_index(cluster: &Cluster) {
    for _ in 0..20 {
        agree(cluster, 1, cluster.n());
        must_read(cluster, cluster.check_one_leader());
        (0..cluster.n()).for_each(|i| _ = cluster.read_index(i));
    }
    cluster.reached_check();
}

/// The first read may need an entry of Raft's own; after that there are none. Many at once share their round of messages.
fn reads_leave_no_entries(cluster: &Cluster) {
    agree(cluster, 1, 3);
    let leader = cluster.check_one_leader();
    must_read(cluster, leader);
    let index = agree(cluster, 1, 3);
    for _ in 0..50 {
        must_read(cluster, leader);
    }
    let calls = cluster.net().total_count();
    let readers = (0..100).map(|_| {
        let cluster = cluster.clone();
        spawn("reader", move || _ = must_read(&cluster, leader))
    });
    readers.collect::<Vec<_>>().into_iter().for_each(joined);
    let calls = cluster.net().total_count() - calls;
    if run::in_simulation() && calls > 40 {
        run::fail(format!(
            "100 reads at once took {calls} calls: those that wait share a round of heartbeats (thesis §6.4)"
        ));
    }
    let next = agree(cluster, 1, 3);
    if next != index + 1 {
        run::fail(format!(
            "a command got index {index}, then 150 reads were answered, and the next command got index {next}: such a read is no entry of \
             the log (thesis §6.4)"
        ));
    }
    cluster.reached_check();
}

/// A cluster of one.
fn reads_alone(cluster: &Cluster) {
    for _ in 0..10 {
        let index = agree(cluster, 1, 1);
        if must_read(cluster, 0) < index {
            run::fail("a server alone doesn't know what it has committed");
        }
    }
    restart(cluster, 0);
    cluster.check_one_leader();
    must_read(cluster, 0);
    cluster.reached_check();
}

/// S0 has committed a command and told nobody so. S1, elected next, has it, and doesn't know that it is committed, before an entry of its own
/// term is (thesis §6.4, step 1).
pub(super) fn reads_of_a_new_leader(cluster: &Cluster) {
    for _ in 0..5 {
        let stage = Stage::new(cluster);
        let [s0, s1, s2] = [0, 1, 2];
        stage.elect(s0, &[s1, s2]);
        agree(cluster, 1, 3);
        cluster.sleep(ELECTION_TIMEOUT / 4);
        stage.caption("S0 commits a command; the others don't hear that");
        if let Ok(started) = cluster.start(s0, &command(random(cluster))) {
            let committed = || cluster.n_committed(started.index).0 > 0;
            stage.until(ELECTION_TIMEOUT / 10, committed);
        }
        stage.elect(s1, &[s2]);
        stage.caption("S1 leads, and is asked for an index to read at");
        cluster.reached_check();
        let began = Instant::now();
        while !matches!(cluster.read_index(s1), Some(Ok(_))) {
            if began.elapsed() > Duration::from_secs(5) {
                run::fail(format!(
                    "S1 leads and S2 hears it, and for 5 s it gave no index to read at; {}",
                    cluster.who_thinks_what()
                ));
            }
            cluster.sleep(ms(20));
        }
        stage.all_pass();
        agree(cluster, 1, 3);
    }
}

/// Threads that ask these servers for an index again and again.
fn readers(cluster: &Cluster, servers: &[usize], stop: &Stop) -> Vec<JoinHandle<()>> {
    let reader = |i: usize| {
        let (cluster, stop) = (cluster.clone(), stop.clone());
        spawn(&format!("reader of {}", name(i)), move || {
            while !stop.is_set() {
                let _ = cluster.read_index(i);
                cluster.sleep(cluster.draws().millis("between reads", 1..6));
            }
        })
    };
    servers.iter().map(|&i| reader(i)).collect()
}

/// Has these servers asked while something happens.
pub(super) fn while_reading(cluster: &Cluster, servers: &[usize], happens: impl FnOnce()) {
    let stop = Stop::default();
    let readers = readers(cluster, servers, &stop);
    happens();
    stop.set();
    readers.into_iter().for_each(joined);
}

/// A leader is cut off, and the others elect another one and go on. The old one is asked all the while (step 3).
pub(super) fn reads_of_a_deposed_leader(cluster: &Cluster) {
    for _ in 0..5 {
        agree(cluster, 1, 5);
        let leader = cluster.check_one_leader();
        must_read(cluster, leader);
        while_reading(cluster, &[leader], || {
            cluster.disconnect(leader);
            agree(cluster, 5, 4);
            cluster.connect(leader);
            agree(cluster, 1, 5);
        });
    }
    cluster.reached_check();
}

/// A follower that hears only the old leader asks that.
pub(super) fn reads_in_the_minority(cluster: &Cluster) {
    for _ in 0..3 {
        agree(cluster, 1, 5);
        let leader = cluster.check_one_leader();
        let with_it = (leader + 1) % 5;
        while_reading(cluster, &[leader, with_it], || {
            cluster.partition(&[leader, with_it]);
            let began = Instant::now();
            while began.elapsed() < 3 * ELECTION_TIMEOUT {
                (0..5).for_each(|i| _ = cluster.start(i, &command(random(cluster))));
                cluster.sleep(ms(20));
            }
            cluster.connect_all();
            agree(cluster, 1, 5);
        });
    }
    cluster.reached_check();
}

/// S0 is cut off; what comes to it are answers to what it sent before that, one now and then, so it leads on. A read is shown to be fresh by
/// answers to what was sent after it came (thesis §6.4, step 3).
fn reads_and_old_answers(cluster: &Cluster) {
    for _ in 0..4 {
        let stage = Stage::new(cluster);
        let [s0, s1, s2] = [0, 1, 2];
        stage.elect(s0, &[s1, s2]);
        stage.all_pass();
        agree(cluster, 1, 3);
        stage.caption("answers to S0 are on the way for long");
        let answer = move |mail: &Mail| mail.from == s0 && !mail.is_call();
        stage.direct(move |mail| if answer(mail) { Fate::Hold } else { Fate::Deliver });
        let since = Instant::now();
        for _ in 0..25 {
            let _ = cluster.start(s0, &command(random(cluster)));
            cluster.sleep(ms(10));
        }
        stage.caption("S0 is cut off, but for old answers");
        stage.direct(move |mail| match (mail.from, mail.to) {
            (0, _) if !mail.is_call() => Fate::Hold,
            (1 | 2, 1 | 2) => Fate::Deliver,
            _ => Fate::Lose,
        });
        let held = stage.mail(|mail| answer(mail) && mail.at > since);
        if !held.is_empty() {
            cluster.reached_check();
        }
        while_reading(cluster, &[s0], || {
            for old in &held {
                stage.release(|mail| mail.call == old.call);
                (1..3).for_each(|i| _ = cluster.start(i, &command(random(cluster))));
                cluster.sleep(ms(50));
            }
        });
        stage.all_pass();
        cluster.sleep(ELECTION_TIMEOUT);
        agree(cluster, 1, 3);
    }
}

/// S0 has entries that nobody else has, and hears a later leader whose log is longer; what would repair S0's log is lost, and S0 asks
/// for an index to read at. What it is told is committed in the leader's log, and not in its own: only AppendEntries say how far
/// the two agree (Figure 2, AppendEntries 5).
fn reads_leave_the_log_alone(cluster: &Cluster) {
    for _ in 0..2 {
        let stage = Stage::new(cluster);
        let [s0, s1, s2] = [0, 1, 2];
        stage.elect(s0, &[s1, s2]);
        stage.all_pass();
        agree(cluster, 1, 3);
        stage.caption("S0 leads, and gets three entries that nobody else has");
        stage.elect(s0, &[s1, s2]);
        stage.settle();
        stage.direct(|_| Fate::Lose);
        (0..3).for_each(|_| _ = cluster.start(s0, &command(random(cluster))));
        stage.caption("S1 is elected and commits six; then S2, and S1 again, which takes S0's log to be as long as its own");
        stage.elect(s1, &[s2]);
        let Some(last) = give(cluster, s1, 6) else { return stage.over() };
        stage.until(ELECTION_TIMEOUT, || cluster.n_committed(last.index).0 == 2);
        stage.settle();
        stage.elect(s2, &[s1]);
        stage.settle();
        let term = stage.elect(s1, &[s2]);
        stage.caption("S0 hears S1, which doesn't hear what S0 says to that; and S0 asks it for an index to read at");
        stage.direct(move |mail| match (mail.from, mail.to) {
            (1, 2) => Fate::Deliver,
            (1, 0) if mail.is_call() => Fate::Deliver,
            (0, 1) if mail.kind == Kind::Other => Fate::Deliver,
            _ => Fate::Lose,
        });
        stage.until(ELECTION_TIMEOUT, || cluster.state(s0) == Some((term, false)));
        for _ in 0..5 {
            if let Some(Ok(_)) = cluster.read_index(s0) {
                cluster.reached_check();
            }
            cluster.sleep(ms(20)); // who applies what it has there is caught
        }
        stage.over();
        agree(cluster, 1, 3);
    }
}

pub(super) fn reads_in_a_storm(cluster: &Cluster) {
    use Trouble::*;
    in_a_storm(cluster, &[Loss, Partitions, Crashes, CrashesAtSaves]);
}

pub(super) fn reads_in_every_storm(cluster: &Cluster) {
    in_a_storm(cluster, &every_but(&[Trouble::CrashesAtSaves, Trouble::Blackouts]));
}

fn in_a_storm(cluster: &Cluster, troubles: &[Trouble]) {
    let all: Vec<_> = (0..cluster.n()).collect();
    let mut led = false;
    while_reading(cluster, &all, || led = rage(cluster, troubles, true));
    calm(cluster);
    agree(cluster, 1, cluster.n());
    if led {
        cluster.reached_check();
    }
    must_read(cluster, cluster.check_one_leader());
}

/// Clients of all servers, and partitions.
pub(super) fn store_reads(texts: &Texts) {
    kv::clients(5).partitions().shared_keys().run(texts);
    texts.reached_check();
}

/// An unreliable network, late copies of requests, crashes and snapshots as well.
pub(super) fn store_reads_in_trouble(texts: &Texts) {
    kv::late_copies(texts, || kv::clients(7).partitions().crashes().shared_keys().run(texts));
    texts.reached_check();
}
