//! 2D+, about crashes between two saves. A server must save its log and its snapshot together. Otherwise a crash between the
//! two saves leaves a log that doesn't fit the snapshot of the service, or the other way round (§7).

use crate::cluster::{Cluster, name};
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::steps::{after, agree, restart};
use labrpc::Moment;
use labrpc::time::Duration;

tests! { "2D+", Raft:
    crash_while_saving_a_snapshot = "CrashAsASnapshotIsMade", reliable(3);
    crash_while_installing_a_snapshot = "CrashAsASnapshotComes", reliable(3);
}

/// The number of saves after which a server crashes is at most this: more than a server needs to save a snapshot.
const SAVES: u64 = 4;

/// A server that saves in a separate thread has saved within this time.
const SAVED_WITHIN: Duration = Duration::from_millis(50);

/// Crashes the leader, and later a follower, just after its first save around `snapshot()`, just after its second save, and so
/// on. After its restart the server must go on where it was (§7).
fn crash_while_saving_a_snapshot(cluster: &Cluster) {
    for steps in [0, 1] {
        for save in 1..=SAVES {
            let index = agree(cluster, 5, 3);
            let victim = after(cluster, cluster.check_one_leader(), steps);
            cluster.crash_at_save(victim, save, Moment::After);
            cluster.make_snapshot(victim, index);
            let saved_as_often = cluster.wait_crashed(victim, SAVED_WITHIN);
            if saved_as_often {
                cluster.reached_check();
            }
            cluster.crash(victim);
            let when = match saved_as_often {
                true => format!("just after save number {save} around snapshot({index})"),
                false => format!("soon after snapshot({index})"),
            };
            comes_back(cluster, victim, &when);
            if !saved_as_often {
                break;
            }
        }
    }
}

/// Sends a snapshot to a server that was down, and crashes the server just after its first save since it came back, just after
/// its second save, and so on. When it starts again, the leader has crashed. The third server has made no snapshot, so it sends
/// entries where the leader sent the snapshot. The restarted server must accept them (§7).
fn crash_while_installing_a_snapshot(cluster: &Cluster) {
    for save in 1..=SAVES {
        agree(cluster, 3, 3);
        let leader = cluster.check_one_leader();
        let victim = after(cluster, leader, 1);
        cluster.crash(victim);
        let index = agree(cluster, 12, 2);
        cluster.make_snapshot(leader, index);
        cluster.start_server(victim);
        cluster.crash_at_save(victim, save, Moment::After);
        cluster.connect(victim);
        let saved_as_often = cluster.wait_crashed(victim, 2 * ELECTION_TIMEOUT);
        if saved_as_often {
            cluster.reached_check();
        }
        cluster.crash(victim);
        cluster.crash(leader);
        let when = match saved_as_often {
            true => format!(
                "just after save number {save} since its restart, as the snapshot up to index {index} arrived"
            ),
            false => format!("some time after the snapshot up to index {index} had arrived"),
        };
        cluster.crashed(victim, &format!("{} crashed {when}", name(victim)));
        restart(cluster, victim);
        agree(cluster, 2, 2);
        restart(cluster, leader);
    }
    agree(cluster, 2, 3);
}

/// Starts the server again; all servers must agree. A failure of this server from now on is reported together with the moment
/// of its crash.
fn comes_back(cluster: &Cluster, victim: usize, when: &str) {
    cluster.crashed(victim, &format!("{} crashed {when}", name(victim)));
    restart(cluster, victim);
    agree(cluster, 2, 3);
}
