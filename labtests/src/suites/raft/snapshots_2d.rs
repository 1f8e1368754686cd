//! 2D: snapshots (§7). The service makes a snapshot after every tenth command.

use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{reliable, unreliable, with_snapshots};
use crate::suites::worlds::steps::{after, random};
use labrpc::api::Command;
use labrpc::run;

tests! { "2D", Raft:
    snapshot_basic = "SnapshotBasic", with_snapshots(reliable(3));
    snapshot_install = "SnapshotInstall", with_snapshots(reliable(3));
    snapshot_install_unreliable = "SnapshotInstallUnreliable", with_snapshots(unreliable(3));
    snapshot_install_crash = "SnapshotInstallCrash", with_snapshots(reliable(3));
    snapshot_install_un_crash = "SnapshotInstallUnCrash", with_snapshots(unreliable(3));
    snapshot_all_crash = "SnapshotAllCrash", with_snapshots(unreliable(3));
    snapshot_init = "SnapshotInit", with_snapshots(unreliable(3));
}

/// The largest Raft state that a server may have saved, in bytes.
const MAX_SAVED_STATE: usize = 2000;

/// The fault that makes a server miss commands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    CutOff,
    Crash,
}

/// Runs [`thirty_rounds`] without faults.
fn snapshot_basic(cluster: &Cluster) {
    thirty_rounds(cluster, Fault::None);
}

/// Runs [`thirty_rounds`] with a server that is cut off.
fn snapshot_install(cluster: &Cluster) {
    thirty_rounds(cluster, Fault::CutOff);
}

/// Runs [`thirty_rounds`] with a server that is cut off, on an unreliable network.
fn snapshot_install_unreliable(cluster: &Cluster) {
    thirty_rounds(cluster, Fault::CutOff);
}

/// Runs [`thirty_rounds`] with a server that crashes.
fn snapshot_install_crash(cluster: &Cluster) {
    thirty_rounds(cluster, Fault::Crash);
}

/// Runs [`thirty_rounds`] with a server that crashes, on an unreliable network.
fn snapshot_install_un_crash(cluster: &Cluster) {
    thirty_rounds(cluster, Fault::Crash);
}

/// In each round, one server misses so many commands that it gets a snapshot when it comes back (§7). Every third time, that
/// server is the leader. The saved state of each server must stay small.
fn thirty_rounds(cluster: &Cluster, fault: Fault) {
    let n = cluster.n();
    let one = |servers| cluster.one(random(cluster), servers, true);
    one(n);
    let mut leader = cluster.check_one_leader();
    for round in 0..30 {
        let follower = after(cluster, leader, 1);
        let (victim, sender) = if round % 3 == 1 { (leader, follower) } else { (follower, leader) };
        match fault {
            Fault::None => {}
            Fault::CutOff => cluster.disconnect(victim),
            Fault::Crash => cluster.crash(victim),
        }
        let there = if fault == Fault::None { n } else { n - 1 };
        if fault != Fault::None {
            one(there);
        }
        for _ in 0..cluster.draws().range("commands between snapshots", 5..15) {
            give(cluster, sender, &command(random(cluster)));
        }
        one(there);
        check_saved_state(cluster);
        match fault {
            Fault::None => {}
            Fault::CutOff => cluster.connect(victim),
            Fault::Crash => {
                cluster.start_server(victim);
                cluster.connect(victim);
            }
        }
        if fault != Fault::None {
            one(n);
            leader = cluster.check_one_leader();
        }
    }
}

/// Gives a command to the first connected server that accepts it. It asks `first` first.
fn give(cluster: &Cluster, first: usize, command: &Command) {
    let ring = (0..cluster.n()).map(|steps| after(cluster, first, steps));
    for i in ring.filter(|&i| cluster.is_connected(i)) {
        if cluster.start(i, command).is_ok() {
            return;
        }
    }
}

#[track_caller]
fn check_saved_state(cluster: &Cluster) {
    let (server, size) = cluster.largest_saved_state();
    if size >= MAX_SAVED_STATE {
        run::fail(format!(
            "{} has saved {size} bytes of Raft state, but fewer than {MAX_SAVED_STATE} are allowed. A server must discard the \
             log entries that a snapshot covers (§7)",
            name(server)
        ));
    }
}

fn crash_all(cluster: &Cluster) {
    (0..cluster.n()).for_each(|i| cluster.crash(i));
    (0..cluster.n()).for_each(|i| cluster.start_server(i));
    (0..cluster.n()).for_each(|i| cluster.connect(i));
}

/// Crashes all servers, five times. Each time they must go on where they were, from their snapshots and logs (§7).
fn snapshot_all_crash(cluster: &Cluster) {
    let n = cluster.n();
    let one = || cluster.one(random(cluster), n, true);
    one();
    for _ in 0..5 {
        for _ in 0..cluster.draws().range("commands between snapshots", 5..15) {
            one();
        }
        let before = one();
        crash_all(cluster);
        let after = one();
        if after <= before {
            run::fail(format!(
                "a command before the crash of all servers had index {before}, but a new command after the crash got index \
                 {after}. The new command should get a higher index"
            ));
        }
    }
}

/// Crashes all servers twice. A snapshot must survive the second crash, too: a server that has read its snapshot back and then
/// saves its state must save the snapshot with it (§7).
fn snapshot_init(cluster: &Cluster) {
    let n = cluster.n();
    for _ in 0..12 {
        cluster.one(random(cluster), n, true);
    }
    crash_all(cluster);
    cluster.one(random(cluster), n, true);
    crash_all(cluster);
    cluster.one(random(cluster), n, true);
}
