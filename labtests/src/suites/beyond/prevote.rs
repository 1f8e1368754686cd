//! Who can't be elected disturbs nobody, and who can't lead doesn't (thesis §9.6, §6.2, §4.2.3).

use super::super::{after, agree, reliable, tests};
use crate::cluster::{Cluster, name};
use labrpc::run;
use labrpc::time::Duration;

tests! { "prevote", Beyond(PreVote):
    returning_server = "ReturningServer", reliable(3);
}

/// A server that was cut off comes back, again and again: the term stays, and so does the leader.
fn returning_server(cluster: &Cluster) {
    agree(cluster, 1, 3);
    let leader = cluster.check_one_leader();
    let term = cluster.check_terms();
    for round in 0..6 {
        let cut = after(cluster, leader, 1 + round % 2);
        cluster.disconnect(cut);
        agree(cluster, 2, 2);
        cluster.sleep(Duration::from_secs(4));
        cluster.connect(cut);
        agree(cluster, 1, 3);
        let now = cluster.check_terms();
        if now != term || cluster.check_one_leader() != leader {
            run::fail(format!(
                "{} was cut off for 4 s, and came back; the others, who heard {} all the while, are in term {now} now, after term \
                 {term}. A server that was cut off asks whether it would be elected before it raises its term, and who hears a \
                 leader says no (thesis §9.6)",
                name(cut),
                name(leader)
            ));
        }
    }
}
