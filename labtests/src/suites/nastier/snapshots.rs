//! 2D+: snapshots (§7) that are late, come twice or out of order, and servers that crash around them.

use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::Cluster;
use crate::ledger::command;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{reliable, sloppy, with_snapshots};
use crate::suites::worlds::stage::{Kind, Mail, Stage, end_of};
use crate::suites::worlds::steps::{after, agree, ms, random};
use crate::suites::worlds::storm::{Trouble, storm};
use labrpc::network::Fate;
use labrpc::time::{Duration, Instant};

tests! { "2D+", Raft:
    sloppy_service = "SloppyService", sloppy(reliable(3));
    doubled_snapshots = "DoubledSnapshots", sloppy(reliable(5));
    overtaking_snapshots = "OvertakingSnapshots", sloppy(reliable(3));
    snapshots_and_crashes = "SnapshotsAndCrashes", sloppy(reliable(3));
    snapshots_and_everything = "SnapshotsAndEverything", sloppy(reliable(5));
    snapshots_and_slow_threads = "SnapshotsAndSlowThreads", sloppy(reliable(3));
    snapshot_from_the_past = "SnapshotFromThePast", with_snapshots(reliable(3));
    entries_before_a_snapshot = "EntriesBeforeASnapshot", reliable(3);
    long_install = "LongInstall", with_snapshots(reliable(3));
    installed_in_reverse = "InstalledInReverse", with_snapshots(reliable(3));
    old_install_refused = "OldInstallRefused", reliable(5);
    tail_behind_a_snapshot = "TailBehindASnapshot", with_snapshots(reliable(3));
    service_that_waits = "ServiceThatWaits", with_snapshots(reliable(3));
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

/// Threads that stop for a while wherever they are, also between a snapshot's arrival and its delivery.
fn snapshots_and_slow_threads(cluster: &Cluster) {
    let troubles = [Trouble::SlowThreads, Trouble::Partitions, Trouble::Crashes];
    storm(cluster, &troubles, true);
}

/// A server that gets a snapshot, goes on, and gets the same one again seconds later: it must not go back.
fn snapshot_from_the_past(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    agree(cluster, 3, 3);
    let behind = after(cluster, cluster.check_one_leader(), 1);
    cluster.disconnect(behind);
    agree(cluster, 25, 2);
    stage.caption("the server that missed them gets a snapshot, and the same one again later");
    stage.direct(|mail| match mail.kind {
        Kind::Snapshot => Fate::Copy(Duration::from_millis(1500)),
        _ => Fate::Deliver,
    });
    cluster.connect(behind);
    agree(cluster, 15, 3);
    cluster.sleep(2 * ELECTION_TIMEOUT);
    stage.direct(|_| Fate::Deliver);
    if !stage.mail(|mail| mail.kind == Kind::Snapshot && mail.is_call()).is_empty() {
        cluster.reached_check(); // that it goes back is seen as it applies
    }
    agree(cluster, 5, 3);
}

/// A follower makes a snapshot and its leader doesn't know: it sends entries from before the snapshot once more. What
/// the snapshot covers is committed, so they match (§5.4, §7).
fn entries_before_a_snapshot(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    agree(cluster, 5, 3);
    let leader = cluster.check_one_leader();
    let [follower, other] = [1, 2].map(|steps| after(cluster, leader, steps));
    stage
        .caption("a follower's acknowledgements are lost, but it has the entries and applies them");
    stage.direct(
        move |mail| {
            if mail.to == follower && !mail.is_call() { Fate::Lose } else { Fate::Deliver }
        },
    );
    let started = (0..3).map(|_| cluster.start(leader, &command(random(cluster))));
    let last = started.filter_map(Result::ok).map(|started| started.index).max();
    let applied = |last| move || cluster.ledger().lock().who_has(last).contains(&follower);
    if let Some(last) = last.filter(|last| stage.until(2 * ELECTION_TIMEOUT, applied(*last))) {
        stage.caption("it makes a snapshot of them, and the other follower goes away");
        cluster.make_snapshot(follower, last);
        cluster.reached_check();
    }
    stage.all_pass();
    cluster.disconnect(other);
    cluster.one(random(cluster), 2, true);
    cluster.connect(other);
    cluster.one(random(cluster), 3, true);
}

/// A snapshot is on its way again and again. Whoever hears the leader, if only by InstallSnapshot, doesn't stand for
/// election (§5.2, §7).
fn long_install(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    agree(cluster, 3, 3);
    let leader = cluster.check_one_leader();
    let behind = after(cluster, leader, 1);
    cluster.disconnect(behind);
    agree(cluster, 25, 2);
    stage.caption("a server that is far behind gets the snapshot; its replies to that are lost");
    let installs = move |mail: &Mail| mail.to == behind && mail.kind == Kind::Snapshot;
    stage.direct(
        move |mail| {
            if installs(mail) && !mail.is_call() { Fate::Lose } else { Fate::Deliver }
        },
    );
    cluster.connect(behind);
    if stage.until(3 * ELECTION_TIMEOUT, || !stage.mail(installs).is_empty()) {
        cluster.sleep(5 * ELECTION_TIMEOUT);
        cluster.reached_check();
        stage.waits_for_its_leader(behind, |mail| installs(mail) && !mail.is_call());
    }
    stage.all_pass();
    agree(cluster, 3, 3);
}

/// S2 gets a snapshot twice; the second answer comes when it has long got more.
fn installed_in_reverse(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    agree(cluster, 3, 3);
    cluster.disconnect(s2);
    agree(cluster, 25, 2);
    stage.caption("S2 gets a snapshot, and again; both answers are held back");
    let installed = |mail: &Mail| mail.reply.term.is_some() && mail.reply.term == mail.term;
    let answer = move |mail: &Mail| mail.to == s2 && mail.kind == Kind::Snapshot && installed(mail);
    stage.direct(move |mail| match () {
        () if answer(mail) => Fate::Hold,
        () if mail.from == s0 => Fate::Deliver,
        () => Fate::Lose,
    });
    cluster.connect(s2);
    let twice = stage.until(5 * ELECTION_TIMEOUT, || stage.mail(answer).len() >= 2);
    stage.caption("the first answer arrives, and S2 gets all the rest");
    stage.direct(move |mail| if mail.from == s0 { Fate::Deliver } else { Fate::Lose });
    let first = stage.mail(answer).first().map(|mail| mail.call);
    stage.release(|mail| Some(mail.call) == first);
    agree(cluster, 5, 3);
    if stage.has_all_of(s2, s0) && twice {
        cluster.sleep(ELECTION_TIMEOUT / 2);
        stage.caption("the second answer arrives");
        let from = Instant::now();
        stage.release(|_| true);
        cluster.reached_check();
        stage.nothing_again(s0, from);
    }
    stage.all_pass();
    agree(cluster, 1, 3);
}

/// S0 is told, long after, what S4 said to a snapshot in an old term: that it refused it. S0 leads again by now, in a
/// later term, and S4 has still to get it.
fn old_install_refused(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2, s3, s4] = [0, 1, 2, 3, 4];
    stage.elect(s0, &[s1, s2, s3, s4]);
    agree(cluster, 3, 5);
    stage.caption(
        "S4 misses much, and stands for election where nobody hears it; S0 makes a snapshot",
    );
    cluster.disconnect(s4);
    let last = agree(cluster, 12, 4);
    cluster.make_snapshot(s0, last);
    cluster.sleep(ELECTION_TIMEOUT);
    stage.caption("it refuses S0's snapshot, for its term is newer; that answer is on the way for long, and S4 crashes");
    let to_s4 = move |mail: &Mail| mail.from == s0 && mail.to == s4;
    stage.direct(move |mail| match () {
        () if mail.to == s4 && mail.is_call() && to_s4(mail) => Fate::Deliver,
        () if to_s4(mail) => Fate::Hold,
        () if mail.from == s0 => Fate::Deliver,
        () => Fate::Lose,
    });
    cluster.connect(s4);
    let refused = stage.until(ELECTION_TIMEOUT, || !cluster.net().held().is_empty());
    cluster.crash(s4);
    let answers = stage.mail(|mail| to_s4(mail) && !mail.is_call());
    let newest = answers.iter().filter_map(|mail| mail.reply.term).max().unwrap_or(0);
    stage.caption("S0 loses and wins elections until its term is as new");
    let mut term = 0;
    while term < newest {
        stage.elect_unfollowed(s1, &[s2, s3], &[s2, s3]);
        term = stage.elect(s0, &[s1, s2, s3]);
    }
    stage.caption("the old answer arrives; then S4 comes back");
    stage.release(|_| true);
    cluster.sleep(ELECTION_TIMEOUT / 10);
    let installs = |mail: &Mail| to_s4(mail) && mail.kind == Kind::Snapshot;
    if refused && newest > 0 && !stage.mail(installs).is_empty() {
        cluster.reached_check();
    }
    stage.all_pass();
    cluster.start_server(s4);
    cluster.connect(s4);
    agree(cluster, 2, 5);
}

