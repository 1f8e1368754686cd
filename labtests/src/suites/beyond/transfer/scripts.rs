//! Handovers in scripts. TimeoutNow, the message that makes the successor a candidate at once, may come late, twice, or not at
//! all. The stage recognizes it because it is none of the paper's messages. If it can't be distinguished from those, a script
//! passes.

use super::super::steady::Steady;
use super::{Handover, handed_over};
use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{after, agree, ms, random};
use labrpc::api::beyond::NotTransferred;
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::{Duration, Instant};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Whether a message may be TimeoutNow from `from` to `to`.
fn order(from: usize, to: usize) -> impl Fn(&Mail) -> bool + Copy {
    move |mail| mail.from == from && mail.to == to && mail.kind == Kind::Other && mail.is_call()
}

fn term_of(cluster: &Cluster, i: usize) -> u64 {
    cluster.state(i).map_or(0, |(term, _)| term)
}

fn leads(cluster: &Cluster, i: usize) -> bool {
    matches!(cluster.state(i), Some((_, true)))
}

/// Within this time, no server that has just heard its leader becomes a candidate by itself: the lab allows ten heartbeats a
/// second.
const SOON: Duration = ms(80);

/// Delays an entry that the successor lacks. The leader must not send TimeoutNow before the successor has the entry: it could
/// not be elected (§5.4.1), and no server would lead (thesis §3.10).
pub(super) fn timeout_now_waits_until_successor_has_the_log(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for round in 0..6 {
        let Steady { leader, term, .. } = Steady::new(&stage);
        let behind = after(cluster, leader, 1 + round % 2);
        let entries = move |mail: &Mail| {
            let to_it = mail.from == leader && mail.to == behind && mail.is_call();
            to_it && mail.kind == Kind::Entries && mail.carries > 0
        };
        stage.caption("the successor has just heard its leader, and doesn't get the next entry");
        let from = Instant::now();
        let heard = |mail: &Mail| {
            let answer = mail.from == leader && mail.to == behind && !mail.is_call();
            answer && mail.kind == Kind::Entries && mail.at > from
        };
        stage.until(ELECTION_TIMEOUT, || !stage.mail(heard).is_empty());
        stage.direct(move |mail| if entries(mail) { Fate::Hold } else { Fate::Deliver });
        let _ = cluster.start(leader, &command(random(cluster)));
        let handover = Handover::begin(cluster, leader, behind);
        cluster.sleep(SOON);
        let lacks_it = !cluster.net().held().is_empty(); // otherwise the stage could not recognize entries
        if lacks_it {
            cluster.reached_check();
        }
        if lacks_it && term_of(cluster, behind) > term {
            run::fail(format!(
                "{0} made {1} a candidate before {1} had the last of {0}'s entries. The leader must bring its successor up to \
                 date first. A successor that is behind can't be elected, but its higher term deposes the present leader (thesis \
                 §3.10); {2}",
                name(leader),
                name(behind),
                cluster.who_thinks_what()
            ));
        }
        stage.caption("the entry arrives");
        stage.all_pass();
        let _ = handover.outcome(&stage);
        handed_over(cluster, |_| behind);
        agree(cluster, 1, 3);
    }
}

/// Lets a leader hand over to the next server, and holds its TimeoutNow until the leader has given up or the successor has
/// become a candidate by itself. Returns the sender and the receiver of TimeoutNow, or `None` if no such message was held.
fn kept_order(stage: &Stage<'_>) -> Option<(usize, usize)> {
    let cluster = stage.cluster;
    let leader = Steady::new(stage).leader;
    let to = after(cluster, leader, 1);
    let orders = order(leader, to);
    stage.caption("TimeoutNow is held");
    stage.direct(move |mail| if orders(mail) { Fate::Hold } else { Fate::Deliver });
    let outcome = Handover::begin(cluster, leader, to).outcome(stage);
    if cluster.net().held().is_empty() {
        stage.all_pass();
        return None;
    }
    if outcome == Some(Ok(())) && !leads(cluster, to) {
        run::fail(format!(
            "{0} reports its handover to {1} as done. But {0}'s TimeoutNow has not arrived yet, and {1} doesn't lead (thesis \
             §3.10); {2}",
            name(leader),
            name(to),
            cluster.who_thinks_what()
        ));
    }
    Some((leader, to))
}

/// How many terms may begin because of a TimeoutNow that arrives when its leader has given up. The successor becomes a
/// candidate, and if others refuse to vote for it by now, there are one or two more elections.
const TERMS_FOR_AN_ORDER: u64 = 4;

/// Delivers TimeoutNow when the leader has given up the handover. The successor may obey if the term is still the same. No
/// entry may get lost, and copies of the message must not start more elections (§5.1).
pub(super) fn late_timeout_now(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for _ in 0..3 {
        let Some((leader, to)) = kept_order(&stage) else { return agreed(cluster) };
        agree(cluster, 2, 3);
        let before = (0..3).map(|i| term_of(cluster, i)).max().unwrap_or(0);
        let orders = cluster.net().held().len();
        stage.caption("TimeoutNow arrives");
        stage.all_pass();
        cluster.reached_check();
        cluster.sleep(2 * ELECTION_TIMEOUT);
        cluster.check_one_leader();
        agree(cluster, 2, 3);
        let terms = (0..3).map(|i| term_of(cluster, i)).max().unwrap_or(0) - before;
        if terms > TERMS_FOR_AN_ORDER {
            run::fail(format!(
                "{0} was asked to hand over to {1}, and gave up. Then {orders} TimeoutNow messages arrived, and {terms} terms \
                 began. At most {TERMS_FOR_AN_ORDER} new terms are allowed. TimeoutNow is valid only in the term in which it was \
                 sent (§5.1)",
                name(leader),
                name(to)
            ));
        }
    }
}

