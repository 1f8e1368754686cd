//! 2D+, of crashes between two saves: log and snapshot are on disk together, or a crash between the two leaves a server that knows
//! what its service doesn't, or the other way round (§7).

use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name};
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::steps::{after, agree, restart};
use labrpc::Moment;
use labrpc::time::Duration;

tests! { "2D+", Raft:
    crash_as_a_snapshot_is_made = "CrashAsASnapshotIsMade", reliable(3);
    crash_as_a_snapshot_comes = "CrashAsASnapshotComes", reliable(3);
}

/// As many saves as a snapshot may take, and some more.
const SAVES: u64 = 4;

/// Who saves in a thread of its own has done so by then.
const SAVED_WITHIN: Duration = Duration::from_millis(50);

/// The leader, and then a follower, crashes just after its first save around `snapshot()`, just after its second, and so on;
/// starts again, and goes on where it was.
fn crash_as_a_snapshot_is_made(cluster: &Cluster) {
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
                true => format!("just after save {save} of those around snapshot({index})"),
                false => format!("soon after snapshot({index})"),
            };
            comes_back(cluster, victim, &when);
            if !saved_as_often {
                break;
            }
        }
    }
}

/// A server that was away gets a snapshot, and crashes just after the first save since it came back, just after the second, and so
/// on. When it starts again the leader is gone; the third server has made no snapshot, and sends entries where the leader sent one.
fn crash_as_a_snapshot_comes(cluster: &Cluster) {
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
                "just after save {save} since it had come back, as the snapshot up to index {index} came"
            ),
            false => format!("some time after the snapshot up to index {index} had come"),
        };
        cluster.crashed(victim, &format!("{} crashed {when}", name(victim)));
        restart(cluster, victim);
        agree(cluster, 2, 2);
        restart(cluster, leader);
    }
    agree(cluster, 2, 3);
}

/// The server starts again, and everybody agrees. What it says from then on that is wrong is told with when it crashed.
fn comes_back(cluster: &Cluster, victim: usize, when: &str) {
    cluster.crashed(victim, &format!("{} crashed {when}", name(victim)));
    restart(cluster, victim);
    agree(cluster, 2, 3);
}