/// S2 acknowledges entries that it doesn't know to be committed, and then gets a snapshot of the first of them. "If existing
/// log entry has same index and term as snapshot's last included entry, retain log entries following it" (Figure 13).
fn tail_behind_a_snapshot(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    agree(cluster, 3, 3);
    stage.caption(
        "S0 gets ten commands; S1's acknowledgements are on their way, and all that S0 sends to S2",
    );
    stage.direct(move |mail| match () {
        () if mail.from != s0 => Fate::Lose,
        () if mail.to == s2 && mail.is_call() => Fate::Hold,
        () if mail.to == s1 && !mail.is_call() => Fate::Hold,
        () => Fate::Deliver,
    });
    let taken = (0..10).filter(|_| cluster.start(s0, &command(random(cluster))).is_ok()).count();
    let later = Instant::now() + ms(10); // what was under way is sent by then, and what comes next has all
    let to_s2 = |mail: &Mail| {
        let entries = mail.from == s0 && mail.to == s2 && mail.kind == Kind::Entries;
        entries && mail.is_call() && mail.at >= later
    };
    stage.until(ELECTION_TIMEOUT, || !stage.mail(to_s2).is_empty());
    let sent = stage.mail(|mail| mail.from == s0 && mail.kind == Kind::Entries && mail.is_call());
    let all = end_of(&sent);
    let uncommitted = |mail: &Mail| mail.to == s2 && mail.kind == Kind::Entries && mail.last >= all;
    let entries = stage.mail(|mail| uncommitted(mail) && mail.carries > 0);
    stage.caption("S1's acknowledgements arrive: S0 commits, and makes a snapshot");
    stage.release(|mail| mail.to == s1);
    stage.direct(move |mail| match () {
        () if mail.from != s0 => Fate::Lose,
        () if mail.to == s2 && mail.is_call() => Fate::Hold,
        () => Fate::Deliver,
    });
    let snapshot = |mail: &Mail| mail.to == s2 && mail.kind == Kind::Snapshot;
    let compacted = stage.until(ELECTION_TIMEOUT, || !stage.mail(snapshot).is_empty());
    stage.caption("S2 gets the entries, acknowledges them, and then gets the snapshot");
    let entries = entries.first().map(|mail| mail.call);
    stage.release(|mail| Some(mail.call) == entries);
    cluster.sleep(ELECTION_TIMEOUT / 10);
    let accepted = |mail: &Mail| Some(mail.call) == entries && mail.reply.yes == Some(true);
    let has_all = all.is_some() && !stage.mail(accepted).is_empty();
    stage.release(snapshot);
    cluster.sleep(ELECTION_TIMEOUT / 10);
    cluster.net().discard(|_| true);
    if taken == 10 && has_all && compacted {
        cluster.reached_check();
        stage.caption("S0 is gone, and S2 can be elected, for it has everything");
        stage.elect(s2, &[s1]);
    }
    stage.all_pass();
    agree(cluster, 2, 3);
}

/// A service that takes nothing for a while, and meanwhile its server gets commands, then a snapshot, then more
/// commands: they must come in this order.
fn service_that_waits(cluster: &Cluster) {
    agree(cluster, 3, 3);
    for _ in 0..3 {
        let behind = after(cluster, cluster.check_one_leader(), 1);
        cluster.service_waits(behind, true);
        agree(cluster, 3, 2);
        cluster.sleep(ELECTION_TIMEOUT / 5); // its server hears that these are committed
        cluster.disconnect(behind);
        agree(cluster, 25, 2);
        cluster.connect(behind);
        cluster.sleep(ELECTION_TIMEOUT);
        agree(cluster, 3, 2);
        cluster.sleep(ELECTION_TIMEOUT / 5);
        cluster.service_waits(behind, false);
        cluster.reached_check();
        agree(cluster, 2, 3);
    }
}
