//! Check-quorum (thesis §6.2): a leader that hears no majority must step down, and a leader that hears a majority must stay.

use super::super::steady::Steady;
use super::{ASKS_FIRST, AWAY};
use crate::cluster::{Cluster, name, names};
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::worlds::stage::Stage;
use crate::suites::worlds::steps::{after, agree};
use labrpc::api::Refused;
use labrpc::run;
use labrpc::time::Duration;

/// A leader must step down within two election timeouts. So it may check once each election timeout whether a majority has
/// answered since its last check.
pub(super) const STEPS_DOWN_WITHIN: Duration = ELECTION_TIMEOUT.saturating_mul(2);

/// Cuts off the leader of five servers, alone or with one follower. It must step down (thesis §6.2).
pub(super) fn leader_without_quorum_steps_down(cluster: &Cluster) {
    without_a_majority(cluster, &[]);
    without_a_majority(cluster, &[1]);
    without_a_majority(cluster, &[3]);
}

/// Cuts off the leader of four servers with one follower. Two of four are no majority, so the leader must step down, and
/// neither side may have a leader (thesis §6.2).
pub(super) fn leader_of_half_steps_down(cluster: &Cluster) {
    (1..=3).for_each(|steps| without_a_majority(cluster, &[steps]));
}

/// Cuts off the leader of two servers. One of two is no majority, so it must step down (thesis §6.2).
pub(super) fn leader_of_two_without_the_other_steps_down(cluster: &Cluster) {
    (0..3).for_each(|_| without_a_majority(cluster, &[]));
}

/// Cuts off the leader with the servers that are so many steps after it. Together they are no majority.
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
            "{1}, including {0}, have been cut off from the others for {STEPS_DOWN_WITHIN:?}, but {0} still leads. A leader must \
             step down if an election timeout passes without an answer from a majority, so that its clients look for another \
             leader (thesis §6.2)",
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
        run::fail(format!("{} leads {servers}, which are not a majority (§5.2)", name(i)));
    }
    let started = cluster.start(i, &command("nobody leads"));
    if !matches!(started, Err(Refused::NotLeader { .. })) {
        run::fail(format!(
            "{} doesn't lead, but start() returned {started:?}. It must return NotLeader, so that clients look for another \
             leader (thesis §6.2)",
            name(i)
        ));
    }
}

/// Fails if a server of a side that can't elect a leader has raised its term.
#[track_caller]
fn stays_in_its_term(cluster: &Cluster, side: &[usize], term: u64) {
    let later = |i: &usize| cluster.state(*i).is_some_and(|(now, _)| now > term);
    if let Some(&i) = side.iter().find(|i| later(i)) {
        let others: Vec<_> = side.iter().copied().filter(|&other| other != i).collect();
        let heard = if others.is_empty() { "none".into() } else { names(&others) };
        run::fail(format!(
            "{0} is now in a later term than {term}. Of {1} other servers, it hears {heard}. So it can't be elected, and should \
             stay in its term. {ASKS_FIRST}; {2}",
            name(i),
            cluster.n() - 1,
            cluster.who_thinks_what()
        ));
    }
}

/// Cuts off two of four followers, in several combinations. The leader hears a majority and must stay (thesis §6.2).
pub(super) fn leader_with_quorum_stays(cluster: &Cluster) {
    for away in [[1, 2], [3, 4], [1, 3]] {
        with_a_majority(cluster, &away);
    }
}

/// Cuts off one of three followers, each in turn. The leader hears a majority and must stay (thesis §6.2).
pub(super) fn leader_of_three_of_four_stays(cluster: &Cluster) {
    for away in 1..=3 {
        with_a_majority(cluster, &[away]);
    }
}

/// Cuts off the servers that are so many steps after the leader. The rest is a majority.
fn with_a_majority(cluster: &Cluster, steps: &[usize]) {
    let stage = Stage::new(cluster);
    let steady = Steady::new(&stage);
    let away: Vec<_> = steps.iter().map(|&steps| after(cluster, steady.leader, steps)).collect();
    let left = cluster.n() - away.len();
    let leads_on = || {
        if !steady.leads() {
            run::fail(format!(
                "{0} no longer leads term {1}, but it should, because only {2} were cut off. The other {left} of {3} servers, \
                 including the leader, hear each other, and that is a majority. A leader steps down only if it hears no \
                 majority, and it counts itself (thesis §6.2); {4}",
                name(steady.leader),
                steady.term,
                names(&away),
                cluster.n(),
                cluster.who_thinks_what()
            ));
        }
        steady.undisturbed(&format!(
            "The only trouble was that {} were cut off. {ASKS_FIRST}",
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
