//! Votes and pre-votes of a server that has received only a part of a snapshot.

use super::scripts::{STANDS_WITHIN, everybody_again};
use crate::cluster::{Cluster, name};
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{agree, agree_on_long, restart};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::Instant;

/// This many commands of [`BYTES`] bytes make a snapshot of several pieces, if the Raft sends snapshots in pieces.
const COMMANDS: usize = 12;
/// See [`COMMANDS`].
const BYTES: usize = 2000;

/// Sends S2 two pieces of the snapshot that it needs, and then crashes the sender S0. S1 has everything and needs S2's vote. S2
/// must compare S1's log with its own log as it is, without regard to the unfinished snapshot (§5.4.1).
pub(super) fn vote_while_a_snapshot_is_arriving(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    stage.all_pass();
    agree(cluster, 3, 3);
    cluster.crash(s2);
    let last = agree_on_long(cluster, COMMANDS, BYTES, 2);
    stage.settle();
    cluster.make_snapshot(s0, last);
    stage.caption(
        "S2 restarts, and gets two pieces of a snapshot, or all of it if it is sent in one piece",
    );
    let pieces = move |mail: &Mail| mail.from == s0 && mail.to == s2 && mail.kind == Kind::Snapshot;
    let (scene, come) = two_of(pieces);
    stage.direct(scene);
    restart(cluster, s2);
    let began = Instant::now();
    while !come() && began.elapsed() < 3 * ELECTION_TIMEOUT {
        cluster.sleep(ELECTION_TIMEOUT / 100);
    }
    if come() {
        cluster.reached_check();
    }
    stage.caption("S0 crashes");
    cluster.crash(s0);
    stage.all_pass();
    let leads = || [s1, s2].iter().any(|&i| matches!(cluster.state(i), Some((_, true))));
    if !stage.until(STANDS_WITHIN, leads) {
        run::fail(format!(
            "for {STANDS_WITHIN:?} neither {1} nor {2} was elected. They are two of three servers and hear each other, so one of \
             them should lead. {2} has got a part of a snapshot from {0}, and {0} has crashed since. That is no reason to refuse \
             a vote or a pre-vote to {1}, whose log is more up-to-date (§5.4.1, thesis §9.6); {3}",
            name(s0),
            name(s1),
            name(s2),
            cluster.who_thinks_what()
        ));
    }
    restart(cluster, s0);
    everybody_again(&stage);
}

/// A director that delivers two of the calls that `which` selects, with their answers, and loses the others. The second
/// function returns whether two have been delivered.
fn two_of(
    which: impl Fn(&Mail) -> bool + Send + Sync + 'static,
) -> (impl Fn(&Mail) -> Fate + Send + Sync + 'static, impl Fn() -> bool) {
    let calls = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let come = calls.clone();
    let direct = move |mail: &Mail| {
        let mut calls = calls.lock();
        if !which(mail) || calls.contains(&mail.call) {
            return Fate::Deliver;
        }
        if calls.len() < 2 {
            calls.push(mail.call);
            return Fate::Deliver;
        }
        Fate::Drop
    };
    (direct, move || come.lock().len() == 2)
}
