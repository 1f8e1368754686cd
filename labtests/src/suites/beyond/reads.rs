//! Reads that don't go through the log (thesis §6.4). They must be as fresh as if they went through the log.
//!
//! Every read index that a server returns is compared with what was applied before the server was asked. So a test only has to
//! ask at dangerous moments.

use crate::clients::Texts;
use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::services::kv;
use crate::suites::worlds::setups::{reliable, service, sloppy, unreliable};
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{agree, give, ms, random, restart};
use crate::suites::worlds::storm::{Fault, calm, every_but, rage};
use crate::suites::worlds::threads::{Stop, joined, spawn};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::thread::JoinHandle;
use labrpc::time::{Duration, Instant};

tests! { READS = "reads", Beyond(Reads):
    reads_return_a_current_index = "ReadsByIndex", reliable(5);
    reads_append_no_entries = "ReadsLeaveNoEntries", reliable(3);
    reads_on_a_cluster_of_one = "ReadsAlone", reliable(1);
    new_leader_commits_before_it_reads = "ReadsOfANewLeader", reliable(3);
    deposed_leader_answers_no_reads = "ReadsOfADeposedLeader", reliable(5);
    reads_in_a_minority_partition = "ReadsInTheMinority", reliable(5);
    earlier_replies_confirm_no_reads = "ReadsAndOldAnswers", reliable(3);
    reads_do_not_change_the_log = "ReadsLeaveTheLogAlone", reliable(3);
    reads_under_faults = "ReadsInAStorm", unreliable(5);
    reads_under_all_faults = "ReadsInEveryStorm", sloppy(reliable(5));
}

tests! { STORE_READS = "reads", Store(Reads):
    store_reads = "StoreReads", service(reliable(5), None);
    store_reads_under_faults = "StoreReadsInTrouble", service(unreliable(5), Some(kv::MAX_RAFT_STATE));
}

/// Asks a leader that all servers hear for a read index. It must return one.
#[track_caller]
pub(super) fn must_read(cluster: &Cluster, leader: usize) -> u64 {
    match cluster.read_index(leader) {
        Some(Ok(index)) => index,
        other => run::fail(format!(
            "{} leads and all servers hear it, but it returned no read index: {other:?}. A new leader doesn't know what is \
             committed until an entry of its own term is committed, so it must append a no-op without waiting for a command \
             (thesis §6.4, step 1)",
            name(leader)
        )),
    }
}

/// Asks all servers for a read index after every command. The leader must return one, and the others may (thesis §6.4).
pub(super) fn reads_return_a_current_index(cluster: &Cluster) {
    for _ in 0..20 {
        agree(cluster, 1, cluster.n());
        must_read(cluster, cluster.check_one_leader());
        (0..cluster.n()).for_each(|i| _ = cluster.read_index(i));
    }
    cluster.reached_check();
}

/// Reads many times. The first read may need a no-op of the leader, but later reads must not add entries to the log. Reads at
/// the same time must share a round of heartbeats (thesis §6.4).
fn reads_append_no_entries(cluster: &Cluster) {
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
            "the servers made {calls} calls for 100 reads at once. Reads that wait at the same time must share a round of \
             heartbeats (thesis §6.4)"
        ));
    }
    let next = agree(cluster, 1, 3);
    if next != index + 1 {
        run::fail(format!(
            "a command got index {index}. Then 150 reads were answered, and the next command got index {next}. A read must not \
             add an entry to the log (thesis §6.4)"
        ));
    }
    cluster.reached_check();
}

/// Reads from a single server, also after a restart. It must know what it has committed.
fn reads_on_a_cluster_of_one(cluster: &Cluster) {
    for _ in 0..10 {
        let index = agree(cluster, 1, 1);
        if must_read(cluster, 0) < index {
            run::fail(
                "the only server of the cluster returned a read index below the last index that it has committed (thesis §6.4)",
            );
        }
    }
    restart(cluster, 0);
    cluster.check_one_leader();
    must_read(cluster, 0);
    cluster.reached_check();
}

/// Lets S0 commit a command, while the other servers do not learn that it is committed. Then lets S1 be elected. S1 has the
/// command, but does not know yet that the command is committed. S1 learns this when an entry of its own term is committed, and
/// must not return a read index before that (thesis §6.4, step 1).
pub(super) fn new_leader_commits_before_it_reads(cluster: &Cluster) {
    for _ in 0..5 {
        let stage = Stage::new(cluster);
        let [s0, s1, s2] = [0, 1, 2];
        stage.elect(s0, &[s1, s2]);
        agree(cluster, 1, 3);
        cluster.sleep(ELECTION_TIMEOUT / 4);
        stage.caption("S0 commits a command; the others don't hear that it is committed");
        if let Ok(started) = cluster.start(s0, &command(random(cluster))) {
            let committed = || cluster.n_committed(started.index).0 > 0;
            stage.until(ELECTION_TIMEOUT / 10, committed);
        }
        stage.elect(s1, &[s2]);
        stage.caption("S1 leads, and is asked for a read index");
        cluster.reached_check();
        let began = Instant::now();
        while !matches!(cluster.read_index(s1), Some(Ok(_))) {
            if began.elapsed() > Duration::from_secs(5) {
                run::fail(format!(
                    "S1 leads and S2 hears S1, but for 5 s S1 returned no read index. A new leader must append a no-op (thesis \
                     §6.4, step 1); {}",
                    cluster.who_thinks_what()
                ));
            }
            cluster.sleep(ms(20));
        }
        stage.all_pass();
        agree(cluster, 1, 3);
    }
}

