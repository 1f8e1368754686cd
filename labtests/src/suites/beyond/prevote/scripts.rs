//! Pre-votes in scripts: what they ask for, and that they don't bind the server that grants them.

use super::super::steady::Steady;
use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{after, agree, ms, restart};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::{Duration, Instant};
use std::collections::BTreeSet;

/// How long it takes until the followers have the entry with which a leader may begin its term (§8). Then all logs are equal.
const SETTLES: Duration = ms(300);

/// How long a server may take to become a candidate if it gets all the pre-votes that it needs.
pub(super) const STANDS_WITHIN: Duration = ELECTION_TIMEOUT.saturating_mul(5);

pub(super) fn term_of(cluster: &Cluster, i: usize) -> u64 {
    cluster.state(i).map_or(0, |(term, _)| term)
}

/// Gives S1 an entry that S2 lacks, and crashes the leader. S1 would not vote for S2, so it must refuse S2's pre-votes, too,
/// and S2 must not raise its term (thesis §9.6, §3.6.1).
pub(super) fn pre_vote_is_refused_to_shorter_log(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    cluster.sleep(SETTLES);
    stage.caption("S2 misses an entry, S0 crashes, and S1 can't reach any server");
    cluster.disconnect(s2);
    stage.all_pass();
    agree(cluster, 1, 2);
    cluster.crash(s0);
    stage.direct(move |mail| if mail.from == s2 { Fate::Deliver } else { Fate::Drop });
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
            "{0} has raised its term from {term} to {now}, but {0} can't be elected: {1} is up, and has an entry that {0} lacks. \
             A server must refuse a pre-vote if the candidate's log is not up-to-date, as with a vote (thesis §9.6, §3.6.1)",
            name(s2),
            name(s1)
        ));
    }
    stage.all_pass();
    cluster.check_one_leader();
    restart(cluster, s0);
    agree(cluster, 1, 3);
}

/// Lets S2 grant a pre-vote to S0, from which nothing more comes, and then lets S1 ask S2. S2 must grant S1 its pre-vote and
/// its vote, because a pre-vote binds nobody (thesis §9.6).
pub(super) fn pre_vote_does_not_bind(cluster: &Cluster) {
    second_to_ask(cluster, false);
}

/// Does the same, with a restart of S2 in between. S2 must find its term as it was, because a pre-vote changes no saved state
/// (thesis §9.6).
pub(super) fn pre_vote_is_not_saved(cluster: &Cluster) {
    second_to_ask(cluster, true);
}

fn second_to_ask(cluster: &Cluster, s2_restarts: bool) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    nobody_is_heard(&stage, None);
    let term = term_of(cluster, s2);
    stage.caption("S2 grants S0 a pre-vote; then S0 becomes a candidate, and S2 doesn't hear it");
    let asks = move |mail: &Mail| mail.from == s0 && mail.to == s2 && mail.kind == Kind::Other;
    stage.direct(move |mail| if asks(mail) { Fate::Deliver } else { Fate::Drop });
    let stood = stage.until(STANDS_WITHIN, || term_of(cluster, s0) > term);
    if stage.mail(asks).is_empty() {
        return everybody_again(&stage); // the stage can't tell its pre-votes from its votes
    }
    if !stood {
        run::fail(format!(
            "{0} does not become a candidate, but it should. No server hears a leader, {0}'s log equals {1}'s log, and {0}'s \
             messages reach {1}. So {1} must grant {0} a pre-vote (thesis §9.6); {2}",
            name(s0),
            name(s2),
            cluster.who_thinks_what()
        ));
    }
    stage.direct(|_| Fate::Drop);
    if s2_restarts {
        cluster.crash(s2);
        restart(cluster, s2);
        // S2 doesn't know whether it heard a leader before the crash, so it may refuse for a while.
        cluster.sleep(2 * ELECTION_TIMEOUT);
    }
    said_yes_and_no_more(cluster, s2, term);
    stage.caption("S1 asks S2 for a pre-vote and a vote");
    let elected = stage.elect(s1, &[s2]);
    cluster.reached_check();
    if elected != term + 1 {
        run::fail(format!(
            "{0} was in term {term} when {1} asked it for a vote. So {1} should have been elected in the next term, its first \
             term as a candidate, but it now leads term {elected}. {0} had granted a pre-vote to another server. But a pre-vote \
             is not a vote and binds nobody, so {0} must grant {1} its pre-vote and its vote (thesis §9.6)",
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
            "{0} is in term {now}, but it was in term {term} before it was asked for a pre-vote. {0} got no other message. A \
             pre-vote changes no term and no vote, and nothing is saved for it (thesis §9.6)",
            name(i)
        ));
    }
}

