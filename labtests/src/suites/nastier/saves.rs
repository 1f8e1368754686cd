//! 2C+, about what is on disk: a server that removes entries from its log must remove them on disk, too.

use crate::cluster::Cluster;
use crate::ledger::command;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::stage::Stage;
use crate::suites::worlds::steps::{agree, random, restart};
use labrpc::network::Fate;

tests! { "2C+", Raft:
    overwritten_entries_do_not_return_after_crash = "CutBackAndCrash", reliable(3);
}

/// Gives S2 six entries that no other server has. S0 replaces the first of them by its own entry; S2 acknowledges that entry,
/// crashes at once, and is elected. The other five entries must be gone from its disk (Figure 2, AppendEntries 3).
fn overwritten_entries_do_not_return_after_crash(cluster: &Cluster) {
    for _ in 0..3 {
        let stage = Stage::new(cluster);
        let [s0, s1, s2] = [0, 1, 2];
        stage.elect(s2, &[s0, s1]);
        stage.all_pass();
        agree(cluster, 2, 3);
        stage.caption("S2 leads, and gets six entries that no other server has");
        stage.elect(s2, &[s0, s1]);
        stage.settle();
        stage.direct(|_| Fate::Drop);
        let taken = (0..6).filter(|_| cluster.start(s2, &command(random(cluster))).is_ok()).count();
        stage.caption("S0 is elected, and one entry of S0 replaces the six entries in S2's log");
        stage.elect(s0, &[s1]);
        stage.direct(move |mail| if mail.from == s0 { Fate::Deliver } else { Fate::Drop });
        let _ = cluster.start(s0, &command(random(cluster)));
        if stage.has_all_of(s2, s0) && taken == 6 {
            cluster.reached_check();
        }
        stage.caption("S2 crashes at once, starts again, and is elected");
        cluster.crash(s2);
        stage.direct(|_| Fate::Drop);
        restart(cluster, s2);
        stage.elect(s2, &[s0, s1]);
        stage.all_pass();
        agree(cluster, 1, 3);
    }
}
