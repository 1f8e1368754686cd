//! Snapshots that are sent in pieces (Figure 13): pieces get lost or come twice, and the sender or the receiver fails.

use super::{agree_on_large, check_largest, cut_one_off, wait_for};
use crate::cluster::Cluster;
use crate::ledger::command;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{agree, ms, restart};
use crate::suites::worlds::storm::{Fault, every_but, storm};
use crate::suites::worlds::threads::{joined, spawn};
use labrpc::run;
use labrpc::time::{Duration, Instant};

/// Sends a snapshot of 1 MB on a network that loses every tenth message. If a piece is lost, the leader must not send the other
/// pieces again.
pub(super) fn flow_snapshot_in_chunks(cluster: &Cluster) {
    agree(cluster, 1, 3);
    let (_, away) = cut_one_off(cluster);
    let snapshot = agree_on_large(cluster, 129, 8, 2);
    let before = cluster.net().total_bytes();
    cluster.connect(away);
    wait_for(cluster, snapshot, 3, Duration::from_secs(60));
    let bytes = cluster.net().total_bytes() - before;
    check_largest(cluster);
    const MOST: u64 = 3 << 20;
    if bytes > MOST {
        run::fail(format!(
            "the servers sent {bytes} bytes for a snapshot of 1 MB. If one of its pieces is lost, the leader must not send the \
             other pieces again (Figure 13)"
        ));
    }
    agree(cluster, 3, 3);
    cluster.reached_check();
}

/// Crashes the receiver and then the sender in the middle of a snapshot. The receiver must still catch up.
pub(super) fn flow_snapshot_with_crashes(cluster: &Cluster) {
    agree(cluster, 1, 5);
    for _ in 0..3 {
        let (leader, away) = cut_one_off(cluster);
        agree_on_large(cluster, 30, 8, 4);
        cluster.connect(away);
        for crashed in [away, leader] {
            cluster.sleep(cluster.draws().millis("into the snapshot", 100..700));
            cluster.crash(crashed);
            restart(cluster, crashed);
        }
        agree(cluster, 1, 5);
    }
    check_largest(cluster);
    cluster.reached_check();
}

/// Lets the leader's service make new snapshots faster than one can be sent to a follower. The follower must still get one.
pub(super) fn flow_snapshot_of_a_busy_service(cluster: &Cluster) {
    agree(cluster, 1, 3);
    let (leader, away) = cut_one_off(cluster);
    agree_on_large(cluster, 30, 8, 2);
    cluster.delay_link(leader, away, ms(15)..ms(15));
    cluster.connect(away);
    let busy = spawn("commands", {
        let cluster = cluster.clone();
        move || {
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(15) {
                let _ = cluster.start(leader, &command("x"));
                cluster.sleep(ms(20));
            }
        }
    });
    let snapshot = cluster.ledger().lock().max_index();
    wait_for(cluster, snapshot, 3, Duration::from_secs(12));
    joined(busy);
    agree(cluster, 1, 3);
    cluster.reached_check();
}

/// Cuts off a leader in the middle of a snapshot. The next leader sends a newer snapshot. The receiver must not mix pieces of
/// the two.
pub(super) fn flow_snapshot_chunks_of_two_leaders(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    agree(cluster, 1, 5);
    let (leader, away) = cut_one_off(cluster);
    agree_on_large(cluster, 20, 8, 4);
    cluster.delay_link(leader, away, ms(15)..ms(15));
    cluster.connect(away);
    if stage.until(Duration::from_secs(5), || chunks_to(&stage, away) > 4) {
        cluster.reached_check();
    }
    [leader, away].into_iter().for_each(|i| cluster.disconnect(i));
    agree_on_large(cluster, 20, 8, 3);
    cluster.connect(away);
    let index = agree(cluster, 1, 3);
    wait_for(cluster, index, 4, Duration::from_secs(10));
    cluster.connect(leader);
    agree(cluster, 1, 5);
}

/// Restarts a follower at the first piece of a snapshot, then at the second piece of another, and so on. The restart loses the
/// pieces that it had, so the last piece alone must not complete the snapshot.
pub(super) fn flow_snapshot_with_restarts_at_every_chunk(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    agree_on_large(cluster, 5, 8, 3);
    for piece in 1..20 {
        let (leader, away) = cut_one_off(cluster);
        let index = agree(cluster, 12, 2);
        cluster.delay_link(leader, away, ms(15)..ms(15));
        let earlier = chunks_to(&stage, away);
        cluster.connect(away);
        let comes = || chunks_to(&stage, away) == earlier + piece;
        let whole = || cluster.n_committed(index).0 == 3;
        stage.until(Duration::from_secs(10), || comes() || whole());
        if whole() {
            return;
        }
        cluster.reached_check();
        cluster.crash(away);
        restart(cluster, away);
        wait_for(cluster, index, 3, Duration::from_secs(10));
    }
}

/// How many pieces of snapshots were sent to `server`.
fn chunks_to(stage: &Stage<'_>, server: usize) -> usize {
    let piece = |mail: &Mail| mail.kind == Kind::Snapshot && mail.is_call() && mail.to == server;
    stage.mail(piece).len()
}

/// Runs a storm with all kinds of trouble except blackouts, with snapshots of several pieces.
pub(super) fn flow_snapshots_under_all_faults(cluster: &Cluster) {
    agree_on_large(cluster, 8, 8, 5);
    storm(cluster, &every_but(&[Fault::Blackouts]), true);
}