/// Makes S0 the leader of all, and then loses all messages for so long that no server relies on S0 any more. If there is a
/// `last` command, S0 accepts it at the beginning of that time.
pub(super) fn nobody_is_heard(stage: &Stage<'_>, last: Option<&str>) {
    stage.elect(0, &[1, 2]);
    stage.cluster.sleep(SETTLES);
    stage.caption("no server hears another");
    stage.direct(|_| Fate::Drop);
    if let Some(last) = last {
        let _ = stage.cluster.start(0, &command(last));
    }
    stage.cluster.sleep(2 * ELECTION_TIMEOUT);
}

/// Lets S0 and S2 become candidates in the same term, and S1 vote for S0. Then S1 grants S2 a pre-vote for a later term, and
/// after that S2's request for a vote in the first term arrives. S1 must refuse it, because it has voted in that term (§5.2).
pub(super) fn pre_vote_does_not_change_the_vote(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.caption("S1 grants pre-votes to S0 and S2; both become candidates, and their requests for votes are held");
    stage.direct(move |mail| match mail.kind {
        Kind::Other if mail.to == s1 => Fate::Deliver,
        Kind::Vote if mail.is_call() => Fate::Hold,
        _ => Fate::Drop,
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
    stage.caption("S1 grants S2's next pre-vote");
    let from = Instant::now();
    let yes = |mail: &Mail| {
        let pre_vote = mail.from == s2 && mail.to == s1 && mail.kind == Kind::Other;
        pre_vote && mail.at > from && mail.reply.yes == Some(true)
    };
    let said_yes = stage.until(STANDS_WITHIN, || !stage.mail(yes).is_empty());
    stage.caption("S2's request for a vote arrives: a server that votes twice is caught");
    if stage.release(votes(s2)) > 0 && voted && said_yes {
        cluster.reached_check();
    }
    cluster.sleep(ms(100));
    everybody_again(&stage);
}

/// Lets a server with an old log ask for pre-votes again and again. A refused pre-vote must not reset the election timeout of
/// the server that refuses: only the leader and a granted vote do (Figure 2, Followers).
pub(super) fn refused_pre_vote_does_not_reset_election_timer(cluster: &Cluster) {
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
    stage.caption("the server that lacks the entry asks ten times a second");
    let began = Instant::now();
    while !matches!(cluster.state(good), Some((_, true))) {
        if began.elapsed() > STANDS_WITHIN {
            run::fail(format!(
                "{0} is the only server that can be elected, but it was not elected within {STANDS_WITHIN:?}. {1} asks {0} for \
                 pre-votes all the time, and {0} refuses. A server resets its election timeout when it hears the current leader, \
                 grants a vote or becomes a candidate, but not when it refuses a pre-vote (Figure 2, Followers; thesis §9.6); \
                 {2}",
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

/// Ends the script: all servers run and hear each other, and must agree.
pub(super) fn everybody_again(stage: &Stage<'_>) {
    let cluster = stage.cluster;
    cluster.net().discard(|_| true);
    stage.all_pass();
    (0..cluster.n()).filter(|&i| cluster.raft(i).is_none()).for_each(|i| cluster.start_server(i));
    (0..cluster.n()).for_each(|i| cluster.connect(i));
    agree(cluster, 1, cluster.n());
}
