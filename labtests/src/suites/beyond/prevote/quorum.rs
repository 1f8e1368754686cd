//! Check-quorum (thesis §6.2): a leader that hears from no majority steps down, and one that does leads on.

use super::super::steady::Steady;
use super::{ASKS_FIRST, AWAY};
use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name, names};
use crate::ledger::command;
use crate::suites::worlds::stage::Stage;
use crate::suites::worlds::steps::{after, agree};
use labrpc::api::Refused;
use labrpc::run;
use labrpc::time::Duration;

/// A leader that looks once each election timeout whether it has heard from a majority since it looked last, steps down within two.
pub(super) const STEPS_DOWN_WITHIN: Duration = ELECTION_TIMEOUT.saturating_mul(2);

/// A leader alone, and with one follower, of five.
pub(super) fn leader_of_a_minority(cluster: &Cluster) {
    without_a_majority(cluster, &[]);
    without_a_majority(cluster, &[1]);
    without_a_majority(cluster, &[3]);
}

/// Two of four are no majority, on neither side.
pub(super) fn leader_of_half(cluster: &Cluster) {
    (1..=3).for_each(|steps| without_a_majority(cluster, &[steps]));
}

/// Nor is one of two.
pub(super) fn leader_of_a_pair(cluster: &Cluster) {
    (0..3).for_each(|_| without_a_majority(cluster, &[]));
}

/// Leaves the leader with those so many steps after it, who are too few.
fn without_a_majority(cluster: &Cluster, steps: &[usize]) {
    let stage = Stage::new(cluster);
    let Steady { leader, term, .. } = Steady::new(&stage);
    let side = steps.iter().map(|&steps| after(cluster, leader, steps));
    let side: Vec<_> = [leader].into_iter().chain(side).collect();
    cluster.partition(&side);
    cluster.reached_check();
    let servers = || format!("{} of {} servers", side.len(), cluster.n());
    if !stage.until(STEPS_DOWN_WITHIN, || matches!(cluster.state(leader), Some((_, false)))) {
        run::fail(format!(
            "{} leads on, though for {STEPS_DOWN_WITHIN:?} {} have heard nothing of the others. A leader steps down if an \
             election timeout goes by without an answer from a majority, so that its clients look for another one (thesis §6.2)",
            name(leader),
            servers()
        ));
    }
    for _ in 0..4 {
        for &i in &side {
            nobody_leads(cluster, i, &servers());
        }
        cluster.sleep(ELECTION_TIMEOUT);
    }
    stays_in_its_term(cluster, &side, term);
    if 2 * side.len() == cluster.n() {
        let others: Vec<_> = (0..cluster.n()).filter(|i| !side.contains(i)).collect();
        others.iter().for_each(|&i| nobody_leads(cluster, i, &servers()));
        stays_in_its_term(cluster, &others, term);
    }
    cluster.connect_all();
    cluster.check_one_leader();
    agree(cluster, 1, cluster.n());
}

#[track_caller]
fn nobody_leads(cluster: &Cluster, i: usize, servers: &str) {
    if matches!(cluster.state(i), Some((_, true))) {
        run::fail(format!("{} leads {servers}: that is no majority (§5.2)", name(i)));
    }
    let started = cluster.start(i, &command("nobody leads"));
    if !matches!(started, Err(Refused::NotLeader { .. })) {
        run::fail(format!(
            "{} doesn't lead, and start() says {started:?}; its clients are to look for another leader (thesis §6.2)",
            name(i)
        ));
    }
}

/// Who can't be elected raises no term, however long that lasts.
#[track_caller]
fn stays_in_its_term(cluster: &Cluster, side: &[usize], term: u64) {
    let later = |i: &usize| cluster.state(*i).is_some_and(|(now, _)| now > term);
    if let Some(&i) = side.iter().find(|i| later(i)) {
        let others: Vec<_> = side.iter().copied().filter(|&other| other != i).collect();
        let heard = if others.is_empty() { "nobody".into() } else { names(&others) };
        run::fail(format!(
            "{} has left term {term}, and of {} others it hears {heard}. {ASKS_FIRST}; {}",
            name(i),
            cluster.n() - 1,
            cluster.who_thinks_what()
        ));
    }
}

/// A leader and two followers, whichever they are, of five.
pub(super) fn leader_of_a_majority(cluster: &Cluster) {
    for away in [[1, 2], [3, 4], [1, 3]] {
        with_a_majority(cluster, &away);
    }
}

/// And with two of three others.
pub(super) fn leader_of_three_of_four(cluster: &Cluster) {
    for away in 1..=3 {
        with_a_majority(cluster, &[away]);
    }
}

/// Takes those away that are so many steps after the leader, and are not missed.
fn with_a_majority(cluster: &Cluster, steps: &[usize]) {
    let stage = Stage::new(cluster);
    let steady = Steady::new(&stage);
    let away: Vec<_> = steps.iter().map(|&steps| after(cluster, steady.leader, steps)).collect();
    let left = cluster.n() - away.len();
    let leads_on = || {
        if !steady.leads() {
            run::fail(format!(
                "{} no longer leads term {}. Only {} are away: {left} of {} servers, with the leader, hear each other, and that is a \
                 majority. A leader steps down when it hears from none, and itself it hears (thesis §6.2); {}",
                name(steady.leader),
                steady.term,
                names(&away),
                cluster.n(),
                cluster.who_thinks_what()
            ));
        }
        steady.undisturbed(&format!(
            "Nothing happened but that {} were away. {ASKS_FIRST}",
            names(&away)
        ));
    };
    away.iter().for_each(|&i| cluster.disconnect(i));
    cluster.sleep(AWAY);
    leads_on();
    agree(cluster, 5, left);
    leads_on();
    away.iter().for_each(|&i| cluster.connect(i));
    agree(cluster, 1, cluster.n());
    leads_on();
}
