//! Handovers by script. The order to stand for election is a message like any other: it may come late, twice, or not at all. It is
//! known by being none of the paper's; where it can't be told from those, a script passes.

use super::super::steady::Steady;
use super::{Handover, handed_over};
use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{after, agree, ms, random};
use labrpc::api::beyond::NotTransferred;
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::{Duration, Instant};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What may be an order to stand for election.
fn order(from: usize, to: usize) -> impl Fn(&Mail) -> bool + Copy {
    move |mail| mail.from == from && mail.to == to && mail.kind == Kind::Other && mail.is_call()
}

fn term_of(cluster: &Cluster, i: usize) -> u64 {
    cluster.state(i).map_or(0, |(term, _)| term)
}

fn leads(cluster: &Cluster, i: usize) -> bool {
    matches!(cluster.state(i), Some((_, true)))
}

/// Nobody who has just heard its leader stands by itself so soon: the lab allows ten heartbeats a second.
const SOON: Duration = ms(80);

/// The successor lacks an entry, and it is on its way for long. It must not be told to stand: it wouldn't be elected (§5.4.1), and
/// nobody would lead.
pub(super) fn successor_is_behind(cluster: &Cluster) {
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
        let lacks_it = !cluster.net().held().is_empty(); // else it can't be told what entries are
        if lacks_it {
            cluster.reached_check();
        }
        if lacks_it && term_of(cluster, behind) > term {
            run::fail(format!(
                "{} has told {} to stand for election before that had the last of its entries. The leader brings its successor up to \
                 date first: one that isn't can't be elected, and takes the leadership from who has it (thesis §3.10); {}",
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

/// Lets a leader hand over to the next server, and keeps its order on the way until the leader has given up, or the other one has stood by
/// itself. Gives back the order's sender and receiver; `None`: nothing could be kept.
fn kept_order(stage: &Stage<'_>) -> Option<(usize, usize)> {
    let cluster = stage.cluster;
    let leader = Steady::new(stage).leader;
    let to = after(cluster, leader, 1);
    let orders = order(leader, to);
    stage.caption("the order to stand is on its way for long");
    stage.direct(move |mail| if orders(mail) { Fate::Hold } else { Fate::Deliver });
    let outcome = Handover::begin(cluster, leader, to).outcome(stage);
    if cluster.net().held().is_empty() {
        stage.all_pass();
        return None;
    }
    if outcome == Some(Ok(())) && !leads(cluster, to) {
        run::fail(format!(
            "{} has handed over to {}, it says; its order to stand is still on its way, and {1} doesn't lead (thesis §3.10); {}",
            name(leader),
            name(to),
            cluster.who_thinks_what()
        ));
    }
    Some((leader, to))
}

/// How many terms an order may cost that comes when its leader has given up: the successor stands, and who won't vote for it any more
/// makes it one or two more.
const TERMS_FOR_AN_ORDER: u64 = 4;

/// The order to stand comes when nobody waits for it any more. It may be obeyed if the term is still the same; nothing is lost by it, and
/// it counts once, however often it was sent.
pub(super) fn order_comes_late(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for _ in 0..3 {
        let Some((leader, to)) = kept_order(&stage) else { return agreed(cluster) };
        agree(cluster, 2, 3);
        let before = (0..3).map(|i| term_of(cluster, i)).max().unwrap_or(0);
        let orders = cluster.net().held().len();
        stage.caption("the order comes");
        stage.all_pass();
        cluster.reached_check();
        cluster.sleep(2 * ELECTION_TIMEOUT);
        cluster.check_one_leader();
        agree(cluster, 2, 3);
        let terms = (0..3).map(|i| term_of(cluster, i)).max().unwrap_or(0) - before;
        if terms > TERMS_FOR_AN_ORDER {
            run::fail(format!(
                "{} was to hand over to {}; {orders} orders to stand came when it had given up, and {terms} terms began. \
                 {TERMS_FOR_AN_ORDER} are allowed: an order is for the term that it was given in (§5.1)",
                name(leader),
                name(to)
            ));
        }
    }
}

/// The order to stand comes when there is another leader, of another term. It counts for nothing.
pub(super) fn order_of_an_old_term(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for _ in 0..3 {
        let Some((old, to)) = kept_order(&stage) else { return agreed(cluster) };
        stage.caption("the third server is elected, and all hear it");
        stage.elect(after(cluster, old, 2), &[old, to]);
        stage.direct(|_| Fate::Deliver);
        let steady = Steady::new(&stage);
        stage.caption("the old leader's order comes");
        stage.release(order(old, to));
        cluster.sleep(2 * ELECTION_TIMEOUT);
        steady.undisturbed(&format!(
            "Nothing happened but that {} was told to stand by {}, in a term that is over. What comes from an older term is refused, \
             whichever the RPC (§5.1)",
            name(to),
            name(old)
        ));
        agree(cluster, 1, 3);
    }
}

fn agreed(cluster: &Cluster) {
    agree(cluster, 1, cluster.n());
}

/// Each order to stand comes a second time: when its receiver stands, when it leads, when it has led for a while. It counts once.
pub(super) fn order_comes_twice(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for later in [1, 3, 30, 700] {
        let Steady { leader, term, .. } = Steady::new(&stage);
        let to = after(cluster, leader, 1);
        let orders = order(leader, to);
        stage.direct(move |mail| if orders(mail) { Fate::Copy(ms(later)) } else { Fate::Deliver });
        let outcome = Handover::begin(cluster, leader, to).outcome(&stage);
        if !stage.mail(orders).is_empty() {
            cluster.reached_check();
        }
        cluster.sleep(2 * ELECTION_TIMEOUT);
        if cluster.state(to) != Some((term + 1, true)) {
            run::fail(format!(
                "{} was to hand over to {}, and its order to stand came twice, {later} ms apart. That came to {outcome:?}, and {1} \
                 should lead term {}: it stands for election once, for the order is of the term before (§5.1); {}",
                name(leader),
                name(to),
                term + 1,
                cluster.who_thinks_what()
            ));
        }
        agree(cluster, 1, 5);
    }
}

/// The order is lost, once or each time, or the answers to it: it is given again, or the leader leads on; and the next handover comes
/// about.
pub(super) fn order_is_lost(cluster: &Cluster) {
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
            if lose { Fate::Lose } else { Fate::Deliver }
        });
        let outcome = Handover::begin(cluster, leader, to).outcome(&stage);
        if lost.load(Relaxed) > 0 {
            cluster.reached_check();
        }
        let fits = match outcome {
            Some(Ok(())) => leads(cluster, to), // it may have stood by itself
            Some(Err(NotTransferred::TimedOut | NotTransferred::NotLeader { .. })) => true,
            _ => false,
        };
        if !fits {
            run::fail(format!(
                "{} was to hand over to {}, and {} messages that may be its order to stand, or answers to it, were lost. That came to \
                 {outcome:?}: it is given again, or the handover times out (thesis §3.10); {}",
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

/// The successor stands, and nobody hears it. The others have a leader again, and it follows.
pub(super) fn successor_stands_in_vain(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for round in 0..5 {
        let leader = Steady::new(&stage).leader;
        let to = after(cluster, leader, 1 + round as usize % 2);
        stage.direct(move |mail| {
            let asks = mail.from == to && mail.kind == Kind::Vote && mail.is_call();
            if asks { Fate::Lose } else { Fate::Deliver }
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
