//! 2D+, in scripts: snapshots from leaders of older terms, and a snapshot that no entry follows.

use crate::cluster::{Cluster, name};
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::nastier::leaders::deposed_leader_speaks_on;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{after, agree};
use labrpc::network::{Fate, Leg};
use labrpc::run;
use labrpc::time::{Duration, Instant};

tests! { "2D+", Raft:
    stale_install_snapshot_does_not_reset_election_timer = "OldSnapshotsBuyNoTime", reliable(3);
    install_response_with_newer_term_deposes_leader = "LeaderDeafButForSnapshots", reliable(3);
    snapshot_is_applied_without_later_entries = "SnapshotAndNothingMore", reliable(3);
}

/// Makes S0 the leader, with a snapshot of commands that S2 lacks. So everything that S0 sends to S2 from now on is that
/// snapshot.
fn s2_needs_a_snapshot(stage: &Stage<'_>) {
    let cluster = stage.cluster;
    stage.elect(0, &[1, 2]);
    agree(cluster, 3, 3);
    stage.caption("S2 misses twelve commands, and S0 makes a snapshot of them");
    cluster.disconnect(2);
    let last = agree(cluster, 12, 2);
    cluster.make_snapshot(0, last);
    stage.direct(|_| Fate::Drop);
    cluster.connect(2);
}

/// Deposes S0, and lets only its InstallSnapshot reach S2, which knows of a newer term. They must not reset S2's election timeout
/// (Figure 2, Followers). `stale_leader_does_not_reset_election_timer` does the same with AppendEntries.
fn stale_install_snapshot_does_not_reset_election_timer(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    s2_needs_a_snapshot(&stage);
    deposed_leader_speaks_on(&stage, Kind::Snapshot);
}

/// Lets an old leader hear nothing except the answers to its InstallSnapshot. They have a newer term, so it must step down
/// (§5.1).
fn install_response_with_newer_term_deposes_leader(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    s2_needs_a_snapshot(&stage);
    stage.caption("S2 elects S1; S0 still leads its old term, and doesn't hear of S1");
    let term = stage.elect(s1, &[s2]);
    stage.caption("S0's snapshots reach S2, and S2's answers to them reach S0");
    stage.direct(move |mail| match () {
        () if mail.from == s0 && mail.to == s2 && mail.kind == Kind::Snapshot => Fate::Deliver,
        () => Fate::Drop,
    });
    let told = |mail: &Mail| {
        let answer = mail.from == s0 && mail.kind == Kind::Snapshot && mail.leg == Leg::Reply;
        answer && mail.reply.term.is_some_and(|newer| newer >= term)
    };
    cluster.sleep(2 * ELECTION_TIMEOUT);
    if !stage.mail(told).is_empty() {
        cluster.reached_check();
    }
    let stays = matches!(cluster.state(s0), Some((old, true)) if old < term);
    if stays && !stage.mail(told).is_empty() {
        run::fail(format!(
            "{0}'s InstallSnapshot was answered with a newer term, but {0} still leads. \"If RPC request or response contains \
             term T > currentTerm: set currentTerm = T, convert to follower\" (§5.1). This rule holds for every RPC; {1}",
            name(s0),
            cluster.who_thinks_what()
        ));
    }
    stage.all_pass();
    agree(cluster, 1, 3);
}

/// How long it may take until a snapshot is installed: an election, a call that was made while the server was cut off and takes
/// seconds to fail, and some heartbeats.
const INSTALLED_WITHIN: Duration = Duration::from_secs(15);

/// Sends a snapshot of all commands to a server that was cut off, and gives no command after this snapshot. The server must hand
/// the snapshot to its service at once, and not wait for the next command (Figure 13, step 8).
fn snapshot_is_applied_without_later_entries(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    agree(cluster, 3, 3);
    let behind = after(cluster, cluster.check_one_leader(), 1);
    cluster.disconnect(behind);
    let last = agree(cluster, 12, 2);
    stage.caption("two servers make a snapshot of all commands, and the third comes back");
    for i in (0..cluster.n()).filter(|&i| i != behind) {
        cluster.make_snapshot(i, last);
    }
    let from = Instant::now();
    cluster.connect(behind);
    let has_it = || cluster.ledger().lock().who_has(last).contains(&behind);
    cluster.reached_check();
    if !stage.until(INSTALLED_WITHIN, has_it) {
        stage.refused_in_vain(behind, from);
        let installs =
            |mail: &Mail| mail.to == behind && mail.kind == Kind::Snapshot && mail.at > from;
        let why = match stage.mail(installs).is_empty() {
            false => {
                "The entries that a snapshot covers are committed, so a snapshot must wake the applier, as committed entries do \
                 (Figure 13, step 8)"
            }
            true => {
                "No server sent it an InstallSnapshot. A leader that has discarded what a follower needs must send its snapshot \
                 (§7)"
            }
        };
        run::fail(format!(
            "{} came back, and {INSTALLED_WITHIN:?} later its service still lacks what it missed, up to index {last}. \
             {why}; {}",
            name(behind),
            cluster.who_thinks_what()
        ));
    }
}
