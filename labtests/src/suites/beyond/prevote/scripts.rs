//! Pre-votes by script: what they ask, and that they bind nobody.

use super::super::steady::Steady;
use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{after, agree, ms, restart};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::{Duration, Instant};
use std::collections::BTreeSet;

/// Where a leader begins its term with an entry of its own (§8), its followers have it after so long, and their logs are alike.
const SETTLES: Duration = ms(300);

/// How long a server may take to stand that gets all the pre-votes it needs.
pub(super) const STANDS_WITHIN: Duration = ELECTION_TIMEOUT.saturating_mul(5);

pub(super) fn term_of(cluster: &Cluster, i: usize) -> u64 {
    cluster.state(i).map_or(0, |(term, _)| term)
}

/// S1 has what S2 has not, and hears no leader. It wouldn't vote for S2, so it is to say so when it is asked.
pub(super) fn pre_votes_ask_for_the_log(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    cluster.sleep(SETTLES);
    stage.caption("S2 misses an entry, S0 crashes, and S1 can't ask anybody");
    cluster.disconnect(s2);
    stage.all_pass();
    agree(cluster, 1, 2);
    cluster.crash(s0);
    stage.direct(move |mail| if mail.from == s2 { Fate::Deliver } else { Fate::Lose });
    let term = term_of(cluster, s2);
    let from = Instant::now();
    cluster.connect(s2);
    cluster.sleep(5 * ELECTION_TIMEOUT);
    let asked = |mail: &Mail| mail.from == s2 && mail.is_call() && mail.at > from;
    if !stage.mail(asked).is_empty() {
        cluster.reached_check();
    }
    let now = term_of(cluster, s2);
    if now != term {
        run::fail(format!(
            "{} has raised its term from {term} to {now}, and nobody can elect it: {} is up, and has an entry that it lacks. Who \
             is asked for a pre-vote says no unless the candidate's log is up-to-date, as for a vote (thesis §9.6, §3.6.1)",
            name(s2),
            name(s1)
        ));
    }
    stage.all_pass();
    cluster.check_one_leader();
    restart(cluster, s0);
    agree(cluster, 1, 3);
}

/// S2 says yes to S0, from which no more comes; then S1 asks.
pub(super) fn pre_votes_bind_nobody(cluster: &Cluster) {
    second_to_ask(cluster, false);
}

/// The same where S2 starts again in between: it finds its term as it was.
pub(super) fn pre_votes_are_not_kept(cluster: &Cluster) {
    second_to_ask(cluster, true);
}

fn second_to_ask(cluster: &Cluster, s2_restarts: bool) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    nobody_is_heard(&stage, None);
    let term = term_of(cluster, s2);
    stage.caption("S0 asks S2 whether it would be elected, and is; S2 doesn't hear it stand");
    let asks = move |mail: &Mail| mail.from == s0 && mail.to == s2 && mail.kind == Kind::Other;
    stage.direct(move |mail| if asks(mail) { Fate::Deliver } else { Fate::Lose });
    let stood = stage.until(STANDS_WITHIN, || term_of(cluster, s0) > term);
    if stage.mail(asks).is_empty() {
        return everybody_again(&stage); // its pre-votes can't be told from its votes
    }
    if !stood {
        run::fail(format!(
            "{} doesn't stand for election. Nobody hears a leader, its log is like that of {}, and its messages reach that: who is \
             asked then says yes (thesis §9.6); {}",
            name(s0),
            name(s2),
            cluster.who_thinks_what()
        ));
    }
    stage.direct(|_| Fate::Lose);
    if s2_restarts {
        cluster.crash(s2);
        restart(cluster, s2);
        cluster.sleep(2 * ELECTION_TIMEOUT); // before it crashed, it may have heard a leader, for all it knows
    }
    said_yes_and_no_more(cluster, s2, term);
    stage.caption("S1 asks S2");
    let elected = stage.elect(s1, &[s2]);
    cluster.reached_check();
    if elected != term + 1 {
        run::fail(format!(
            "{1} leads term {elected}, and {0} was in term {term} when {1} asked it: {1} was not elected in the first term that it \
             stood in. {0} had said yes to another one; a pre-vote is no vote, and binds nobody (thesis §9.6)",
            name(s2),
            name(s1)
        ));
    }
    stage.all_pass();
    agree(cluster, 1, 3);
}

#[track_caller]
fn said_yes_and_no_more(cluster: &Cluster, i: usize, term: u64) {
    let now = term_of(cluster, i);
    if now != term {
        run::fail(format!(
            "{} is in term {now}, and was in term {term} before it was asked for a pre-vote; it heard nothing else. A pre-vote \
             changes no term and no vote, and nothing is saved for it (thesis §9.6)",
            name(i)
        ));
    }
}

