//! Large and many things, a little at a time (thesis §10.2): messages of bounded size, several of them on their way, and no more work than can
//! be done.

mod snapshots;

use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{reliable, sloppy, unreliable, with_snapshots};
use crate::suites::worlds::steps::{after, agree, ms, restart};
use crate::suites::worlds::storm::{Trouble, every_but, storm};
use labrpc::api::{Command, Refused};
use labrpc::run;
use labrpc::time::{Duration, Instant};
use snapshots::*;

tests! { "flow", Beyond(Flow):
    flow_long_backlog = "FlowLongBacklog", reliable(3);
    flow_over_a_long_way = "FlowOverALongWay", reliable(3);
    flow_large_command = "FlowLargeCommand", reliable(3);
    flow_to_nobody = "FlowToNobody", reliable(3);
    flow_back_pressure = "FlowBackPressure", reliable(3);
    flow_pressure_of_an_old_leader = "FlowPressureOfAnOldLeader", reliable(3);
    flow_snapshot_in_pieces = "FlowSnapshotInPieces", with_snapshots(unreliable(3));
    flow_snapshot_and_crashes = "FlowSnapshotAndCrashes", with_snapshots(unreliable(5));
    flow_snapshot_of_a_busy_service = "FlowSnapshotOfABusyService", with_snapshots(reliable(3));
    flow_snapshot_of_two_leaders = "FlowSnapshotOfTwoLeaders", with_snapshots(reliable(5));
    flow_snapshot_and_restarts = "FlowSnapshotAndRestarts", with_snapshots(reliable(3));
    flow_snapshots_in_every_storm = "FlowSnapshotsInEveryStorm", with_snapshots(sloppy(reliable(5)));
    flow_in_every_storm = "FlowInEveryStorm", sloppy(reliable(5));
    flow_of_overtaking_entries = "FlowOfOvertakingEntries", reliable(5);
}

/// The largest message that a Raft of this ability sends, if no command is larger.
const LARGEST: u64 = 24 << 10;

/// A command of so many kB.
fn large(number: usize, kilobytes: usize) -> Command {
    command(format!("{number}{}", "-".repeat(kilobytes << 10)))
}

/// Gets so many commands of so many kB agreed on, one after the other.
#[track_caller]
fn agree_on_large(cluster: &Cluster, commands: usize, kilobytes: usize, servers: usize) -> u64 {
    let one = |_, number| cluster.one_command(&large(number, kilobytes), servers, true);
    (0..commands).fold(0, one)
}

/// Gives the leader so many commands at once; those that it doesn't take, a little later. Gives back the last index.
#[track_caller]
fn pour(cluster: &Cluster, leader: usize, commands: usize, kilobytes: usize) -> u64 {
    let mut last = 0;
    for number in 0..commands {
        let began = Instant::now();
        last = loop {
            match cluster.start(leader, &large(number, kilobytes)) {
                Ok(started) => break started.index,
                Err(Refused::Busy) if began.elapsed() < Duration::from_secs(10) => {
                    cluster.sleep(ms(5));
                }
                Err(why) => run::fail(format!(
                    "{} leads, two servers hear it, and it refused a command for {:?}: {why:?}",
                    name(leader),
                    began.elapsed()
                )),
            }
        };
    }
    last
}

/// Waits until so many servers have applied `index`; gives back how long that took.
#[track_caller]
fn wait_for(cluster: &Cluster, index: u64, servers: usize, most: Duration) -> Duration {
    let began = Instant::now();
    while cluster.n_committed(index).0 < servers {
        if began.elapsed() > most {
            run::fail(format!(
                "{} of {servers} servers have index {index} after {most:?}; {}",
                cluster.n_committed(index).0,
                cluster.who_thinks_what()
            ));
        }
        cluster.sleep(ms(10));
    }
    began.elapsed()
}

/// Cuts off the server after the leader; gives back both.
#[track_caller]
fn cut_one_off(cluster: &Cluster) -> (usize, usize) {
    let leader = cluster.check_one_leader();
    let away = after(cluster, leader, 1);
    cluster.disconnect(away);
    (leader, away)
}

#[track_caller]
fn check_largest(cluster: &Cluster) {
    let largest = cluster.net().largest_call();
    if largest > LARGEST {
        run::fail(format!(
            "a message has {largest} bytes, and no command is larger than 8 kB: what goes into one is limited by its bytes, be it entries or a \
             snapshot; {LARGEST} are allowed"
        ));
    }
}

/// A follower has missed 2 MB.
fn flow_long_backlog(cluster: &Cluster) {
    agree(cluster, 1, 3);
    let (leader, away) = cut_one_off(cluster);
    pour(cluster, leader, 250, 8);
    cluster.connect(away);
    let index = agree(cluster, 1, 2);
    wait_for(cluster, index, 3, Duration::from_secs(10));
    check_largest(cluster);
    cluster.reached_check();
}

