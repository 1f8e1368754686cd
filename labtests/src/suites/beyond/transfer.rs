//! A leader hands over to a server of one's choice (thesis §3.10).

use super::super::{after, agree, reliable, tests};
use crate::cluster::{Cluster, name};
use labrpc::run;

tests! { "transfer", Beyond(Transfer):
    handover = "Handover", reliable(5);
}

/// The leadership goes round.
fn handover(cluster: &Cluster) {
    agree(cluster, 1, 5);
    for _ in 0..10 {
        let leader = cluster.check_one_leader();
        let to = after(cluster, leader, 2);
        if cluster.transfer(leader, to) != Some(Ok(())) || cluster.check_one_leader() != to {
            run::fail(format!(
                "{} was to hand over to {}, all servers hear each other, and {} leads (thesis §3.10)",
                name(leader),
                name(to),
                name(cluster.check_one_leader())
            ));
        }
        agree(cluster, 1, 5);
    }
}
