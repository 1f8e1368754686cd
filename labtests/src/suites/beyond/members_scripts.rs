//! Configuration changes in schedules that a random run seldom meets.

use super::change::ChangeRequest;
use crate::cluster::Cluster;
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
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
    concurrent_addition_and_removal = "AnAdditionAndARemoval", members(4, reliable(5));
    concurrent_additions = "TwoAdditions", members(4, reliable(6));
    concurrent_removals = "TwoRemovals", members(4, reliable(4));
    learner_acknowledgements_commit_nothing = "NewcomerDoesNotCount", members(3, reliable(4));
    server_being_removed_may_be_elected = "WhoLeavesMayBeNeeded", members(2, reliable(2));
}

// The next three tests look for a mistake of the first version of single-server changes (Ongaro, raft-dev, 10 July 2015): there, a
// leader of a new term may change the members before it has committed an entry of that term. Then there may be two configurations,
// each one step from the old one, with majorities that share no server. The tests are the three schedules with four servers
// that Ongaro described.

/// Lets S0 add S4, and S1 remove S0, as in `two_leaders`.
fn concurrent_addition_and_removal(cluster: &Cluster) {
    two_leaders(cluster, ChangeRequest::Add(4), ChangeRequest::Remove(0));
}

/// Lets S0 add S4, and S1 add S5, as in `two_leaders`.
fn concurrent_additions(cluster: &Cluster) {
    two_leaders(cluster, ChangeRequest::Add(4), ChangeRequest::Add(5));
}

/// Lets S0 remove S1, and S1 remove S0, as in `two_leaders`.
fn concurrent_removals(cluster: &Cluster) {
    two_leaders(cluster, ChangeRequest::Remove(1), ChangeRequest::Remove(0));
}

/// S0 leads, and appends a configuration that reaches no other member. Then S1 is elected, and is asked for another change.
/// Only S2 hears S1, and S5 too if S1 adds it. Together with S1, they are a majority of S1's new members, but not of its present
/// members. Then S0 asks S3 for its vote, and S4 too if S0 adds it. Together with S0, they are a majority of S0's new members.
///
/// If S1's change were committed, S0 could be elected without having it. So S1 must not make the change before it has committed
/// an entry of its own term (thesis §4.1, as corrected on raft-dev).
fn two_leaders(cluster: &Cluster, first: ChangeRequest, second: ChangeRequest) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2, s3, s4, s5] = [0, 1, 2, 3, 4, 5];
    stage.elect(s0, &[s1, s2, s3]);
    agree(cluster, 1, 4);
    stage.caption("S0 appends a configuration; no member gets it");
    stage.direct(move |mail| {
        let news = mail.is_call() && mail.kind == Kind::Entries && mail.carries > 0;
        match mail.from == s0 && (mail.to == s4 || !news) {
            true => Fate::Deliver,
            false => Fate::Drop,
        }
    });
    let asked_first = ask(cluster, first, s0);
    let has = |i| cluster.members(i).is_some_and(|members| first.is_true_of(&members));
    let appended = stage.until(2 * ELECTION_TIMEOUT, || has(s0));

    stage.caption(
        "S1 is elected, and asked for another configuration; only S2 and S1's new server hear S1",
    );
    stage.elect_unfollowed(s1, &[s2, s3], &[s3]); // S3 must be able to vote for S0 again
    stage.direct(move |mail| deliver(mail, s1, &[s2, s5]));
    let asked_second = ask(cluster, second, s1);
    let has = || cluster.members(s1).is_some_and(|members| second.is_true_of(&members));
    if stage.until(2 * ELECTION_TIMEOUT, has) {
        stage.caption("S1 has changed the members, and gets a command");
        let _ = cluster.start(s1, &command(random(cluster)));
        cluster.sleep(ELECTION_TIMEOUT);
    }

    if appended {
        cluster.reached_check();
    }
    stage.caption("S0 becomes a candidate; only S3 and S0's new server hear S0");
    stage.direct(move |mail| deliver(mail, s0, &[s3, s4]));
    let since = cluster.state(s1).map_or(0, |(term, _)| term);
    let leads = || matches!(cluster.state(s0), Some((term, true)) if term > since);
    if stage.until(LONG, leads) {
        stage.caption("S0 leads, and gets a command");
        let _ = cluster.start(s0, &command(random(cluster)));
        cluster.sleep(ELECTION_TIMEOUT);
    }
    stage.caption("all servers hear each other");
    stage.all_pass();
    joined(asked_first);
    joined(asked_second);
    agree(cluster, 2, 3);
}

/// How long S0 may need to learn the term and to win an election.
const LONG: Duration = Duration::from_secs(15);

fn deliver(mail: &Mail, from: usize, to: &[usize]) -> Fate {
    if mail.from == from && to.contains(&mail.to) { Fate::Deliver } else { Fate::Drop }
}

fn ask(
    cluster: &Cluster,
    request: ChangeRequest,
    i: usize,
) -> JoinHandle<Option<Result<(), NotChanged>>> {
    let cluster = cluster.clone();
    spawn(&request.to_string(), move || request.ask(&cluster, i))
}

/// Lets the leader of two members remove itself, and crash before the other member gets this change. After the restart its log
/// is longer, so the other member can't be elected. "A server that is not part of its own latest configuration should still
/// start new elections" (thesis §4.2.2, Figure 4.6).
fn server_being_removed_may_be_elected(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1] = [0, 1];
    stage.elect(s0, &[s1]);
    agree(cluster, 2, 2);
    stage.caption("S0 removes itself, but S1 doesn't get the change; S0 crashes");
    stage.direct(|mail| match mail.is_call() && mail.kind == Kind::Entries && mail.carries > 0 {
        true => Fate::Drop,
        false => Fate::Deliver,
    });
    let asked = ask(cluster, ChangeRequest::Remove(s0), s0);
    let has = || cluster.members(s0).is_some_and(|members| !members.contains(&s0));
    if stage.until(2 * ELECTION_TIMEOUT, has) {
        cluster.reached_check();
    }
    cluster.crash(s0);
    joined(asked);
    stage.caption("S0 restarts, and the two servers hear each other");
    stage.all_pass();
    restart(cluster, s0);
    agree(cluster, 2, 1);
    let members = cluster.members(s1);
    if members.as_ref().is_none_or(|members| !members.contains(&s1)) {
        run::fail(format!(
            "S1 says that the members are {members:?}. S1 must be among them, whether S0 is a member or not (thesis §4.2.2)"
        ));
    }
}

/// Lets S0 hear only S3, which S0 is adding. Acknowledgements of S3 must not commit entries before S3 is a member (thesis
/// §4.2.1).
fn learner_acknowledgements_commit_nothing(cluster: &Cluster) {
    for _ in 0..2 {
        let stage = Stage::new(cluster);
        let [s0, s1, s2, s3] = [0, 1, 2, 3];
        stage.elect(s0, &[s1, s2]);
        stage.all_pass();
        agree(cluster, 1, 3);
        stage.caption("S0 hears only S3, gets a command, and is asked to add S3");
        stage.direct(move |mail| deliver(mail, s0, &[s3]));
        let _ = cluster.start(s0, &command(random(cluster)));
        let asked = ask(cluster, ChangeRequest::Add(s3), s0);
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
