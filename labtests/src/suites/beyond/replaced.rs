//! A machine that is replaced by an empty one. The empty machine is a new server with the old name. So the old server is
//! removed first, then the machine is replaced, and then it is added as any new server (thesis §4.2.1).

use super::change::{ChangeRequest, change, check_members};
use crate::cluster::Cluster;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{members, reliable};
use crate::suites::worlds::steps::agree;

tests! { "members", Beyond(Members):
    server_is_replaced_by_an_empty_one = "ReplacedAfterRemoval", members(3, reliable(3));
    every_server_is_replaced = "ReplacedAgainAndAgain", members(4, reliable(4));
}

/// Removes the server after the leader and adds an empty one under the same name, all in one term of office. The leader must
/// forget how far the old server's log went, because the new server has nothing (thesis §4.2.1).
fn server_is_replaced_by_an_empty_one(cluster: &Cluster) {
    agree(cluster, 20, 3);
    let leader = cluster.check_one_leader();
    replace(cluster, (leader + 1) % 3);
    agree(cluster, 3, 3);
    check_members(cluster, leader, &[0, 1, 2]);
}

/// Replaces one server after the other, leaders as well (thesis §4.2.1).
fn every_server_is_replaced(cluster: &Cluster) {
    for i in 0..cluster.n() {
        agree(cluster, 5, 4);
        replace(cluster, i);
    }
    agree(cluster, 3, 4);
    check_members(cluster, cluster.check_one_leader(), &[0, 1, 2, 3]);
}

fn replace(cluster: &Cluster, i: usize) {
    change(cluster, ChangeRequest::Remove(i));
    agree(cluster, 1, cluster.n() - 1);
    cluster.reached_check();
    cluster.replace_server(i);
    cluster.connect(i);
    change(cluster, ChangeRequest::Add(i));
    agree(cluster, 1, cluster.n());
}
