//! 2B+, about leaders that have led before. What such a leader knew of its followers in an earlier term is no longer valid
//! (Figure 2, "Reinitialized after election"), and what it assumed may no longer be true.

use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{agree, give, ms, random};
use labrpc::network::Fate;
use labrpc::sync::Arc;
use labrpc::thread::{Hiccups, JoinHandle};
use labrpc::time::{Duration, Instant};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

tests! { "2B+", Raft:
    match_index_is_forgotten_between_leaderships = "AcknowledgedInAnEarlierReign", reliable(5);
    start_while_leadership_changes = "StartWhileTermsPass", reliable(3);
    refused_heartbeats_repair_the_log = "RepairedWithoutCommands", reliable(3);
}

/// S1 acknowledges eight entries of S0. Another leader replaces these entries, and then S0 leads again without having crashed,
/// with a shorter log. When S2 acknowledges new entries at the old indices, two of five servers have them, so S0 must not
/// commit: what S1 acknowledged in the earlier term doesn't count (Figure 2, "Reinitialized after election").
fn match_index_is_forgotten_between_leaderships(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2, s3, s4] = [0, 1, 2, 3, 4];
    stage.elect(s0, &[s1, s2, s3, s4]);
    cluster.one(random(cluster), 5, true);
    stage.settle();
    stage.caption("S0 leads, and sends eight entries to S1 alone, which acknowledges them");
    stage.elect(s0, &[s1, s2, s3, s4]);
    stage.settle();
    stage.direct(only(s0, &[s1]));
    let taken = (0..8).filter(|_| cluster.start(s0, &command(random(cluster))).is_ok()).count();
    let had = stage.has_all_of(s1, s0) && taken == 8;
    stage.caption("S4 is elected, and one entry of S4 replaces the eight entries");
    stage.elect(s4, &[s2, s3]);
    stage.direct(only(s4, &[s0, s1, s2, s3]));
    let _ = cluster.start(s4, &command(random(cluster)));
    let lost = [s0, s1, s2, s3].iter().all(|&i| stage.has_all_of(i, s4));
    stage.caption("S0 leads again, and sends three entries to S2 alone: S0's log is now shorter than S1's log was before");
    stage.elect(s0, &[s2, s3, s4]);
    stage.settle();
    stage.direct(only(s0, &[s2]));
    let taken = give(cluster, s0, 3);
    let has = stage.has_all_of(s2, s0);
    cluster.sleep(ms(300)); // a leader that counts S1 is caught
    if let Some(last) = taken.filter(|_| had && lost && has) {
        cluster.reached_check();
        let _ = cluster.state(s0);
        cluster.check_not_committed(
            last.index,
            "but only S0 and S2 of five servers have this entry. matchIndex is \"reinitialized after election\" to 0 (Figure 2, \
             Volatile state on leaders), because S1 may have lost what it acknowledged in an earlier term",
        );
    }
    stage.all_pass();
    cluster.one(random(cluster), 5, true);
}

fn only(from: usize, to: &[usize]) -> impl Fn(&Mail) -> Fate + use<> {
    let to = to.to_vec();
    move |mail| if mail.from == from && to.contains(&mail.to) { Fate::Deliver } else { Fate::Drop }
}

/// How often a leader is cut off, comes back, and hears of a newer term.
const REIGNS: usize = 10;

/// How long it may take until a server leads while threads are slow.
const LED_WITHIN: Duration = Duration::from_secs(10);

/// Cuts off one leader after the other. While an old leader comes back, hears of a newer term and gets an entry of that term,
/// several threads give it commands, and threads stop for a while after they release a lock. A server that doesn't lead any
/// more must not append a command.
fn start_while_leadership_changes(cluster: &Cluster) {
    cluster.one(random(cluster), 3, true);
    for _ in 0..REIGNS {
        let Some(old) = leads(cluster) else { break };
        cluster.disconnect(old);
        let Some(new) = leads(cluster) else { break };
        let _ = cluster.start(new, &command(random(cluster)));
        while_given_commands(cluster, old, || {
            cluster.sleep(ms(30));
            cluster.connect(old);
            cluster.sleep(ms(400));
        });
        cluster.reached_check();
    }
    (0..cluster.n()).for_each(|i| cluster.connect(i));
    cluster.sleep(ELECTION_TIMEOUT);
    cluster.one(random(cluster), 3, true);
}

/// Makes threads slow, and lets several threads give commands to one server while something happens.
fn while_given_commands(cluster: &Cluster, i: usize, happens: impl FnOnce()) {
    cluster.hiccups(Some(Hiccups { one_in: 1, lasting: ms(1)..ms(120) }));
    let over = Arc::new(AtomicBool::new(false));
    let givers: Vec<_> = (0..4).map(|_| gives_commands(cluster, i, &over)).collect();
    happens();
    over.store(true, Relaxed);
    cluster.hiccups(None);
    givers.into_iter().for_each(|giver| _ = giver.join());
}

/// Waits until a connected server leads the latest term.
fn leads(cluster: &Cluster) -> Option<usize> {
    let began = Instant::now();
    while began.elapsed() < LED_WITHIN {
        let up = (0..cluster.n()).filter(|&i| cluster.is_connected(i));
        let states = up.filter_map(|i| Some((cluster.state(i)?, i)));
        if let Some(((_, true), leader)) = states.max_by_key(|(state, _)| *state) {
            return Some(leader);
        }
        cluster.sleep(ms(20));
    }
    None
}

/// Starts a thread that gives commands to one server until `over` is set.
fn gives_commands(cluster: &Cluster, i: usize, over: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (cluster, over) = (cluster.clone(), over.clone());
    crate::suites::worlds::threads::spawn(&format!("commands for {}", name(i)), move || {
        while !over.load(Relaxed) {
            let _ = cluster.start(i, &command(random(&cluster)));
            cluster.sleep(cluster.draws().millis("between commands", 1..10));
        }
    })
}

/// How long the repair of a follower's log may take if nothing fails: a few elections and a few heartbeats.
const REPAIRED_WITHIN: Duration = Duration::from_secs(10);

/// Lets S2 come back with a log that is behind the new leader's log, and gives the leader no command. S2 refuses the leader's
/// heartbeats. After a refused heartbeat the leader must send what S2 lacks (§5.3).
fn refused_heartbeats_repair_the_log(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    cluster.one(random(cluster), 3, true);
    stage.settle();
    cluster.disconnect(s2);
    agree(cluster, 3, 2);
    stage.settle();
    stage.elect(s1, &[s0]);
    stage.caption("S2 lacks three entries, and comes back; S1 leads, and gets no command");
    stage.direct(move |mail| if mail.from == s1 { Fate::Deliver } else { Fate::Drop });
    cluster.connect(s2);
    let from = Instant::now();
    let has = |cluster: &Cluster| -> bool {
        matches!(cluster.state(s1), Some((_, true))) && stage.has_all_of(s2, s1)
    };
    while !has(cluster) && from.elapsed() < REPAIRED_WITHIN {
        cluster.sleep(ms(50));
    }
    let asked = |mail: &Mail| mail.to == s2 && mail.kind == Kind::Entries && mail.at > from;
    if !stage.mail(|mail| asked(mail) && mail.reply.yes == Some(false)).is_empty() {
        cluster.reached_check();
    }
    if !has(cluster) {
        stage.refused_in_vain(s2, from);
    }
    stage.all_pass();
    cluster.sleep(ELECTION_TIMEOUT);
    cluster.one(random(cluster), 3, true);
}
