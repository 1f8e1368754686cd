//! Handovers during other trouble. A handover may succeed or fail, but the answer to the caller must be true, and must come in
//! time.

use super::{Handover, OVER_WITHIN, timed};
use crate::cluster::{Cluster, name};
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{after, agree, anybody, ms, restart};
use crate::suites::worlds::storm::{Fault, every_but, storm};
use crate::suites::worlds::threads::{joined, spawn};
use labrpc::run;
use labrpc::time::{Duration, Instant};

/// Crashes the leader or its successor between any two steps of a handover. The handover must end in time, and the servers must
/// agree afterwards (thesis §3.10).
pub(super) fn transfers_with_crashes_of_either_server(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    agree(cluster, 1, 3);
    for round in 0..14 {
        let leader = cluster.check_one_leader();
        let to = after(cluster, leader, 1 + round / 2 % 2);
        let victim = if round % 2 == 0 { leader } else { to };
        let handover = Handover::begin(cluster, leader, to);
        cluster.crash_after_steps(victim, cluster.draws().below("steps to the crash", 80));
        if !cluster.wait_crashed(victim, ms(50)) {
            cluster.crash(victim);
        }
        let _ = handover.outcome(&stage);
        cluster.check_one_leader();
        restart(cluster, victim);
        agree(cluster, 1, 3);
    }
    cluster.reached_check();
}

/// Hands over again and again in a storm of partitions, one-way cuts, slow links and lost messages.
pub(super) fn transfers_with_partitions(cluster: &Cluster) {
    use Fault::*;
    storm_of_handovers(cluster, &[Partitions, AsymmetricPartitions, SlowLinks, Loss]);
}

/// Hands over again and again in a storm in which TimeoutNow and votes come late and twice.
pub(super) fn transfers_with_delayed_messages(cluster: &Cluster) {
    use Fault::*;
    storm_of_handovers(cluster, &[Duplicates, Reordering, LateReplies]);
}

/// Hands over again and again in a storm of crashes and blackouts.
pub(super) fn transfers_with_crashes(cluster: &Cluster) {
    use Fault::*;
    storm_of_handovers(cluster, &[Crashes, CrashesAtSaves, Blackouts]);
}

/// Hands over again and again in a storm of partitions with slow threads.
pub(super) fn transfers_with_paused_threads(cluster: &Cluster) {
    storm_of_handovers(cluster, &[Fault::SlowThreads, Fault::Partitions]);
}

/// Hands over again and again in a storm with all kinds of trouble except slow threads.
pub(super) fn transfers_under_all_faults(cluster: &Cluster) {
    storm_of_handovers(cluster, &every_but(&[Fault::SlowThreads]));
}

/// How long there are handovers. A storm lasts a second longer.
const LASTS: Duration = Duration::from_secs(14);

fn storm_of_handovers(cluster: &Cluster, troubles: &[Fault]) {
    let in_time = !troubles.contains(&Fault::SlowThreads);
    let also = cluster.clone();
    let handovers = spawn("handovers", move || hand_over_again_and_again(&also, in_time));
    storm(cluster, troubles, true);
    joined(handovers);
}

/// Asks the present leader to hand over to a random server, again and again.
fn hand_over_again_and_again(cluster: &Cluster, in_time: bool) {
    let stage = Stage::new(cluster);
    let until = Instant::now() + LASTS;
    while Instant::now() < until {
        cluster.sleep(cluster.draws().millis("until the next handover", 1..300));
        let leads = |i| Some((i, cluster.state(i).filter(|(_, leads)| *leads)?.0));
        let Some((leader, term)) = (0..cluster.n()).rev().find_map(leads) else { continue };
        let to = anybody(cluster);
        let (outcome, took) = timed(|| cluster.transfer(leader, to));
        if in_time && took > OVER_WITHIN {
            run::fail(format!(
                "{} was asked to hand over to {}, and returned the outcome {outcome:?} only after {took:?}. If a handover isn't \
                 done within about an election timeout, the leader must give it up, continue to lead, and return an error \
                 (thesis §3.10)",
                name(leader),
                name(to)
            ));
        }
        if outcome == Some(Ok(())) {
            has_led(&stage, leader, to, term);
        }
    }
}

/// Fails the test if the successor has not sent any message as the leader of a later term.
#[track_caller]
fn has_led(stage: &Stage<'_>, leader: usize, to: usize, term: u64) {
    let speaks = |mail: &Mail| {
        let leads = matches!(mail.kind, Kind::Entries | Kind::Snapshot) && mail.is_call();
        leads && mail.from == to && mail.term > Some(term)
    };
    let readable = !stage.mail(|mail| mail.kind == Kind::Entries && mail.term.is_some()).is_empty();
    if readable && stage.mail(speaks).is_empty() {
        run::fail(format!(
            "{0} led term {term} and says that it has handed over to {1}, but {1} has sent nothing as the leader of a later \
             term. A leader must report a handover as done when it knows that its successor leads, and not when it has sent \
             TimeoutNow (thesis §3.10)",
            name(leader),
            name(to)
        ));
    }
}
