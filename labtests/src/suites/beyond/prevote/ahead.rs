//! Candidates that got their pre-votes and nothing more: they are in a later term than the others.

use super::super::steady::Steady;
use super::scripts::{STANDS_WITHIN, everybody_again, nobody_is_heard, term_of};
use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::Cluster;
use crate::suites::worlds::stage::{Kind, Stage};
use crate::suites::worlds::steps::{agree, ms};
use labrpc::network::Fate;

/// How far S2 gets ahead: the others need a term or two.
const TERMS_AHEAD: u64 = 4;

/// S1 says again and again that it would vote for S2, which stands, and isn't heard: its term rises. What it asks is held. Whether that
/// can be brought about.
fn s2_stands_unheard(stage: &Stage<'_>) -> bool {
    let cluster = stage.cluster;
    let [s1, s2] = [1, 2];
    let term = term_of(cluster, s2);
    stage.caption("S1 would vote for S2, and S2 stands again and again, unheard");
    stage.direct(move |mail| match mail.kind {
        Kind::Vote if mail.from == s2 && mail.is_call() => Fate::Hold,
        Kind::Other if mail.from == s2 && mail.to == s1 => Fate::Deliver,
        _ => Fate::Lose,
    });
    let ahead = || term_of(cluster, s2) >= term + TERMS_AHEAD;
    stage.until(TERMS_AHEAD as u32 * STANDS_WITHIN, ahead)
}

/// The same, and then S0 and S1 have a leader, and S2 hears nothing of it. `None`: that can't be brought about.
fn s2_gets_ahead<'a>(stage: &'a Stage<'a>) -> Option<Steady<'a>> {
    let cluster = stage.cluster;
    nobody_is_heard(stage, None);
    if !s2_stands_unheard(stage) {
        return None;
    }
    stage.caption("S0 and S1 have a leader, and S2 hears nothing of it");
    cluster.disconnect(2);
    stage.direct(|_| Fate::Deliver);
    let steady = Steady::new(stage);
    (steady.term < term_of(cluster, 2)).then_some(steady)
}

/// What S2 has asked comes late: S0 and S1 have a leader and hear it, so they heed no later term.
pub(super) fn votes_against_a_leader(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let Some(steady) = s2_gets_ahead(&stage) else { return everybody_again(&stage) };
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
        cluster.reached_check();
        agree(cluster, 1, 3);
    }
    everybody_again(&stage);
}

/// S2 is ahead by some terms, S0 by an entry, and S1 is gone: only S0 can be elected, and not in its term. It learns of the later one when S2
/// refuses it (§5.1), or the two would ask each other for ever.
pub(super) fn up_to_date_in_an_old_term(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    nobody_is_heard(&stage, Some("S0 alone has it"));
    if s2_stands_unheard(&stage) {
        stage.caption("S2 stands no longer, and asks in vain");
        stage.direct(|_| Fate::Lose);
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
