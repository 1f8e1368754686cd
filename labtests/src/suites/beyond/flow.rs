//! Flow control (thesis §10.2): messages have a limited size, several of them may be on their way at once, and a leader refuses
//! commands when too many wait.

mod snapshots;

use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{reliable, sloppy, unreliable, with_snapshots};
use crate::suites::worlds::steps::{after, agree, ms, restart};
use crate::suites::worlds::storm::{Fault, every_but, storm};
use labrpc::api::{Command, Refused};
use labrpc::run;
use labrpc::time::{Duration, Instant};
use snapshots::*;

tests! { "flow", Beyond(Flow):
    flow_of_a_long_backlog = "FlowLongBacklog", reliable(3);
    flow_over_a_slow_link = "FlowOverALongWay", reliable(3);
    flow_large_command = "FlowLargeCommand", reliable(3);
    flow_to_unreachable_server_is_small = "FlowToNobody", reliable(3);
    flow_back_pressure = "FlowBackPressure", reliable(3);
    flow_back_pressure_after_an_election = "FlowPressureOfAnOldLeader", reliable(3);
    flow_snapshot_in_chunks = "FlowSnapshotInPieces", with_snapshots(unreliable(3));
    flow_snapshot_with_crashes = "FlowSnapshotAndCrashes", with_snapshots(unreliable(5));
    flow_snapshot_of_a_busy_service = "FlowSnapshotOfABusyService", with_snapshots(reliable(3));
    flow_snapshot_chunks_of_two_leaders = "FlowSnapshotOfTwoLeaders", with_snapshots(reliable(5));
    flow_snapshot_with_restarts_at_every_chunk = "FlowSnapshotAndRestarts", with_snapshots(reliable(3));
    flow_snapshots_under_all_faults = "FlowSnapshotsInEveryStorm", with_snapshots(sloppy(reliable(5)));
    flow_under_all_faults = "FlowInEveryStorm", sloppy(reliable(5));
    flow_of_reordered_entries = "FlowOfOvertakingEntries", reliable(5);
}

/// The largest message that a Raft of this ability sends, if no command is larger.
const LARGEST: u64 = 24 << 10;

/// A command of this many kB.
fn large(number: usize, kilobytes: usize) -> Command {
    command(format!("{number}{}", "-".repeat(kilobytes << 10)))
}

/// Gets this many commands of this many kB agreed on, one after the other.
#[track_caller]
fn agree_on_large(cluster: &Cluster, commands: usize, kilobytes: usize, servers: usize) -> u64 {
    let one = |_, number| cluster.one_command(&large(number, kilobytes), servers, true);
    (0..commands).fold(0, one)
}

/// Gives the leader this many commands at once. If it refuses one as busy, tries again a little later. Returns the last index.
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
                    "{} leads and two servers hear it, but for {:?} it has refused a command: {why:?}",
                    name(leader),
                    began.elapsed()
                )),
            }
        };
    }
    last
}

/// Waits until this many servers have applied `index`. Returns how long that took.
#[track_caller]
fn wait_for(cluster: &Cluster, index: u64, servers: usize, most: Duration) -> Duration {
    let began = Instant::now();
    while cluster.n_committed(index).0 < servers {
        if began.elapsed() > most {
            run::fail(format!(
                "only {} of {servers} servers have applied index {index} after {most:?}; {}",
                cluster.n_committed(index).0,
                cluster.who_thinks_what()
            ));
        }
        cluster.sleep(ms(10));
    }
    began.elapsed()
}

/// Cuts off the server after the leader. Returns the leader and the server that was cut off.
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
            "a message has {largest} bytes, but no command is larger than 8 kB. At most {LARGEST} bytes are allowed. A message \
             with entries or with a piece of a snapshot must have a limited number of bytes (thesis §10.2)"
        ));
    }
}