/// Starts threads that ask these servers for a read index again and again.
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

/// Asks these servers for read indices while something happens.
pub(super) fn while_reading(cluster: &Cluster, servers: &[usize], happens: impl FnOnce()) {
    let stop = Stop::default();
    let readers = readers(cluster, servers, &stop);
    happens();
    stop.set();
    readers.into_iter().for_each(joined);
}

/// Cuts off a leader, while the others elect another one and commit commands. The old leader is asked for read indices all the
/// time, and must not return a stale one (thesis §6.4, step 3).
pub(super) fn deposed_leader_answers_no_reads(cluster: &Cluster) {
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

/// Cuts off the leader with one follower. Both are asked for read indices while the others commit commands. The follower can
/// ask only the old leader, so neither may return an index that is stale (thesis §6.4, step 3).
pub(super) fn reads_in_a_minority_partition(cluster: &Cluster) {
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

/// Cuts off S0. Then delivers the answers to S0's earlier messages, one by one, so that S0 remains leader. Only answers to
/// messages that were sent after a read began may confirm this read (thesis §6.4, step 3).
fn earlier_replies_confirm_no_reads(cluster: &Cluster) {
    for _ in 0..4 {
        let stage = Stage::new(cluster);
        let [s0, s1, s2] = [0, 1, 2];
        stage.elect(s0, &[s1, s2]);
        stage.all_pass();
        agree(cluster, 1, 3);
        stage.caption("answers to S0 are held");
        let answer = move |mail: &Mail| mail.from == s0 && !mail.is_call();
        stage.direct(move |mail| if answer(mail) { Fate::Hold } else { Fate::Deliver });
        let since = Instant::now();
        for _ in 0..25 {
            let _ = cluster.start(s0, &command(random(cluster)));
            cluster.sleep(ms(10));
        }
        stage.caption("S0 is cut off, and gets only old answers");
        stage.direct(move |mail| match (mail.from, mail.to) {
            (0, _) if !mail.is_call() => Fate::Hold,
            (1 | 2, 1 | 2) => Fate::Deliver,
            _ => Fate::Drop,
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

/// Gives S0 entries that no other server has, and lets it hear a later leader with a longer log, but not the messages that
/// would repair S0's log. S0 asks the leader for a read index. That index is committed in the leader's log, and not in S0's
/// log, so S0 must not apply its own entries: only AppendEntries says how far the two logs agree (Figure 2, AppendEntries 5).
fn reads_do_not_change_the_log(cluster: &Cluster) {
    for _ in 0..2 {
        let stage = Stage::new(cluster);
        let [s0, s1, s2] = [0, 1, 2];
        stage.elect(s0, &[s1, s2]);
        stage.all_pass();
        agree(cluster, 1, 3);
        stage.caption("S0 leads, and gets three entries that no other server has");
        stage.elect(s0, &[s1, s2]);
        stage.settle();
        stage.direct(|_| Fate::Drop);
        (0..3).for_each(|_| _ = cluster.start(s0, &command(random(cluster))));
        stage.caption("S1 commits six entries; S2 is elected, then S1 again; S1 assumes that S0's log is as long as S1's log");
        stage.elect(s1, &[s2]);
        let Some(last) = give(cluster, s1, 6) else { return stage.over() };
        stage.until(ELECTION_TIMEOUT, || cluster.n_committed(last.index).0 == 2);
        stage.settle();
        stage.elect(s2, &[s1]);
        stage.settle();
        let term = stage.elect(s1, &[s2]);
        stage.caption("S0 hears S1, but S1 doesn't get S0's answers; S0 asks S1 for a read index");
        stage.direct(move |mail| match (mail.from, mail.to) {
            (1, 2) => Fate::Deliver,
            (1, 0) if mail.is_call() => Fate::Deliver,
            (0, 1) if mail.kind == Kind::Other => Fate::Deliver,
            _ => Fate::Drop,
        });
        stage.until(ELECTION_TIMEOUT, || cluster.state(s0) == Some((term, false)));
        for _ in 0..5 {
            if let Some(Ok(_)) = cluster.read_index(s0) {
                cluster.reached_check();
            }
            cluster.sleep(ms(20)); // a server that applies its own entries there is caught
        }
        stage.over();
        agree(cluster, 1, 3);
    }
}

/// Asks all servers for read indices during a storm of lost messages, partitions and crashes.
pub(super) fn reads_under_faults(cluster: &Cluster) {
    use Fault::*;
    in_a_storm(cluster, &[Loss, Partitions, Crashes, CrashesAtSaves]);
}

/// Asks all servers for read indices during a storm with all kinds of trouble except crashes at saves and blackouts.
pub(super) fn reads_under_all_faults(cluster: &Cluster) {
    in_a_storm(cluster, &every_but(&[Fault::CrashesAtSaves, Fault::Blackouts]));
}

fn in_a_storm(cluster: &Cluster, troubles: &[Fault]) {
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

/// Runs five clients of a store that write and read the same keys, with partitions. The history must be linearizable (thesis
/// §6.4).
pub(super) fn store_reads(texts: &Texts) {
    kv::clients(5).partitions().shared_keys().run(texts);
    texts.reached_check();
}

/// Does the same on an unreliable network with seven clients, and also with late copies of requests, crashes and snapshots.
pub(super) fn store_reads_under_faults(texts: &Texts) {
    kv::late_copies(texts, || kv::clients(7).partitions().crashes().shared_keys().run(texts));
    texts.reached_check();
}
