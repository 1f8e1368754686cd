//! A machine that is replaced by an empty one. Under its old name it is another server: first it is removed, then it is emptied, then
//! it is added, as any new one (thesis §4.2.1).

use super::wish::{Wish, change, check_members};
use crate::cluster::Cluster;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{members, reliable};
use crate::suites::worlds::steps::agree;

tests! { "members", Beyond(Members):
    replaced_after_removal = "ReplacedAfterRemoval", members(3, reliable(3));
    replaced_again_and_again = "ReplacedAgainAndAgain", members(4, reliable(4));
}

/// S2, or S1 if that leads, is removed, and an empty machine takes its place, all in one reign. The leader knows how far the old one
/// was; the new one has nothing.
fn replaced_after_removal(cluster: &Cluster) {
    agree(cluster, 20, 3);
    let leader = cluster.check_one_leader();
    replace(cluster, (leader + 1) % 3);
    agree(cluster, 3, 3);
    check_members(cluster, leader, &[0, 1, 2]);
}

/// One server after the other, leaders as well.
fn replaced_again_and_again(cluster: &Cluster) {
    for i in 0..cluster.n() {
        agree(cluster, 5, 4);
        replace(cluster, i);
    }
    agree(cluster, 3, 4);
    check_members(cluster, cluster.check_one_leader(), &[0, 1, 2, 3]);
}

fn replace(cluster: &Cluster, i: usize) {
    change(cluster, Wish::Remove(i));
    agree(cluster, 1, cluster.n() - 1);
    cluster.reached_check();
    cluster.replace_server(i);
    cluster.connect(i);
    change(cluster, Wish::Add(i));
    agree(cluster, 1, cluster.n());
}
