//! Handovers while all else goes wrong. Whether one comes about is left open; that whoever asked is told the truth, and in time,
//! isn't.

use super::{Handover, OVER_WITHIN, timed};
use crate::cluster::{Cluster, name};
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{after, agree, anybody, ms, restart};
use crate::suites::worlds::storm::{Trouble, every_but, storm};
use crate::suites::worlds::threads::{joined, spawn};
use labrpc::run;
use labrpc::time::{Duration, Instant};

/// The leader crashes, or its successor does, anywhere between two steps of a handover.
pub(super) fn handovers_and_crashes_of_either(cluster: &Cluster) {
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

/// On a network that loses messages.
pub(super) fn handovers_and_partitions(cluster: &Cluster) {
    use Trouble::*;
    storm_of_handovers(cluster, &[Partitions, OneWayCuts, SlowLinks, Loss]);
}

/// Orders and votes that come late and twice.
pub(super) fn handovers_and_old_messages(cluster: &Cluster) {
    use Trouble::*;
    storm_of_handovers(cluster, &[Duplicates, Reordering, LateReplies]);
}

pub(super) fn handovers_and_crashes(cluster: &Cluster) {
    use Trouble::*;
    storm_of_handovers(cluster, &[Crashes, CrashesAtSaves, Blackouts]);
}

pub(super) fn handovers_and_slow_threads(cluster: &Cluster) {
    storm_of_handovers(cluster, &[Trouble::SlowThreads, Trouble::Partitions]);
}

pub(super) fn handovers_and_everything(cluster: &Cluster) {
    storm_of_handovers(cluster, &every_but(&[Trouble::SlowThreads]));
}

/// For so long there are handovers: a storm lasts a second longer.
const LASTS: Duration = Duration::from_secs(14);

fn storm_of_handovers(cluster: &Cluster, troubles: &[Trouble]) {
    let in_time = !troubles.contains(&Trouble::SlowThreads);
    let also = cluster.clone();
    let handovers = spawn("handovers", move || hand_over_again_and_again(&also, in_time));
    storm(cluster, troubles, true);
    joined(handovers);
}

/// Whoever leads is to hand over to anybody.
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
                "{} was to hand over to {}, and said so late, after {took:?}, that it came to {outcome:?}. If it isn't done within \
                 about an election timeout, the leader leads on, and says so (thesis §3.10)",
                name(leader),
                name(to)
            ));
        }
        if outcome == Some(Ok(())) {
            has_led(&stage, leader, to, term);
        }
    }
}

/// The successor has spoken as a leader since.
#[track_caller]
fn has_led(stage: &Stage<'_>, leader: usize, to: usize, term: u64) {
    let speaks = |mail: &Mail| {
        let leads = matches!(mail.kind, Kind::Entries | Kind::Snapshot) && mail.is_call();
        leads && mail.from == to && mail.term > Some(term)
    };
    let readable = !stage.mail(|mail| mail.kind == Kind::Entries && mail.term.is_some()).is_empty();
    if readable && stage.mail(speaks).is_empty() {
        run::fail(format!(
            "{} led term {term}, and says that it has handed over to {}, of which nothing was heard as the leader of a later term: it \
             is to say so when it knows that the other one leads, and not when it has told it to stand (thesis §3.10)",
            name(leader),
            name(to)
        ));
    }
}