/// Delivers TimeoutNow when there is another leader, of a later term. The receiver must ignore it (§5.1).
pub(super) fn timeout_now_of_earlier_term_is_ignored(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for _ in 0..3 {
        let Some((old, to)) = kept_order(&stage) else { return agreed(cluster) };
        stage.caption("the third server is elected, and all servers hear it");
        stage.elect(after(cluster, old, 2), &[old, to]);
        stage.direct(|_| Fate::Deliver);
        let steady = Steady::new(&stage);
        stage.caption("the old leader's TimeoutNow arrives");
        stage.release(order(old, to));
        cluster.sleep(2 * ELECTION_TIMEOUT);
        steady.undisturbed(&format!(
            "The only trouble was that {} got a TimeoutNow from {}, with an older term. A server must refuse every RPC with an \
             older term (§5.1)",
            name(to),
            name(old)
        ));
        agree(cluster, 1, 3);
    }
}

fn agreed(cluster: &Cluster) {
    agree(cluster, 1, cluster.n());
}

/// Delivers each TimeoutNow twice: the copy comes when the receiver is a candidate, when it leads, or when it has led for a
/// while. It must become a candidate only once (§5.1).
pub(super) fn duplicated_timeout_now(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for later in [1, 3, 30, 700] {
        let Steady { leader, term, .. } = Steady::new(&stage);
        let to = after(cluster, leader, 1);
        let orders = order(leader, to);
        stage.direct(
            move |mail| if orders(mail) { Fate::Duplicate(ms(later)) } else { Fate::Deliver },
        );
        let outcome = Handover::begin(cluster, leader, to).outcome(&stage);
        if !stage.mail(orders).is_empty() {
            cluster.reached_check();
        }
        cluster.sleep(2 * ELECTION_TIMEOUT);
        if cluster.state(to) != Some((term + 1, true)) {
            run::fail(format!(
                "{0} was asked to hand over to {1}, and {0}'s TimeoutNow came twice, {later} ms apart. {1} should lead term {2}, \
                 but it doesn't. The outcome was {outcome:?}. {1} must become a candidate only once, because the second \
                 TimeoutNow is of an older term (§5.1); {3}",
                name(leader),
                name(to),
                term + 1,
                cluster.who_thinks_what()
            ));
        }
        agree(cluster, 1, 5);
    }
}

/// Loses TimeoutNow once or every time, or the answers to it. The leader must send it again or lead on, and the next handover
/// must succeed (thesis §3.10).
pub(super) fn lost_timeout_now(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for round in 0..6 {
        let leader = Steady::new(&stage).leader;
        let to = after(cluster, leader, 1 + round % 2);
        let orders = order(leader, to);
        let lost = Arc::new(AtomicU64::new(0));
        let count = lost.clone();
        stage.direct(move |mail| {
            let other = mail.from == leader && mail.to == to && mail.kind == Kind::Other;
            let lose = match round / 2 {
                0 => orders(mail) && count.load(Relaxed) == 0,
                1 => orders(mail),
                _ => other && !mail.is_call(),
            };
            count.fetch_add(lose.into(), Relaxed);
            if lose { Fate::Drop } else { Fate::Deliver }
        });
        let outcome = Handover::begin(cluster, leader, to).outcome(&stage);
        if lost.load(Relaxed) > 0 {
            cluster.reached_check();
        }
        let fits = match outcome {
            Some(Ok(())) => leads(cluster, to), // the successor may have become a candidate by itself
            Some(Err(NotTransferred::TimedOut | NotTransferred::NotLeader { .. })) => true,
            _ => false,
        };
        if !fits {
            run::fail(format!(
                "{0} was asked to hand over to {1}, and {2} messages were lost that may be TimeoutNow or answers to it. The \
                 outcome was {outcome:?}. The leader must send TimeoutNow again, or the handover must time out (thesis §3.10); \
                 {3}",
                name(leader),
                name(to),
                lost.load(Relaxed),
                cluster.who_thinks_what()
            ));
        }
        stage.all_pass();
        handed_over(cluster, |_| to);
        agree(cluster, 1, 3);
    }
}

/// Loses the successor's requests for votes for a while. Afterwards the servers must have a leader again, and all must follow it.
pub(super) fn successor_that_is_not_heard_follows_again(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for round in 0..5 {
        let leader = Steady::new(&stage).leader;
        let to = after(cluster, leader, 1 + round as usize % 2);
        stage.direct(move |mail| {
            let asks = mail.from == to && mail.kind == Kind::Vote && mail.is_call();
            if asks { Fate::Drop } else { Fate::Deliver }
        });
        let handover = Handover::begin(cluster, leader, to);
        cluster.sleep(ms(300) * round);
        let stands = |mail: &Mail| mail.from == to && mail.kind == Kind::Vote && mail.is_call();
        if !stage.mail(stands).is_empty() {
            cluster.reached_check();
        }
        stage.all_pass();
        let _ = handover.outcome(&stage);
        cluster.check_one_leader();
        agree(cluster, 1, 3);
    }
}
