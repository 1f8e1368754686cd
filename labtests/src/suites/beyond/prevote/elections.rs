//! Elections there are all the same, and soon: who asks first is answered yes, if there is a reason to stand.

use super::AWAY;
use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::Cluster;
use crate::ledger::command;
use crate::suites::worlds::steps::{after, agree, anybody, restart};

/// The leader crashes, and another one is elected within the lab's five seconds; then one of those that are left.
pub(super) fn leaders_crash(cluster: &Cluster) {
    crash_leaders(cluster, 10);
}

/// The same where pre-votes, too, get lost and are late: an election may take some more timeouts, of up to two seconds.
pub(super) fn leaders_crash_on_a_bad_network(cluster: &Cluster) {
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

/// All servers start again, at once or one by one: nobody hears a leader, and nobody remembers one.
pub(super) fn all_restart(cluster: &Cluster) {
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

/// Two servers are away, and ask in vain; when they are back, two others are gone, and of the three that are left only one has all
/// that is committed (§5.4.1). It needs both of the others, and gets them.
pub(super) fn only_one_electable(cluster: &Cluster) {
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
                cluster.start_server(i); // and doesn't know how long it has heard no leader
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
