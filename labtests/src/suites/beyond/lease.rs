//! Reads with a lease: while the lease is valid, a leader answers reads without asking other servers (thesis §6.4.1).

use super::reads::{
    deposed_leader_answers_no_reads, must_read, new_leader_commits_before_it_reads,
    reads_in_a_minority_partition, reads_return_a_current_index, reads_under_all_faults,
    reads_under_faults, store_reads, store_reads_under_faults, while_reading,
};
use crate::clients::Texts;
use crate::cluster::Cluster;
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::services::kv;
use crate::suites::worlds::setups::{reliable, service, sloppy, unreliable};
use crate::suites::worlds::stage::{Kind, Stage};
use crate::suites::worlds::steps::{agree, ms, random, restart};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::Instant;

tests! { "lease", Beyond(Lease):
    lease_reads_return_a_current_index = "LeaseReads", reliable(5);
    lease_reads_send_no_messages = "LeaseSavesMessages", reliable(5);
    new_leader_with_a_lease_commits_before_it_reads = "LeaseOfANewLeader", reliable(3);
    deposed_leader_has_no_lease = "LeaseOfADeposedLeader", reliable(5);
    lease_reads_in_a_minority_partition = "LeaseInTheMinority", reliable(5);
    lease_counts_from_when_the_request_was_sent = "LeaseAndLateAnswers", reliable(5);
    restarted_voters_respect_the_lease = "LeaseAndVotersThatRestart", reliable(5);
    transfer_ends_the_lease = "LeaseAndALateHandover", reliable(3);
    lease_reads_under_faults = "LeaseInAStorm", unreliable(5);
    lease_reads_under_all_faults = "LeaseInEveryStorm", sloppy(reliable(5));
}

tests! { STORE_TESTS = "lease", Store(Lease):
    store_lease_reads = "StoreLeaseReads", service(reliable(5), None);
    store_lease_reads_under_faults = "StoreLeaseReadsInTrouble", service(unreliable(5), Some(kv::MAX_RAFT_STATE));
}

/// Does the same as [`reads_return_a_current_index`], with leases.
fn lease_reads_return_a_current_index(cluster: &Cluster) {
    reads_return_a_current_index(cluster);
}

/// Reads a hundred times and counts the calls. While the lease is valid, a read needs no messages (thesis §6.4.1).
fn lease_reads_send_no_messages(cluster: &Cluster) {
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
            "the servers made {calls} calls for 100 reads, one after the other. A leader that has a lease, because a majority \
             has heard it recently, needs no calls for a read (thesis §6.4.1)"
        ));
    }
    cluster.reached_check();
}

/// Does the same as [`new_leader_commits_before_it_reads`], with leases.
fn new_leader_with_a_lease_commits_before_it_reads(cluster: &Cluster) {
    new_leader_commits_before_it_reads(cluster);
}

/// Does the same as [`deposed_leader_answers_no_reads`], with leases.
fn deposed_leader_has_no_lease(cluster: &Cluster) {
    deposed_leader_answers_no_reads(cluster);
}

/// Does the same as [`reads_in_a_minority_partition`], with leases.
fn lease_reads_in_a_minority_partition(cluster: &Cluster) {
    reads_in_a_minority_partition(cluster);
}

/// Delays answers by 85 ms and then cuts the leader off. Its lease must begin when it sent the message, and not when it got the
/// answer, because followers count from when they heard the leader (thesis §6.4.1).
fn lease_counts_from_when_the_request_was_sent(cluster: &Cluster) {
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

/// Lets S3 become a candidate that is not heard. Then S1 and S2, which have just heard S0, restart and so forget S0; S3 asks
/// them for their votes, and S0 is cut off. They must refuse for as long as if they remembered S0, because S0's lease depends
/// on it (thesis §6.4.1).
fn restarted_voters_respect_the_lease(cluster: &Cluster) {
    for _ in 0..4 {
        let stage = Stage::new(cluster);
        let [s0, s1, s2, s3, s4] = [0, 1, 2, 3, 4];
        stage.elect(s0, &[s1, s2, s3, s4]);
        agree(cluster, 1, 5);
        must_read(cluster, s0);
        stage.caption("S3 and S4 don't hear S0, and S3 becomes a candidate");
        stage.direct(move |mail| match (mail.from, mail.to) {
            (0, 1 | 2) | (3, 4) => Fate::Deliver,
            _ => Fate::Drop,
        });
        cluster.sleep(ELECTION_TIMEOUT + cluster.draws().millis("before the crash", 0..300));
        while_reading(cluster, &[s0], || {
            stage.caption("S1 and S2 restart, and S0 is cut off");
            stage.direct(move |mail| match mail.from == s3 && mail.to != s0 {
                true => Fate::Deliver,
                false => Fate::Drop,
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

/// Delays S0's TimeoutNow to S1 until S0 has given up the handover and leads as before. Then S1 becomes a candidate at once,
/// and others vote for it though they have just heard S0. So S0 must not rely on a lease after it has sent TimeoutNow (thesis
/// §6.4.1). If there is no such message, nothing happens.
fn transfer_ends_the_lease(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    agree(cluster, 1, 3);
    must_read(cluster, s0);
    stage.caption("S0 is asked to hand over to S1; its TimeoutNow is held");
    stage.all_pass();
    stage.direct(|mail| match mail.kind {
        Kind::Other if mail.is_call() => Fate::Hold,
        _ => Fate::Deliver,
    });
    let _ = cluster.transfer(s0, s1);
    cluster.sleep(ELECTION_TIMEOUT);
    while_reading(cluster, &[s0], || {
        stage.caption("S0's TimeoutNow arrives, and S0 is cut off");
        stage.direct(
            move |mail| if mail.from == s1 && mail.to == s2 { Fate::Deliver } else { Fate::Drop },
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

/// Does the same as [`reads_under_faults`], with leases.
fn lease_reads_under_faults(cluster: &Cluster) {
    reads_under_faults(cluster);
}

/// Does the same as [`reads_under_all_faults`], with leases.
fn lease_reads_under_all_faults(cluster: &Cluster) {
    reads_under_all_faults(cluster);
}

/// Does the same as [`store_reads`], with leases.
fn store_lease_reads(texts: &Texts) {
    store_reads(texts);
}

/// Does the same as [`store_reads_under_faults`], with leases.
fn store_lease_reads_under_faults(texts: &Texts) {
    store_reads_under_faults(texts);
}
