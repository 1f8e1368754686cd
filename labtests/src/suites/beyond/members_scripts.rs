//! Changes of members in schedules that a random run seldom meets.

use super::wish::Wish;
use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::Cluster;
use crate::ledger::command;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{members, reliable};
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{agree, random, restart};
use crate::suites::worlds::threads::{joined, spawn};
use labrpc::api::beyond::NotChanged;
use labrpc::network::Fate;
use labrpc::run;
use labrpc::thread::JoinHandle;
use labrpc::time::Duration;

tests! { "members", Beyond(Members):
    an_addition_and_a_removal = "AnAdditionAndARemoval", members(4, reliable(5));
    two_additions = "TwoAdditions", members(4, reliable(6));
    two_removals = "TwoRemovals", members(4, reliable(4));
    newcomer_does_not_count = "NewcomerDoesNotCount", members(3, reliable(4));
    who_leaves_may_be_needed = "WhoLeavesMayBeNeeded", members(2, reliable(2));
}

// The mistake in the first version of single-server changes (Ongaro, raft-dev, 10 July 2015): a leader of a new term that changes the
// members before it has committed an entry of that term. Then there may be two configurations, each a step from the old one, that have
// majorities without a common server. Three schedules, of four servers, as he drew them.

/// S0 adds S4, S1 removes S0.
fn an_addition_and_a_removal(cluster: &Cluster) {
    two_leaders(cluster, Wish::Add(4), Wish::Remove(0));
}

/// S0 adds S4, S1 adds S5.
fn two_additions(cluster: &Cluster) {
    two_leaders(cluster, Wish::Add(4), Wish::Add(5));
}

/// S0 removes S1, S1 removes S0.
fn two_removals(cluster: &Cluster) {
    two_leaders(cluster, Wish::Remove(1), Wish::Remove(0));
}

/// S0 leads, and appends a configuration that reaches no other member. S1 is elected, and asked for another one, with nobody to hear it but
/// S2, and S5 if that is the new one: they are a majority of the members that S1 wants, and none of those it has. Then S0 asks S3, and S4
/// if that is the new one, for their votes: they are a majority of the members that S0 wants.
///
/// Were S1's change committed, S0 could be elected without it.
fn two_leaders(cluster: &Cluster, first: Wish, second: Wish) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2, s3, s4, s5] = [0, 1, 2, 3, 4, 5];
    stage.elect(s0, &[s1, s2, s3]);
    agree(cluster, 1, 4);
    stage.caption("S0 appends a configuration; no member gets it");
    stage.direct(move |mail| {
        let news = mail.is_call() && mail.kind == Kind::Entries && mail.carries > 0;
        match mail.from == s0 && (mail.to == s4 || !news) {
            true => Fate::Deliver,
            false => Fate::Lose,
        }
    });
    let asked_first = ask(cluster, first, s0);
    let has = |i| cluster.members(i).is_some_and(|members| first.is_true_of(&members));
    let appended = stage.until(2 * ELECTION_TIMEOUT, || has(s0));

    stage
        .caption("S1 is elected, and asked for another one; it hears from S2, and from who is new");
    stage.elect_unfollowed(s1, &[s2, s3], &[s3]); // S3 is to vote for S0 again
    stage.direct(move |mail| deliver(mail, s1, &[s2, s5]));
    let asked_second = ask(cluster, second, s1);
    let has = || cluster.members(s1).is_some_and(|members| second.is_true_of(&members));
    if stage.until(2 * ELECTION_TIMEOUT, has) {
        stage.caption("it has changed them, and gets a command");
        let _ = cluster.start(s1, &command(random(cluster)));
        cluster.sleep(ELECTION_TIMEOUT);
    }

    if appended {
        cluster.reached_check();
    }
    stage.caption("S0 stands for election; it hears from S3, and from who is new");
    stage.direct(move |mail| deliver(mail, s0, &[s3, s4]));
    let since = cluster.state(s1).map_or(0, |(term, _)| term);
    let leads = || matches!(cluster.state(s0), Some((term, true)) if term > since);
    if stage.until(LONG, leads) {
        stage.caption("it leads, and gets a command");
        let _ = cluster.start(s0, &command(random(cluster)));
        cluster.sleep(ELECTION_TIMEOUT);
    }
    stage.caption("all hear each other");
    stage.all_pass();
    joined(asked_first);
    joined(asked_second);
    agree(cluster, 2, 3);
}

/// As long as S0 may need to learn the term, and to win.
const LONG: Duration = Duration::from_secs(15);

fn deliver(mail: &Mail, from: usize, to: &[usize]) -> Fate {
    if mail.from == from && to.contains(&mail.to) { Fate::Deliver } else { Fate::Lose }
}

fn ask(cluster: &Cluster, wish: Wish, i: usize) -> JoinHandle<Option<Result<(), NotChanged>>> {
    let cluster = cluster.clone();
    spawn(&wish.to_string(), move || wish.ask(&cluster, i))
}

/// Of two members the one that leads removes itself, and crashes before the other one gets that. "A server that is not part of its own latest
/// configuration should still start new elections": its log is longer, so the other one can't be elected (thesis §4.2.2, Figure 4.6).
fn who_leaves_may_be_needed(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1] = [0, 1];
    stage.elect(s0, &[s1]);
    agree(cluster, 2, 2);
    stage.caption("S0 removes itself, and nobody gets that; it crashes");
    stage.direct(|mail| match mail.is_call() && mail.kind == Kind::Entries && mail.carries > 0 {
        true => Fate::Lose,
        false => Fate::Deliver,
    });
    let asked = ask(cluster, Wish::Remove(s0), s0);
    let has = || cluster.members(s0).is_some_and(|members| !members.contains(&s0));
    if stage.until(2 * ELECTION_TIMEOUT, has) {
        cluster.reached_check();
    }
    cluster.crash(s0);
    joined(asked);
    stage.caption("it starts again, and they hear each other");
    stage.all_pass();
    restart(cluster, s0);
    agree(cluster, 2, 1);
    let members = cluster.members(s1);
    if members.as_ref().is_none_or(|members| !members.contains(&s1)) {
        run::fail(format!(
            "S1 says that the members are {members:?}; it is one, whether S0 is or not"
        ));
    }
}

/// S0 hears only S3, whom it is to add. What S3 acknowledges before it is a member commits nothing (thesis §4.2.1).
fn newcomer_does_not_count(cluster: &Cluster) {
    for _ in 0..2 {
        let stage = Stage::new(cluster);
        let [s0, s1, s2, s3] = [0, 1, 2, 3];
        stage.elect(s0, &[s1, s2]);
        stage.all_pass();
        agree(cluster, 1, 3);
        stage.caption("S0 hears only S3, and gets a command; S3 is to be added");
        stage.direct(move |mail| deliver(mail, s0, &[s3]));
        let _ = cluster.start(s0, &command(random(cluster)));
        let asked = ask(cluster, Wish::Add(s3), s0);
        cluster.sleep(ELECTION_TIMEOUT / 2);
        stage.caption("S1 is elected without them");
        stage.elect(s1, &[s2]);
        cluster.reached_check();
        let _ = cluster.start(s1, &command(random(cluster)));
        cluster.sleep(ELECTION_TIMEOUT / 2);
        stage.all_pass();
        joined(asked);
        agree(cluster, 1, 3);
    }
}
