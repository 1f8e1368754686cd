//! Servers that come back with an empty disk. A member that forgets breaks its promises, and a test that causes this is told
//! so. Another machine under the name of that server has promised nothing.

#![allow(missing_docs, reason = "tests")]

use labrpc::run::{Outcome, Run};
use labrpc::time::Duration;
use labtests::cluster::{Cluster, Setup, Snapshots};
use labtests::invariants::Watch;
use labtests::reading::Reading;
use raftlab::raft::Raft;

/// Three servers agree on five commands, then this happens to a follower, and then the servers must agree on one more command.
fn after_five_commands(happens: fn(&Cluster, usize)) -> Outcome<()> {
    let watch = Watch::new(3, true, Reading::default());
    let run = Run::simulated(1).time_limit(Duration::from_secs(120)).trace(watch.clone());
    run.run(move || {
        let setup = Setup { servers: 3, members: 3, reliable: true, snapshots: Snapshots::Never };
        let cluster = Cluster::watched(labtests::make(Raft::make), setup, watch);
        (0..5).for_each(|n| _ = cluster.one(n, 3, true));
        let follower = (cluster.check_one_leader() + 1) % 3;
        happens(&cluster, follower);
        cluster.connect(follower);
        cluster.one(5, 3, true);
        cluster.finish();
    })
}

#[test]
fn a_member_that_forgets_is_held_to_its_promises() {
    let outcome = after_five_commands(|cluster, i| {
        cluster.lose_disk(i);
        cluster.start_server(i);
    });
    let failure = outcome.result.expect_err("it had acknowledged five entries").to_string();
    assert!(failure.contains("entries that S1 had acknowledged are gone"), "{failure}");
}

#[test]
fn another_machine_has_promised_nothing() {
    let outcome = after_five_commands(|cluster, i| {
        let leader = cluster.check_one_leader();
        cluster.replace_server(i);
        cluster.connect(i);
        // The leader of that term knows what the machine before had acknowledged, and sends nothing of it again (Figure 2:
        // matchIndex increases monotonically). The next leader finds out.
        cluster.disconnect(leader);
        cluster.one("more", 2, true);
        cluster.connect(leader);
    });
    outcome.result.unwrap_or_else(|failure| panic!("{failure}"));
}
