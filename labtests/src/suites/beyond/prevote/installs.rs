//! Votes and pre-votes of a server of which half a snapshot is there.

use super::scripts::{STANDS_WITHIN, everybody_again};
use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name};
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{agree, agree_on_long, restart};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::Instant;

/// So many commands of so many bytes make a snapshot of several pieces, where it goes in pieces.
const COMMANDS: usize = 12;
/// See [`COMMANDS`].
const BYTES: usize = 2000;

/// S2 was away, and two pieces of the snapshot that it needs have come; then S0 is gone, and with it the rest. S1 has everything,
/// and needs S2's vote: a voter's own log is as it was, whatever else is on its way (§5.4.1).
pub(super) fn half_a_snapshot(cluster: &Cluster) {
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
        "S2 starts again, and two pieces of a snapshot come to it, or all of it if it goes in one",
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
    stage.caption("S0 is gone for good");
    cluster.crash(s0);
    stage.all_pass();
    let leads = || [s1, s2].iter().any(|&i| matches!(cluster.state(i), Some((_, true))));
    if !stage.until(STANDS_WITHIN, leads) {
        run::fail(format!(
            "for {STANDS_WITHIN:?} neither {1} nor {2} is elected, though they are two of three and hear each other. {2} has got a part \
             of a snapshot from {0}, which has crashed since: that is no reason to refuse its vote, or its pre-vote, to {1}, whose log is \
             more up-to-date (§5.4.1, thesis §9.6); {3}",
            name(s0),
            name(s1),
            name(s2),
            cluster.who_thinks_what()
        ));
    }
    restart(cluster, s0);
    everybody_again(&stage);
}

/// Lets two messages of a kind come, with the answers to them, and loses the others of that kind; and says whether they have come.
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
        Fate::Lose
    };
    (direct, move || come.lock().len() == 2)
}
