//! Elections must still happen, and soon: if there is a reason for an election, a server must get its pre-votes.

use super::AWAY;
use crate::cluster::Cluster;
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::worlds::steps::{after, agree, anybody, restart};

/// Crashes the leader, and sometimes the next leader, too. Each time another server must be elected within the lab's five
/// seconds.
pub(super) fn crashed_leaders_are_replaced(cluster: &Cluster) {
    crash_leaders(cluster, 10);
}

/// Does the same on an unreliable network. Pre-votes get lost and come late, too, so an election may take some more timeouts of
/// up to two seconds each.
pub(super) fn crashed_leaders_are_replaced_on_an_unreliable_network(cluster: &Cluster) {
    crash_leaders(cluster, 40);
}

fn crash_leaders(cluster: &Cluster, polls: u32) {
    for round in 0..6 {
        agree(cluster, 2, 5);
        let first = cluster.one_leader_within(polls);
        let _ = cluster.start(first, &command(format!("perhaps {round}")));
        cluster.crash(first);
        let second = cluster.one_leader_within(polls);
        if round % 2 == 0 {
            agree(cluster, 2, 4);
            cluster.crash(second);
            cluster.one_leader_within(polls);
            agree(cluster, 1, 3);
            restart(cluster, second);
        }
        cluster.sleep(cluster.draws().millis("down", 0..1500));
        restart(cluster, first);
    }
    agree(cluster, 1, 5);
    cluster.reached_check();
}

/// Restarts all servers, at once or one by one, so that no server hears or remembers a leader. They must elect one.
pub(super) fn restarted_cluster_elects_a_leader(cluster: &Cluster) {
    for round in 0..5 {
        agree(cluster, 2, 5);
        (0..5).for_each(|i| cluster.crash(i));
        let first = anybody(cluster);
        for steps in 0..5 {
            restart(cluster, after(cluster, first, steps));
            if round % 2 == 0 {
                cluster.sleep(cluster.draws().millis("until the next", 0..700));
            }
        }
        cluster.check_one_leader();
    }
    agree(cluster, 1, 5);
    cluster.reached_check();
}

/// Cuts off two of five servers, which ask in vain; when they come back, two others have crashed. Of the three that are left,
/// only one has all committed entries, so only it can be elected (§5.4.1). It needs the pre-votes and votes of both others, and
/// must get them.
pub(super) fn only_server_with_committed_entries_is_elected(cluster: &Cluster) {
    for round in 0..5 {
        agree(cluster, 1, 5);
        let leader = cluster.check_one_leader();
        let [gone, a, b] = [2, 3, 4].map(|steps| after(cluster, leader, steps));
        [a, b].iter().for_each(|&i| cluster.disconnect(i));
        cluster.sleep(AWAY - round * ELECTION_TIMEOUT / 2);
        agree(cluster, 2, 3);
        [leader, gone].iter().for_each(|&i| cluster.crash(i));
        for i in [a, b] {
            if round % 2 == 1 {
                cluster.sleep(cluster.draws().millis("until it starts", 0..500));
                cluster.start_server(i); // after a restart it doesn't know how long it has heard no leader
            }
            cluster.connect(i);
        }
        cluster.check_one_leader();
        agree(cluster, 1, 3);
        [leader, gone].iter().for_each(|&i| restart(cluster, i));
    }
    agree(cluster, 1, 5);
    cluster.reached_check();
}
