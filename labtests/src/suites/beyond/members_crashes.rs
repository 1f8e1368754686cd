//! Members and crashes: every server finds the configuration again, in its log or in its snapshot (thesis §4.1, §5.1).

use super::change::{ChangeRequest, change, check_members};
use crate::cluster::Cluster;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::worlds::steps::{agree, restart};
use crate::suites::worlds::threads::{joined, spawn};
use std::collections::BTreeSet;

/// Changes the members and makes snapshots. A server that gets a snapshot must get the configuration with it, and every server
/// must find the configuration in its own snapshot after a crash (thesis §5.1).
pub(super) fn membership_is_in_snapshots(cluster: &Cluster) {
    agree(cluster, 25, 3);
    change(cluster, ChangeRequest::Add(3));
    agree(cluster, 25, 4);
    // S2 gets that change with a snapshot.
    cluster.disconnect(2);
    change(cluster, ChangeRequest::Remove(0));
    agree(cluster, 25, 2);
    cluster.connect(2);
    agree(cluster, 1, 3);
    check_members(cluster, 2, &[1, 2, 3]);
    agree(cluster, 25, 3);
    change(cluster, ChangeRequest::Add(4));
    agree(cluster, 25, 4);
    for round in 0..2 {
        (0..cluster.n()).for_each(|i| cluster.crash(i));
        // S0 starts first, and knows only the configurations from before its removal.
        (0..cluster.n()).for_each(|i| restart(cluster, i));
        cluster.sleep(ELECTION_TIMEOUT);
        agree(cluster, 1, 4);
        (1..5).for_each(|i| check_members(cluster, i, &[1, 2, 3, 4]));
        let away = 1 + round;
        cluster.disconnect(away);
        agree(cluster, 25, 3);
        cluster.connect(away);
        agree(cluster, 1, 4);
        check_members(cluster, away, &[1, 2, 3, 4]);
    }
    cluster.reached_check();
}

/// Crashes all servers in the middle of configuration changes. Each change must still be possible afterwards, and the members
/// must be right.
pub(super) fn membership_survives_crashes_of_all_servers(cluster: &Cluster) {
    agree(cluster, 1, 2);
    let mut wanted: BTreeSet<usize> = [0, 1].into();
    for request in [
        ChangeRequest::Add(2),
        ChangeRequest::Add(3),
        ChangeRequest::Remove(0),
        ChangeRequest::Add(4),
        ChangeRequest::Remove(2),
        ChangeRequest::Add(0),
    ] {
        let asking = spawn("change", {
            let (cluster, leader) = (cluster.clone(), cluster.check_one_leader());
            move || _ = request.ask(&cluster, leader)
        });
        cluster.sleep(cluster.draws().millis("until the blackout", 0..60));
        (0..cluster.n()).for_each(|i| cluster.crash(i));
        joined(asking);
        (0..cluster.n()).for_each(|i| restart(cluster, i));
        change(cluster, request);
        match request {
            ChangeRequest::Add(server) => wanted.insert(server),
            ChangeRequest::Remove(server) => wanted.remove(&server),
        };
        agree(cluster, 2, wanted.len());
    }
    let leader = cluster.check_one_leader();
    check_members(cluster, leader, &wanted.into_iter().collect::<Vec<_>>());
    cluster.reached_check();
}