/// A message takes 30 ms each way, and 2 MB are a hundred messages and more. One at a time they take 6 s.
fn flow_over_a_long_way(cluster: &Cluster) {
    agree(cluster, 1, 3);
    let leader = cluster.check_one_leader();
    for other in (0..3).filter(|i| *i != leader) {
        cluster.delay_link(leader, other, ms(30)..ms(30));
    }
    let began = Instant::now();
    let index = pour(cluster, leader, 250, 8);
    wait_for(cluster, index, 3, Duration::from_secs(10));
    check_largest(cluster);
    if run::in_simulation() && began.elapsed() > Duration::from_secs(4) {
        run::fail(format!(
            "250 commands of 8 kB took {:?}, with 60 ms for a message and its answer: a leader sends the next one before the last is answered \
             (thesis §10.2.2)",
            began.elapsed()
        ));
    }
    cluster.reached_check();
}

/// A command that is larger than a message may be goes all the same, alone.
fn flow_large_command(cluster: &Cluster) {
    agree_on_large(cluster, 3, 100, 3);
    agree(cluster, 3, 3);
    cluster.reached_check();
}

/// Nobody answers at one server's. What it is sent again and again is little.
fn flow_to_nobody(cluster: &Cluster) {
    agree(cluster, 1, 3);
    let (leader, away) = cut_one_off(cluster);
    let before = cluster.net().total_bytes();
    let index = pour(cluster, leader, 250, 8);
    wait_for(cluster, index, 2, Duration::from_secs(10));
    let data = cluster.net().total_bytes() - before;
    cluster.sleep(10 * ELECTION_TIMEOUT);
    let bytes = cluster.net().total_bytes() - before - data;
    const MOST: u64 = 8 << 20;
    if bytes > MOST {
        run::fail(format!(
            "in ten seconds in which there was nothing new, {bytes} bytes were sent, most of them to {}, which doesn't answer: to such a server goes \
             one message at a time, of bounded size; {MOST} bytes are allowed",
            name(away)
        ));
    }
    cluster.connect(away);
    agree(cluster, 1, 3);
    cluster.reached_check();
}

/// More commands than can be committed are refused for now; those that were taken are committed, and then others are taken.
fn flow_back_pressure(cluster: &Cluster) {
    agree(cluster, 1, 3);
    let leader = cluster.check_one_leader();
    (0..3).filter(|i| *i != leader).for_each(|i| cluster.disconnect(i));
    let (mut taken, mut busy) = (Vec::new(), false);
    for number in 0..10_000 {
        match cluster.start(leader, &command(number)) {
            Ok(started) => taken.push((number, started)),
            Err(Refused::Busy) => {
                busy = true;
                break;
            }
            Err(why) => run::fail(format!("{} has just led, and refused: {why:?}", name(leader))),
        }
    }
    if !busy {
        run::fail(format!(
            "{} took 10,000 commands, and could commit none of them. It is to refuse when too much waits (Refused::Busy)",
            name(leader)
        ));
    }
    (0..3).for_each(|i| cluster.connect(i));
    let (number, last) = *taken.last().expect("it took some");
    let there = cluster.wait(last.index, 3, Some(last.term));
    if there.is_some_and(|there| there != command(number)) {
        run::fail(format!(
            "{} took a command at index {}, and another is there",
            name(leader),
            last.index
        ));
    }
    agree(cluster, 3, 3);
    cluster.reached_check();
}

/// A new leader finds more that isn't committed than it would take itself, and none of its own term is there that would commit it.
fn flow_pressure_of_an_old_leader(cluster: &Cluster) {
    agree(cluster, 1, 3);
    let leader = cluster.check_one_leader();
    let others: Vec<_> = (0..3).filter(|i| *i != leader).collect();
    // The entries reach all, the answers none: the leader doesn't know.
    others.iter().for_each(|&i| cluster.cut_one_way(i, leader, true));
    for number in 0..10_000 {
        if cluster.start(leader, &command(number)).is_err() {
            break;
        }
    }
    cluster.sleep(ELECTION_TIMEOUT / 2);
    cluster.crash(leader);
    cluster.mend_links();
    restart(cluster, leader);
    agree(cluster, 3, 3);
    cluster.reached_check();
}

fn flow_in_every_storm(cluster: &Cluster) {
    storm(cluster, &every_but(&[Trouble::Blackouts]), true);
}

/// Many messages at once, which overtake one another.
fn flow_of_overtaking_entries(cluster: &Cluster) {
    agree(cluster, 1, 5);
    cluster.net().delays(ms(0)..ms(60), ms(0)..ms(60));
    let leader = cluster.check_one_leader();
    let index = pour(cluster, leader, 200, 4);
    wait_for(cluster, index, 5, Duration::from_secs(60));
    check_largest(cluster);
    cluster.reached_check();
}
