//! Reads on a lease: while a leader may count on it, it asks nobody (thesis §6.4.1).

use super::reads::{
    must_read, reads_by_index, reads_in_a_storm, reads_in_every_storm, reads_in_the_minority,
    reads_of_a_deposed_leader, reads_of_a_new_leader, store_reads, store_reads_in_trouble,
    while_reading,
};
use crate::checks::ELECTION_TIMEOUT;
use crate::clients::Texts;
use crate::cluster::Cluster;
use crate::ledger::command;
use crate::suites::lab_test::tests;
use crate::suites::services::kv;
use crate::suites::worlds::setups::{reliable, service, sloppy, unreliable};
use crate::suites::worlds::stage::{Kind, Stage};
use crate::suites::worlds::steps::{agree, ms, random, restart};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::Instant;

tests! { "lease", Beyond(Lease):
    lease_reads = "LeaseReads", reliable(5);
    lease_saves_messages = "LeaseSavesMessages", reliable(5);
    lease_of_a_new_leader = "LeaseOfANewLeader", reliable(3);
    lease_of_a_deposed_leader = "LeaseOfADeposedLeader", reliable(5);
    lease_in_the_minority = "LeaseInTheMinority", reliable(5);
    lease_and_late_answers = "LeaseAndLateAnswers", reliable(5);
    lease_and_voters_that_restart = "LeaseAndVotersThatRestart", reliable(5);
    lease_and_a_late_handover = "LeaseAndALateHandover", reliable(3);
    lease_in_a_storm = "LeaseInAStorm", unreliable(5);
    lease_in_every_storm = "LeaseInEveryStorm", sloppy(reliable(5));
}

tests! { STORE_TESTS = "lease", Store(Lease):
    store_lease_reads = "StoreLeaseReads", service(reliable(5), None);
    store_lease_reads_in_trouble = "StoreLeaseReadsInTrouble", service(unreliable(5), Some(kv::MAX_RAFT_STATE));
}

fn lease_reads(cluster: &Cluster) {
    reads_by_index(cluster);
}

/// While the lease runs, a leader asks nobody.
fn lease_saves_messages(cluster: &Cluster) {
    agree(cluster, 1, 5);
    let leader = cluster.check_one_leader();
    must_read(cluster, leader);
    let calls = cluster.net().total_count();
    for _ in 0..100 {
        must_read(cluster, leader);
    }
    let calls = cluster.net().total_count() - calls;
    if calls > 40 {
        run::fail(format!(
            "100 reads, one after the other, took {calls} calls. A leader that a majority has heard lately needs none (thesis §6.4.1)"
        ));
    }
    cluster.reached_check();
}

fn lease_of_a_new_leader(cluster: &Cluster) {
    reads_of_a_new_leader(cluster);
}

fn lease_of_a_deposed_leader(cluster: &Cluster) {
    reads_of_a_deposed_leader(cluster);
}

fn lease_in_the_minority(cluster: &Cluster) {
    reads_in_the_minority(cluster);
}

/// Answers take 85 ms, and then the leader is cut off. The others count from when they heard it, and not from when it heard them.
fn lease_and_late_answers(cluster: &Cluster) {
    for _ in 0..12 {
        agree(cluster, 1, 5);
        let leader = cluster.check_one_leader();
        for other in (0..5).filter(|i| *i != leader) {
            cluster.delay_way(other, leader, ms(85)..ms(85));
        }
        agree(cluster, 3, 5);
        cluster.sleep(cluster.draws().millis("into the heartbeats", 200..300));
        while_reading(cluster, &[leader], || {
            cluster.disconnect(leader);
            let began = Instant::now();
            while began.elapsed() < ELECTION_TIMEOUT {
                (0..5).for_each(|i| _ = cluster.start(i, &command(random(cluster))));
                cluster.sleep(ms(8));
            }
        });
        cluster.mend_links();
        cluster.connect(leader);
    }
    cluster.reached_check();
}

/// S3 hears no leader, stands for election, and isn't heard. S1 and S2, who have just heard S0, crash, start again, and don't remember it; S3 asks
/// them, and S0 is cut off. They must refuse for as long as if they remembered: S0 counts on it (thesis §6.4.1).
fn lease_and_voters_that_restart(cluster: &Cluster) {
    for _ in 0..4 {
        let stage = Stage::new(cluster);
        let [s0, s1, s2, s3, s4] = [0, 1, 2, 3, 4];
        stage.elect(s0, &[s1, s2, s3, s4]);
        agree(cluster, 1, 5);
        must_read(cluster, s0);
        stage.caption("S3 and S4 don't hear S0, and S3 stands for election");
        stage.direct(move |mail| match (mail.from, mail.to) {
            (0, 1 | 2) | (3, 4) => Fate::Deliver,
            _ => Fate::Lose,
        });
        cluster.sleep(ELECTION_TIMEOUT + cluster.draws().millis("before the crash", 0..300));
        while_reading(cluster, &[s0], || {
            stage.caption("S1 and S2 start again, and S0 is cut off");
            stage.direct(move |mail| match mail.from == s3 && mail.to != s0 {
                true => Fate::Deliver,
                false => Fate::Lose,
            });
            [s1, s2].into_iter().for_each(|i| restart(cluster, i));
            let began = Instant::now();
            while began.elapsed() < 2 * ELECTION_TIMEOUT {
                let _ = cluster.start(s3, &command(random(cluster)));
                cluster.sleep(ms(10));
            }
        });
        stage.all_pass();
        cluster.sleep(ELECTION_TIMEOUT);
        agree(cluster, 1, 5);
    }
    cluster.reached_check();
}

/// S0 asks S1 to take over; that comes late, when S0 has given up, and is heard by all again. S1 stands at once, and others vote for it though
/// they hear S0: so S0 must not count on them any more (thesis §6.4.1). If there is no such message, nothing happens.
fn lease_and_a_late_handover(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    agree(cluster, 1, 3);
    must_read(cluster, s0);
    stage.caption("S0 is asked to hand over to S1; its order is on the way for long");
    stage.all_pass();
    stage.direct(|mail| match mail.kind {
        Kind::Other if mail.is_call() => Fate::Hold,
        _ => Fate::Deliver,
    });
    let _ = cluster.transfer(s0, s1);
    cluster.sleep(ELECTION_TIMEOUT);
    while_reading(cluster, &[s0], || {
        stage.caption("the order arrives, and S0 is cut off");
        stage.direct(
            move |mail| if mail.from == s1 && mail.to == s2 { Fate::Deliver } else { Fate::Lose },
        );
        if stage.release(|mail| mail.from == s0 && mail.to == s1) > 0 {
            cluster.reached_check();
        }
        let began = Instant::now();
        while began.elapsed() < ELECTION_TIMEOUT {
            let _ = cluster.start(s1, &command(random(cluster)));
            cluster.sleep(ms(5));
        }
    });
    stage.all_pass();
    cluster.sleep(ELECTION_TIMEOUT);
    agree(cluster, 1, 3);
}

fn lease_in_a_storm(cluster: &Cluster) {
    reads_in_a_storm(cluster);
}

fn lease_in_every_storm(cluster: &Cluster) {
    reads_in_every_storm(cluster);
}

fn store_lease_reads(texts: &Texts) {
    store_reads(texts);
}

fn store_lease_reads_in_trouble(texts: &Texts) {
    store_reads_in_trouble(texts);
}
