//! 2D+: snapshots (§7) that are late, come twice or out of order, and servers that crash around them.

use super::stage::{Kind, Mail, Stage};
use super::storm::{Trouble, storm};
use super::{after, random, reliable, sloppy, tests, with_snapshots};
use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name};
use crate::ledger::command;
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::{Duration, Instant};

tests! { "2D+":
    sloppy_service = "SloppyService", sloppy(reliable(3));
    doubled_snapshots = "DoubledSnapshots", sloppy(reliable(5));
    overtaking_snapshots = "OvertakingSnapshots", sloppy(reliable(3));
    snapshots_and_crashes = "SnapshotsAndCrashes", sloppy(reliable(3));
    snapshots_and_everything = "SnapshotsAndEverything", sloppy(reliable(5));
    snapshot_from_the_past = "SnapshotFromThePast", with_snapshots(reliable(3));
    entries_before_a_snapshot = "EntriesBeforeASnapshot", reliable(3);
    long_install = "LongInstall", with_snapshots(reliable(3));
}

/// A slow service that hands its snapshots over late, twice, and after newer ones.
fn sloppy_service(cluster: &Cluster) {
    storm(cluster, &[Trouble::Partitions], true);
}

/// InstallSnapshots and AppendEntries that come twice.
fn doubled_snapshots(cluster: &Cluster) {
    storm(cluster, &[Trouble::Duplicates, Trouble::Partitions, Trouble::SlowLinks], true);
}

/// InstallSnapshots and AppendEntries that overtake one another.
fn overtaking_snapshots(cluster: &Cluster) {
    let troubles = [Trouble::Reordering, Trouble::SlowLinks, Trouble::LateReplies];
    storm(cluster, &[&troubles[..], &[Trouble::Partitions]].concat(), true);
}

/// Servers crash anywhere, also just before and just after a snapshot is saved.
fn snapshots_and_crashes(cluster: &Cluster) {
    let troubles = [Trouble::Crashes, Trouble::CrashesAtSaves, Trouble::Partitions];
    storm(cluster, &troubles, true);
}

/// All kinds of trouble at once.
fn snapshots_and_everything(cluster: &Cluster) {
    use Trouble::*;
    let links = [Duplicates, Reordering, Loss, OneWayCuts, SlowLinks, Partitions];
    storm(cluster, &[&links[..], &[Crashes, CrashesAtSaves, Blackouts]].concat(), true);
}

/// Gives so many commands to whoever leads, one after the other, agreed on by so many servers.
fn commands(cluster: &Cluster, count: usize, servers: usize) {
    (0..count).for_each(|_| _ = cluster.one(random(cluster), servers, true));
}

/// A server that gets a snapshot, goes on, and gets the same one again seconds later: it must not go back.
fn snapshot_from_the_past(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    commands(cluster, 3, 3);
    let behind = after(cluster, cluster.check_one_leader(), 1);
    cluster.disconnect(behind);
    commands(cluster, 25, 2);
    stage.caption("the server that missed them gets a snapshot, and the same one again later");
    stage.direct(|mail| match mail.kind {
        Kind::Snapshot => Fate::Copy(Duration::from_millis(1500)),
        _ => Fate::Deliver,
    });
    cluster.connect(behind);
    commands(cluster, 15, 3);
    cluster.sleep(2 * ELECTION_TIMEOUT);
    stage.direct(|_| Fate::Deliver);
    commands(cluster, 5, 3);
}

/// A follower makes a snapshot and its leader doesn't know: it sends entries from before the snapshot once more. What
/// the snapshot covers is committed, so they match (§5.4, §7).
fn entries_before_a_snapshot(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    commands(cluster, 5, 3);
    let leader = cluster.check_one_leader();
    let [follower, other] = [1, 2].map(|steps| after(cluster, leader, steps));
    stage
        .caption("a follower's acknowledgements are lost, but it has the entries and applies them");
    stage.direct(
        move |mail| {
            if mail.to == follower && !mail.is_call() { Fate::Lose } else { Fate::Deliver }
        },
    );
    let mut last = 0;
    for _ in 0..3 {
        match cluster.start(leader, &command(random(cluster))) {
            Ok(started) => last = started.index,
            Err(_) => return stage.all_pass(), // the leader changed
        }
    }
    let applied = || cluster.ledger().lock().who_has(last).contains(&follower);
    if !stage.until(2 * ELECTION_TIMEOUT, applied) {
        return stage.all_pass();
    }
    stage.caption("it makes a snapshot of them, and the other follower goes away");
    cluster.make_snapshot(follower, last);
    stage.all_pass();
    cluster.disconnect(other);
    cluster.one(random(cluster), 2, true);
    cluster.connect(other);
    cluster.one(random(cluster), 3, true);
}

/// Who has just heard its leader doesn't stand for election: nobody's timeout is shorter than a heartbeat, of which the
/// lab allows ten a second.
const JUST: Duration = Duration::from_millis(100);

/// A snapshot is on its way again and again. Whoever hears the leader, if only by InstallSnapshot, doesn't stand for
/// election (§5.2, §7).
fn long_install(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    commands(cluster, 3, 3);
    let leader = cluster.check_one_leader();
    let behind = after(cluster, leader, 1);
    cluster.disconnect(behind);
    commands(cluster, 25, 2);
    stage.caption("a server that is far behind gets the snapshot; its replies to that are lost");
    let installs = move |mail: &Mail| mail.to == behind && mail.kind == Kind::Snapshot;
    stage.direct(
        move |mail| {
            if installs(mail) && !mail.is_call() { Fate::Lose } else { Fate::Deliver }
        },
    );
    cluster.connect(behind);
    if !stage.until(3 * ELECTION_TIMEOUT, || !stage.mail(installs).is_empty()) {
        return stage.all_pass(); // no InstallSnapshot that could be read
    }
    cluster.sleep(5 * ELECTION_TIMEOUT);
    let heard = |mail: &Mail| installs(mail) && mail.reply.term == Some(mail.term);
    let heard: Vec<_> = stage.mail(heard).iter().map(|mail| mail.at).collect();
    let stands = |mail: &Mail| mail.from == behind && mail.kind == Kind::Vote && mail.is_call();
    for mail in stage.mail(stands) {
        let just =
            |at: &&Instant| **at <= mail.at && mail.at.saturating_duration_since(**at) < JUST;
        if let Some(at) = heard.iter().find(just) {
            run::fail(format!(
                "{} stands for election in term {}, {:?} after its leader sent it a snapshot. InstallSnapshot comes from \
                 the leader as AppendEntries does, and resets the election timer (§5.2, §7)",
                name(behind),
                mail.term,
                mail.at.saturating_duration_since(*at)
            ));
        }
    }
    stage.all_pass();
    commands(cluster, 3, 3);
}
