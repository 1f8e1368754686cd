//! 2A: leader election (§5.2).

use crate::cluster::Cluster;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::steps::anybody;
use labrpc::run;
use labrpc::time::Duration;

tests! { "2A", Raft:
    initial_election = "InitialElection", reliable(3);
    re_election = "ReElection", reliable(3);
    many_elections = "ManyElections", reliable(7);
}

/// Starts three servers and lets nothing fail. They must elect one leader, in term 1 or later, and that leader must stay (§5.2).
fn initial_election(cluster: &Cluster) {
    cluster.check_one_leader();
    cluster.sleep(Duration::from_millis(50)); // the other servers learn the term
    let before = cluster.check_terms();
    if before < 1 {
        run::fail("there is a leader, but the term is 0; elections begin with term 1 (§5.2)");
    }
    cluster.sleep(2 * ELECTION_TIMEOUT);
    let after = cluster.check_terms();
    if after != before {
        // This breaks no rule, but it is a sign that heartbeats come too late.
        log::warn!("the term went from {before} to {after} although nothing failed");
    }
    cluster.check_one_leader();
}

/// Cuts leaders off and lets them come back. The other servers must elect a new leader while they have a majority, and must not
/// elect one without a majority (§5.2).
fn re_election(cluster: &Cluster) {
    let first = cluster.check_one_leader();
    cluster.disconnect(first);
    cluster.check_one_leader();
    // An old leader that comes back becomes a follower and disturbs nobody.
    cluster.connect(first);
    let second = cluster.check_one_leader();
    // A minority elects nobody.
    let next = crate::suites::worlds::steps::after(cluster, second, 1);
    cluster.disconnect(second);
    cluster.disconnect(next);
    cluster.sleep(2 * ELECTION_TIMEOUT);
    cluster.check_no_leader();
    cluster.connect(next);
    cluster.check_one_leader();
    cluster.connect(second);
    cluster.check_one_leader();
}

/// Cuts off up to three of seven random servers, nine times. The leader may be one of them. The other servers must have one
/// leader each time (§5.2).
fn many_elections(cluster: &Cluster) {
    cluster.check_one_leader();
    for _ in 0..9 {
        let gone = [(); 3].map(|()| anybody(cluster));
        gone.iter().for_each(|&i| cluster.disconnect(i));
        cluster.check_one_leader();
        gone.iter().for_each(|&i| cluster.connect(i));
    }
    cluster.check_one_leader();
}
