//! Votes when the voter and the candidate have different configurations. "Servers process incoming RPC requests without
//! consulting their current configurations" (thesis §4.1): a server may refuse a vote because of the term or the log, but not
//! because of the members.

use crate::cluster::{Cluster, name};
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{members, reliable};
use crate::suites::worlds::stage::{Kind, Stage, end_of};
use crate::suites::worlds::steps::agree;
use crate::suites::worlds::threads::{joined, spawn};
use labrpc::network::Fate;
use labrpc::run;

tests! { "members", Beyond(Members):
    vote_of_a_server_that_is_not_a_member_yet = "VoteOfWhoIsNoMemberYet", members(3, reliable(4));
    candidacy_of_a_server_that_is_not_a_member_yet = "CandidateThatIsNoMemberYet", members(3, reliable(4));
}

/// Lets S0 add S3 with an entry that reaches only S1, and crashes S0. Of the four members three are left, and S1 needs the
/// votes of both others. S3 must vote, though S3 is no member by its own log (thesis §4.1).
fn vote_of_a_server_that_is_not_a_member_yet(cluster: &Cluster) {
    added_for(cluster, 1, &[1, 2, 3]);
}

/// Does the same with an entry that reaches only S3. S3 needs the votes of both others. They must vote for it, though S3 is no
/// member by their logs (thesis §4.1).
fn candidacy_of_a_server_that_is_not_a_member_yet(cluster: &Cluster) {
    added_for(cluster, 3, &[1, 2, 3]);
}

/// Lets S0 add S3, with an entry that only the server `knows` gets. Then S0 crashes, and the others hear only `knows`, which
/// must be elected.
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
    stage.caption("S0 is asked to add S3, and the entry for this reaches only one other server");
    stage.direct(move |mail| {
        let news = mail.from == s0
            && mail.kind == Kind::Entries
            && (mail.last.is_none() || mail.last > Some(end));
        if news && mail.to != knows { Fate::Drop } else { Fate::Deliver }
    });
    let asked = spawn("add S3", {
        let cluster = cluster.clone();
        move || cluster.add_server(s0, s3)
    });
    let added = |i: usize| cluster.members(i).is_some_and(|members| members.contains(&s3));
    let known = stage.until(2 * ELECTION_TIMEOUT, || added(s0) && added(knows));
    let others = left.iter().copied().filter(|i| *i != knows);
    let told = others.clone().any(added);
    stage.caption("S0 crashes, and the others hear only the server that has the entry");
    cluster.crash(s0);
    joined(asked);
    if known && !told {
        cluster.reached_check();
        stage.direct(move |mail| if mail.from == knows { Fate::Deliver } else { Fate::Drop });
        let leads = || matches!(cluster.state(knows), Some((_, true)));
        if !stage.until(10 * ELECTION_TIMEOUT, leads) {
            run::fail(format!(
                "{2} hear {0}, and {0}'s log is the most up-to-date, but {0} was not elected within {1:?}. The last entry of \
                 this log makes {3} a member, and the voters lack that entry. \"Servers process incoming RPC requests without \
                 consulting their current configurations\" (thesis §4.1). So a voter must not check by its own log whether the \
                 voter itself or the candidate is a member; {4}",
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