/// Lets a follower miss 2 MB of commands and come back. It must get them in messages of limited size.
fn flow_of_a_long_backlog(cluster: &Cluster) {
    agree(cluster, 1, 3);
    let (leader, away) = cut_one_off(cluster);
    pour(cluster, leader, 250, 8);
    cluster.connect(away);
    let index = agree(cluster, 1, 2);
    wait_for(cluster, index, 3, Duration::from_secs(10));
    check_largest(cluster);
    cluster.reached_check();
}

/// Sends 2 MB of commands over links with 30 ms each way. That is more than a hundred messages, which take 6 s if the leader
/// sends one at a time. It must send the next message before the last is answered (thesis §10.2.2).
fn flow_over_a_slow_link(cluster: &Cluster) {
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
            "250 commands of 8 kB took {:?}. A message and its answer take 60 ms together. A leader must send the next message \
             before the last one is answered (thesis §10.2.2)",
            began.elapsed()
        ));
    }
    cluster.reached_check();
}

/// Gives commands of 100 kB, more than a message may have. Such a command must be sent alone, and must be committed.
fn flow_large_command(cluster: &Cluster) {
    agree_on_large(cluster, 3, 100, 3);
    agree(cluster, 3, 3);
    cluster.reached_check();
}

/// Cuts a server off and gives 2 MB of commands. The leader must not send much to the server that doesn't answer: one message
/// at a time, of limited size.
fn flow_to_unreachable_server_is_small(cluster: &Cluster) {
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
            "in ten seconds without commands, the servers sent {bytes} bytes, most of them to {}, which doesn't answer. At most \
             {MOST} bytes are allowed. If a server doesn't answer, the leader must send it one message at a time, of limited \
             size (thesis §10.2)",
            name(away)
        ));
    }
    cluster.connect(away);
    agree(cluster, 1, 3);
    cluster.reached_check();
}

/// Gives commands to a leader that can't commit any. It must refuse commands when too many wait. When it can commit again, the
/// accepted commands must be committed, and the leader must accept new ones.
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
            Err(why) => run::fail(format!(
                "{} was the leader a moment ago, but it refused a command: {why:?}",
                name(leader)
            )),
        }
    }
    if !busy {
        run::fail(format!(
            "{} accepted 10,000 commands, but it could not commit any of them. A leader must refuse commands when too many wait \
             (Refused::Busy)",
            name(leader)
        ));
    }
    (0..3).for_each(|i| cluster.connect(i));
    let (number, last) = *taken.last().expect("it took some");
    let there = cluster.wait(last.index, 3, Some(last.term));
    if there.is_some_and(|there| there != command(number)) {
        run::fail(format!(
            "{} accepted a command at index {}, but another command was committed at that index in the same term",
            name(leader),
            last.index
        ));
    }
    agree(cluster, 3, 3);
    cluster.reached_check();
}

/// Restarts a leader whose log is full of entries that it doesn't know to be committed, more than it would accept itself. A new
/// leader must still be able to append an entry of its own term, because only that commits the others (§5.4.2).
fn flow_back_pressure_after_an_election(cluster: &Cluster) {
    agree(cluster, 1, 3);
    let leader = cluster.check_one_leader();
    let others: Vec<_> = (0..3).filter(|i| *i != leader).collect();
    // The entries reach all servers, but the answers don't reach the leader, so it can't commit.
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

/// Runs a storm with all kinds of trouble except blackouts.
fn flow_under_all_faults(cluster: &Cluster) {
    storm(cluster, &every_but(&[Fault::Blackouts]), true);
}

/// Sends many messages at once, which overtake each other. All entries must arrive.
fn flow_of_reordered_entries(cluster: &Cluster) {
    agree(cluster, 1, 5);
    cluster.net().delays(ms(0)..ms(60), ms(0)..ms(60));
    let leader = cluster.check_one_leader();
    let index = pour(cluster, leader, 200, 4);
    wait_for(cluster, index, 5, Duration::from_secs(60));
    check_largest(cluster);
    cluster.reached_check();
}
