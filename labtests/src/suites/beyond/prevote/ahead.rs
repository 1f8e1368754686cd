//! Candidates that got their pre-votes but no votes, so that they are in a later term than the others.

use super::super::steady::Steady;
use super::scripts::{STANDS_WITHIN, everybody_again, nobody_is_heard, term_of};
use crate::cluster::Cluster;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::worlds::stage::{Kind, Stage};
use crate::suites::worlds::steps::{agree, ms};
use labrpc::network::Fate;

/// How many terms S2 gets ahead. It is more than one or two, because the others need one or two terms for an election.
const TERMS_AHEAD: u64 = 4;

/// Lets S1 grant pre-votes to S2, so that S2 becomes a candidate again and again and its term rises. Its requests for votes are
/// held. Returns whether S2's term rose far enough.
fn s2_stands_unheard(stage: &Stage<'_>) -> bool {
    let cluster = stage.cluster;
    let [s1, s2] = [1, 2];
    let term = term_of(cluster, s2);
    stage.caption("S1 grants pre-votes to S2; S2 becomes a candidate again and again, but its requests for votes are held");
    stage.direct(move |mail| match mail.kind {
        Kind::Vote if mail.from == s2 && mail.is_call() => Fate::Hold,
        Kind::Other if mail.from == s2 && mail.to == s1 => Fate::Deliver,
        _ => Fate::Drop,
    });
    let ahead = || term_of(cluster, s2) >= term + TERMS_AHEAD;
    stage.until(TERMS_AHEAD as u32 * STANDS_WITHIN, ahead)
}

/// The same, and then S0 and S1 elect a leader without S2 hearing of it. Returns `None` if this did not come about.
fn s2_gets_ahead<'a>(stage: &'a Stage<'a>) -> Option<Steady<'a>> {
    let cluster = stage.cluster;
    nobody_is_heard(stage, None);
    if !s2_stands_unheard(stage) {
        return None;
    }
    stage.caption("S0 and S1 elect a leader, and S2 doesn't hear of it");
    cluster.disconnect(2);
    stage.direct(|_| Fate::Deliver);
    let steady = Steady::new(stage);
    (steady.term < term_of(cluster, 2)).then_some(steady)
}

/// Delivers S2's requests for votes when S0 and S1 have a leader and hear it. They must ignore the later terms of these
/// requests (thesis §4.2.3).
pub(super) fn followers_of_a_leader_ignore_vote_requests(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let Some(steady) = s2_gets_ahead(&stage) else { return everybody_again(&stage) };
    stage.caption("S2's requests for votes arrive, one after the other");
    for letter in cluster.net().held() {
        stage.release(|mail| mail.call == letter.call);
        cluster.sleep(ms(20));
        steady.undisturbed(
            "Nothing disturbed the cluster except S2's requests for votes. They had later terms. \"If a server receives a \
             RequestVote request within the minimum election timeout of hearing from a current leader, it does not update its \
             term or grant its vote\" (thesis §4.2.3). The same holds for a leader that hears a majority",
        );
    }
    everybody_again(&stage);
}

/// Lets S2 come back in a later term than the leader's. No server votes for it, and it refuses the leader's messages with its
/// later term. The leader must move to that term (§5.1), because otherwise S2 could never rejoin.
pub(super) fn candidate_in_later_term_rejoins(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    if s2_gets_ahead(&stage).is_some() {
        cluster.net().discard(|_| true);
        stage.caption("S2 comes back");
        cluster.connect(2);
        cluster.reached_check();
        agree(cluster, 1, 3);
    }
    everybody_again(&stage);
}

/// Makes S2 some terms ahead and S0 an entry ahead, and crashes S1. Only S0 can be elected, but not in its old term. S0 must
/// learn S2's later term when S2 refuses its request (§5.1), because otherwise the two would ask each other for ever.
pub(super) fn refused_pre_vote_tells_the_newer_term(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    nobody_is_heard(&stage, Some("S0 alone has it"));
    if s2_stands_unheard(&stage) {
        stage.caption("S2 gets no more pre-votes, and asks in vain");
        stage.direct(|_| Fate::Drop);
        cluster.sleep(3 * ELECTION_TIMEOUT / 2);
        cluster.crash(1);
        cluster.net().discard(|_| true);
        stage.caption("S0 and S2 hear each other");
        stage.direct(|_| Fate::Deliver);
        cluster.reached_check();
        cluster.check_one_leader();
        agree(cluster, 1, 2);
    }
    everybody_again(&stage);
}
