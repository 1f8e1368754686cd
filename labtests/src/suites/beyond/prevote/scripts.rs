//! Pre-votes by script: what they ask, and that they bind nobody; and what becomes of a candidate who got its pre-votes and nothing
//! more.

use super::super::super::stage::{Kind, Mail, Stage};
use super::super::super::{agree, ms, restart};
use super::super::steady::Steady;
use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::Duration;

/// Where a leader begins its term with an entry of its own (§8), its followers have it after so long, and their logs are alike.
const SETTLES: Duration = ms(300);

/// How long a server may take to stand that gets all the pre-votes it needs.
const STANDS_WITHIN: Duration = ELECTION_TIMEOUT.saturating_mul(5);

fn term_of(cluster: &Cluster, i: usize) -> u64 {
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
    cluster.connect(s2);
    cluster.sleep(5 * ELECTION_TIMEOUT);
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
    nobody_is_heard(&stage);
    let term = term_of(cluster, s2);
    stage.caption("S0 asks S2 whether it would be elected, and is; S2 doesn't hear it stand");
    let asks = move |mail: &Mail| mail.from == s0 && mail.to == s2 && mail.kind == Kind::Other;
    stage.direct(move |mail| if asks(mail) { Fate::Deliver } else { Fate::Lose });
    let stood = stage.until(STANDS_WITHIN, || term_of(cluster, s0) > term);
    if stage.mail(asks).is_empty() {
        return stage.all_pass(); // its pre-votes can't be told from its votes
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

/// S0 was the leader of all, and nobody hears anybody any more, for so long that nobody counts on S0.
fn nobody_is_heard(stage: &Stage<'_>) {
    stage.elect(0, &[1, 2]);
    stage.cluster.sleep(SETTLES);
    stage.caption("nobody hears anybody");
    stage.direct(|_| Fate::Lose);
    stage.cluster.sleep(2 * ELECTION_TIMEOUT);
}

/// How far S2 gets ahead: the others need a term or two.
const TERMS_AHEAD: u64 = 4;

/// S1 says again and again that it would vote for S2, which stands, and isn't heard: its term rises. Then S0 and S1 have a leader,
/// and S2 hears nothing. Gives back their term, and what S2 has asked is held; `None`, if that can't be brought about.
fn s2_gets_ahead<'a>(stage: &'a Stage<'a>) -> Option<Steady<'a>> {
    let cluster = stage.cluster;
    let [s1, s2] = [1, 2];
    nobody_is_heard(stage);
    let term = term_of(cluster, s2);
    stage.caption("S1 would vote for S2, and S2 stands again and again, unheard");
    stage.direct(move |mail| match mail.kind {
        Kind::Vote if mail.from == s2 && mail.is_call() => Fate::Hold,
        Kind::Other if mail.from == s2 && mail.to == s1 => Fate::Deliver,
        _ => Fate::Lose,
    });
    let ahead = || term_of(cluster, s2) >= term + TERMS_AHEAD;
    if !stage.until(TERMS_AHEAD as u32 * STANDS_WITHIN, ahead) {
        return None;
    }
    stage.caption("S0 and S1 have a leader, and S2 hears nothing of it");
    cluster.disconnect(s2);
    stage.direct(|_| Fate::Deliver);
    let steady = Steady::new(stage);
    (steady.term < term_of(cluster, s2)).then_some(steady)
}

/// What S2 has asked comes late: S0 and S1 have a leader and hear it, so they heed no later term.
pub(super) fn votes_against_a_leader(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let Some(steady) = s2_gets_ahead(&stage) else { return everybody_again(&stage) };
    let held = cluster.net().held().len();
    stage.caption("S2's requests for votes arrive, one after the other");
    for letter in cluster.net().held() {
        stage.release(|mail| mail.call == letter.call);
        cluster.sleep(ms(20));
        steady.undisturbed(
            "Nothing happened but that S2's requests for votes have come, of later terms. \"If a server receives a RequestVote \
             request within the minimum election timeout of hearing from a current leader, it does not update its term or grant \
             its vote\" (thesis §4.2.3); nor does the leader, that hears a majority",
        );
    }
    log::debug!("{held} requests for votes were not heeded");
    everybody_again(&stage);
}

/// S2 comes back in a later term than the others' leader, and nobody votes for it. It refuses what the leader sends, in that later
/// term, and so the leader goes on to it (§5.1): or S2 would stay outside for ever.
pub(super) fn candidate_ahead_rejoins(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    if s2_gets_ahead(&stage).is_some() {
        cluster.net().discard(|_| true);
        stage.caption("S2 comes back");
        cluster.connect(2);
        agree(cluster, 1, 3);
    }
    everybody_again(&stage);
}

fn everybody_again(stage: &Stage<'_>) {
    let cluster = stage.cluster;
    cluster.net().discard(|_| true);
    stage.all_pass();
    (0..cluster.n()).for_each(|i| cluster.connect(i));
    agree(cluster, 1, cluster.n());
}
