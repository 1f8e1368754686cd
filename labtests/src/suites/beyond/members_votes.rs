//! Votes where voter and candidate differ on who the members are. "Servers process incoming RPC requests without consulting their
//! current configurations" (thesis §4.1): a vote is refused for the term and the log, and for nothing else.

use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name};
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{members, reliable};
use crate::suites::worlds::stage::{Kind, Stage, end_of};
use crate::suites::worlds::steps::agree;
use crate::suites::worlds::threads::{joined, spawn};
use labrpc::network::Fate;
use labrpc::run;

tests! { "members", Beyond(Members):
    vote_of_who_is_no_member_yet = "VoteOfWhoIsNoMemberYet", members(3, reliable(4));
    candidate_that_is_no_member_yet = "CandidateThatIsNoMemberYet", members(3, reliable(4));
}

/// S0 adds S3, and the entry that says so reaches S1 only. S0 is gone: of four members three are left, and S1 needs both others'
/// votes. By its own log S3 is no member.
fn vote_of_who_is_no_member_yet(cluster: &Cluster) {
    added_for(cluster, 1, &[1, 2, 3]);
}

/// The same where the entry reaches S3 only. By their own logs it is no member, and it needs both votes.
fn candidate_that_is_no_member_yet(cluster: &Cluster) {
    added_for(cluster, 3, &[1, 2, 3]);
}

/// S0 adds S3, and only `knows` gets to know; then S0 crashes, and `knows` is the only one that the others hear.
fn added_for(cluster: &Cluster, knows: usize, left: &[usize]) {
    let stage = Stage::new(cluster);
    let [s0, s3] = [0, 3];
    stage.elect(s0, &[1, 2]);
    stage.all_pass();
    agree(cluster, 2, 3);
    stage.settle();
    let ends = stage.mail(|mail| mail.from == s0 && mail.kind == Kind::Entries && mail.is_call());
    let Some(end) = end_of(&ends) else {
        return stage.over(); // its entries can't be read
    };
    stage.caption("S0 is to add S3, and what it appends for it reaches one other server only");
    stage.direct(move |mail| {
        let news = mail.from == s0
            && mail.kind == Kind::Entries
            && (mail.last.is_none() || mail.last > Some(end));
        if news && mail.to != knows { Fate::Lose } else { Fate::Deliver }
    });
    let asked = spawn("add S3", {
        let cluster = cluster.clone();
        move || cluster.add_server(s0, s3)
    });
    let added = |i: usize| cluster.members(i).is_some_and(|members| members.contains(&s3));
    let known = stage.until(2 * ELECTION_TIMEOUT, || added(s0) && added(knows));
    let others = left.iter().copied().filter(|i| *i != knows);
    let told = others.clone().any(added);
    stage.caption("S0 is gone, and the others hear only that one");
    cluster.crash(s0);
    joined(asked);
    if known && !told {
        cluster.reached_check();
        stage.direct(move |mail| if mail.from == knows { Fate::Deliver } else { Fate::Lose });
        let leads = || matches!(cluster.state(knows), Some((_, true)));
        if !stage.until(10 * ELECTION_TIMEOUT, leads) {
            run::fail(format!(
                "{} was not elected within {:?}, though {} hear it and its log is the most up-to-date. {} is a member by the last entry of \
                 its log, which the voters lack. \"Servers process incoming RPC requests without consulting their current \
                 configurations\" (thesis §4.1): a voter need not be a member by its own log, nor the candidate; {}",
                name(knows),
                10 * ELECTION_TIMEOUT,
                others.map(|i| name(i).to_string()).collect::<Vec<_>>().join(" and "),
                name(s3),
                cluster.who_thinks_what()
            ));
        }
    }
    stage.all_pass();
    agree(cluster, 1, 3);
}