/// S0 was the leader of all, and nobody hears anybody any more, for so long that nobody counts on S0; at first it may have taken a
/// `last` command.
pub(super) fn nobody_is_heard(stage: &Stage<'_>, last: Option<&str>) {
    stage.elect(0, &[1, 2]);
    stage.cluster.sleep(SETTLES);
    stage.caption("nobody hears anybody");
    stage.direct(|_| Fate::Lose);
    if let Some(last) = last {
        let _ = stage.cluster.start(0, &command(last));
    }
    stage.cluster.sleep(2 * ELECTION_TIMEOUT);
}

/// S0 and S2 stand in the same term, and S1 votes for S0. Then it says yes to S2, which asks for a later term, and then S2's request for
/// a vote in the first one comes. S1 has voted in that.
pub(super) fn pre_votes_leave_the_vote(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.caption("S1 would vote for S0 and for S2; both stand, and are not heard yet");
    stage.direct(move |mail| match mail.kind {
        Kind::Other if mail.to == s1 => Fate::Deliver,
        Kind::Vote if mail.is_call() => Fate::Hold,
        _ => Fate::Lose,
    });
    let asked_by = |i: usize| {
        let asks = |mail: &Mail| mail.from == i && mail.kind == Kind::Vote;
        stage.mail(asks).into_iter().filter_map(|mail| mail.term).collect::<BTreeSet<_>>()
    };
    let both = || asked_by(s0).intersection(&asked_by(s2)).next().copied();
    stage.until(2 * STANDS_WITHIN, || both().is_some());
    let Some(term) = both() else { return everybody_again(&stage) };
    let votes = move |from: usize| {
        move |mail: &Mail| {
            let asks = mail.from == from && mail.to == s1 && mail.kind == Kind::Vote;
            asks && mail.term == Some(term)
        }
    };
    stage.caption("S1 votes for S0");
    stage.release(votes(s0));
    let granted = |mail: &Mail| votes(s0)(mail) && mail.reply.yes == Some(true);
    let voted = stage.until(ELECTION_TIMEOUT, || !stage.mail(granted).is_empty());
    stage.caption("S1 says yes to S2's next pre-vote");
    let from = Instant::now();
    let yes = |mail: &Mail| {
        let pre_vote = mail.from == s2 && mail.to == s1 && mail.kind == Kind::Other;
        pre_vote && mail.at > from && mail.reply.yes == Some(true)
    };
    let said_yes = stage.until(STANDS_WITHIN, || !stage.mail(yes).is_empty());
    stage.caption("S2's request for a vote comes: whoever votes twice is caught");
    if stage.release(votes(s2)) > 0 && voted && said_yes {
        cluster.reached_check();
    }
    cluster.sleep(ms(100));
    everybody_again(&stage);
}

/// A server whose log is behind asks again and again, and is refused. Others wait no longer for that: an election timeout is reset by the
/// leader, and by a vote that is granted (Figure 2, Followers).
pub(super) fn refused_pre_votes_buy_no_time(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let leader = Steady::new(&stage).leader;
    let [good, behind] = [1, 2].map(|steps| after(cluster, leader, steps));
    cluster.disconnect(behind);
    agree(cluster, 1, 2);
    stage.caption("the leader crashes, and only one server has its entry");
    cluster.crash(leader);
    let asks = move |mail: &Mail| mail.from == behind && mail.is_call();
    stage.direct(move |mail| if asks(mail) { Fate::Hold } else { Fate::Deliver });
    cluster.connect(behind);
    stage.until(STANDS_WITHIN, || !stage.mail(asks).is_empty());
    stage.caption("the other one asks ten times a second");
    let began = Instant::now();
    while !matches!(cluster.state(good), Some((_, true))) {
        if began.elapsed() > STANDS_WITHIN {
            run::fail(format!(
                "{0} was not elected within {STANDS_WITHIN:?}, though it is the only one that can be: {1} asks it all the time whether \
                 it would be elected, and isn't. An election timeout is reset by the current leader, by a vote that is granted, and \
                 by one's own candidacy, not by a pre-vote that is refused (Figure 2, Followers; thesis §9.6); {2}",
                name(good),
                name(behind),
                cluster.who_thinks_what()
            ));
        }
        if cluster.net().repeat(|_| true) > 0 {
            cluster.reached_check();
        }
        cluster.sleep(ms(100));
    }
    everybody_again(&stage);
}

/// The script is over: everybody hears everybody, and agrees.
pub(super) fn everybody_again(stage: &Stage<'_>) {
    let cluster = stage.cluster;
    cluster.net().discard(|_| true);
    stage.all_pass();
    (0..cluster.n()).filter(|&i| cluster.raft(i).is_none()).for_each(|i| cluster.start_server(i));
    (0..cluster.n()).for_each(|i| cluster.connect(i));
    agree(cluster, 1, cluster.n());
}
