//! 2D+: snapshots (§7) that come late, twice or out of order, and servers that crash around them.

use crate::cluster::Cluster;
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{reliable, sloppy, with_snapshots};
use crate::suites::worlds::stage::{Kind, Mail, Stage, end_of};
use crate::suites::worlds::steps::{after, agree, ms, random};
use crate::suites::worlds::storm::{Fault, storm};
use labrpc::network::Fate;
use labrpc::time::{Duration, Instant};

tests! { "2D+", Raft:
    service_snapshots_late_and_twice = "SloppyService", sloppy(reliable(3));
    duplicated_install_snapshots = "DoubledSnapshots", sloppy(reliable(5));
    reordered_install_snapshots = "OvertakingSnapshots", sloppy(reliable(3));
    crashes_around_snapshots = "SnapshotsAndCrashes", sloppy(reliable(3));
    snapshots_under_all_faults = "SnapshotsAndEverything", sloppy(reliable(5));
    snapshots_with_paused_threads = "SnapshotsAndSlowThreads", sloppy(reliable(3));
    old_snapshot_does_not_roll_back = "SnapshotFromThePast", with_snapshots(reliable(3));
    entries_covered_by_a_snapshot_match = "EntriesBeforeASnapshot", reliable(3);
    install_snapshot_resets_election_timer = "LongInstall", with_snapshots(reliable(3));
    late_install_response_does_not_lower_match_index = "InstalledInReverse", with_snapshots(reliable(3));
    install_response_of_earlier_leadership_does_not_count = "OldInstallRefused", reliable(5);
    entries_after_a_snapshot_are_retained = "TailBehindASnapshot", with_snapshots(reliable(3));
    commands_and_snapshots_reach_a_slow_service_in_order = "ServiceThatWaits", with_snapshots(reliable(3));
}

/// Runs a storm on a service that hands its snapshots over late, twice, and after newer ones (§7).
fn service_snapshots_late_and_twice(cluster: &Cluster) {
    storm(cluster, &[Fault::Partitions], true);
}

/// Runs a storm in which InstallSnapshot and AppendEntries come twice (§7).
fn duplicated_install_snapshots(cluster: &Cluster) {
    storm(cluster, &[Fault::Duplicates, Fault::Partitions, Fault::SlowLinks], true);
}

/// Runs a storm in which InstallSnapshot and AppendEntries overtake each other (§7).
fn reordered_install_snapshots(cluster: &Cluster) {
    let troubles = [Fault::Reordering, Fault::SlowLinks, Fault::LateReplies];
    storm(cluster, &[&troubles[..], &[Fault::Partitions]].concat(), true);
}

/// Runs a storm in which servers crash anywhere, also just before and just after they save a snapshot (§7).
fn crashes_around_snapshots(cluster: &Cluster) {
    let troubles = [Fault::Crashes, Fault::CrashesAtSaves, Fault::Partitions];
    storm(cluster, &troubles, true);
}

/// Runs a storm with all kinds of trouble at once, except late replies and slow threads.
fn snapshots_under_all_faults(cluster: &Cluster) {
    use Fault::*;
    let links = [Duplicates, Reordering, Loss, AsymmetricPartitions, SlowLinks, Partitions];
    storm(cluster, &[&links[..], &[Crashes, CrashesAtSaves, Blackouts]].concat(), true);
}

/// Runs a storm in which threads stop for a while at any place, also between the arrival of a snapshot and its delivery to the
/// service.
fn snapshots_with_paused_threads(cluster: &Cluster) {
    let troubles = [Fault::SlowThreads, Fault::Partitions, Fault::Crashes];
    storm(cluster, &troubles, true);
}

/// Delivers the same snapshot to a server again 1.5 s later, when the server has applied more. The server must not go back (§7).
fn old_snapshot_does_not_roll_back(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    agree(cluster, 3, 3);
    let behind = after(cluster, cluster.check_one_leader(), 1);
    cluster.disconnect(behind);
    agree(cluster, 25, 2);
    stage.caption("the server that was cut off gets a snapshot, and the same snapshot again later");
    stage.direct(|mail| match mail.kind {
        Kind::Snapshot => Fate::Duplicate(Duration::from_millis(1500)),
        _ => Fate::Deliver,
    });
    cluster.connect(behind);
    agree(cluster, 15, 3);
    cluster.sleep(2 * ELECTION_TIMEOUT);
    stage.direct(|_| Fate::Deliver);
    if !stage.mail(|mail| mail.kind == Kind::Snapshot && mail.is_call()).is_empty() {
        cluster.reached_check(); // a server that goes back is caught when it applies
    }
    agree(cluster, 5, 3);
}

/// Lets a follower make a snapshot whose entries it has acknowledged without the leader's knowledge, so that the leader sends
/// these entries again. The follower must accept them: what the snapshot covers is committed, so they match (§5.4, §7).
fn entries_covered_by_a_snapshot_match(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    agree(cluster, 5, 3);
    let leader = cluster.check_one_leader();
    let [follower, other] = [1, 2].map(|steps| after(cluster, leader, steps));
    stage
        .caption("a follower's acknowledgements are lost, but it has the entries and applies them");
    stage.direct(
        move |mail| {
            if mail.to == follower && !mail.is_call() { Fate::Drop } else { Fate::Deliver }
        },
    );
    let started = (0..3).map(|_| cluster.start(leader, &command(random(cluster))));
    let last = started.filter_map(Result::ok).map(|started| started.index).max();
    let applied = |last| move || cluster.ledger().lock().who_has(last).contains(&follower);
    if let Some(last) = last.filter(|last| stage.until(2 * ELECTION_TIMEOUT, applied(*last))) {
        stage.caption("this follower makes a snapshot of them, and the other follower is cut off");
        cluster.make_snapshot(follower, last);
        cluster.reached_check();
    }
    stage.all_pass();
    cluster.disconnect(other);
    cluster.one(random(cluster), 2, true);
    cluster.connect(other);
    cluster.one(random(cluster), 3, true);
}

/// Sends a server a snapshot again and again, because its replies are lost. A server that hears its leader must not become a
/// candidate, even if it hears only InstallSnapshot (§5.2, §7).
fn install_snapshot_resets_election_timer(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    agree(cluster, 3, 3);
    let leader = cluster.check_one_leader();
    let behind = after(cluster, leader, 1);
    cluster.disconnect(behind);
    agree(cluster, 25, 2);
    stage.caption(
        "a server that is far behind gets the snapshot; its replies to the snapshot are lost",
    );
    let installs = move |mail: &Mail| mail.to == behind && mail.kind == Kind::Snapshot;
    stage.direct(
        move |mail| {
            if installs(mail) && !mail.is_call() { Fate::Drop } else { Fate::Deliver }
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

/// Sends S2 a snapshot twice, and delays the second answer until S2 has got later entries. Then the leader should not send
/// these entries again (Figure 2: matchIndex "increases monotonically").
fn late_install_response_does_not_lower_match_index(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    agree(cluster, 3, 3);
    cluster.disconnect(s2);
    agree(cluster, 25, 2);
    stage.caption("S2 gets a snapshot twice; both answers are held back");
    let installed = |mail: &Mail| mail.reply.term.is_some() && mail.reply.term == mail.term;
    let answer = move |mail: &Mail| mail.to == s2 && mail.kind == Kind::Snapshot && installed(mail);
    stage.direct(move |mail| match () {
        () if answer(mail) => Fate::Hold,
        () if mail.from == s0 => Fate::Deliver,
        () => Fate::Drop,
    });
    cluster.connect(s2);
    let twice = stage.until(5 * ELECTION_TIMEOUT, || stage.mail(answer).len() >= 2);
    stage.caption("the first answer arrives, and S2 gets all later entries");
    stage.direct(move |mail| if mail.from == s0 { Fate::Deliver } else { Fate::Drop });
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

/// Delays S4's refusal of a snapshot, which S4 gave because of its newer term. When the refusal arrives, S0 leads again in a
/// later term. S0 must not conclude that S4 has the snapshot, and must send it again (§5.1, §7).
fn install_response_of_earlier_leadership_does_not_count(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2, s3, s4] = [0, 1, 2, 3, 4];
    stage.elect(s0, &[s1, s2, s3, s4]);
    agree(cluster, 3, 5);
    stage.caption(
        "S4 misses twelve commands, and becomes a candidate while cut off; S0 makes a snapshot",
    );
    cluster.disconnect(s4);
    let last = agree(cluster, 12, 4);
    cluster.make_snapshot(s0, last);
    cluster.sleep(ELECTION_TIMEOUT);
    stage.caption("S4 refuses S0's snapshot, because S4's term is newer; this answer is held back, and S4 crashes");
    let to_s4 = move |mail: &Mail| mail.from == s0 && mail.to == s4;
    stage.direct(move |mail| match () {
        () if mail.to == s4 && mail.is_call() && to_s4(mail) => Fate::Deliver,
        () if to_s4(mail) => Fate::Hold,
        () if mail.from == s0 => Fate::Deliver,
        () => Fate::Drop,
    });
    cluster.connect(s4);
    let refused = stage.until(ELECTION_TIMEOUT, || !cluster.net().held().is_empty());
    cluster.crash(s4);
    let answers = stage.mail(|mail| to_s4(mail) && !mail.is_call());
    let newest = answers.iter().filter_map(|mail| mail.reply.term).max().unwrap_or(0);
    stage.caption("S0 loses and wins elections until its term is as new as S4's");
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

/// Lets S2 acknowledge entries that it doesn't know to be committed, and then sends it a snapshot of the first of them. S2 must
/// keep the other entries: "If existing log entry has same index and term as snapshot's last included entry, retain log entries
/// following it" (Figure 13).
fn entries_after_a_snapshot_are_retained(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    agree(cluster, 3, 3);
    stage.caption(
        "S0 gets ten commands; S1's acknowledgements and everything that S0 sends to S2 are held",
    );
    stage.direct(move |mail| match () {
        () if mail.from != s0 => Fate::Drop,
        () if mail.to == s2 && mail.is_call() => Fate::Hold,
        () if mail.to == s1 && !mail.is_call() => Fate::Hold,
        () => Fate::Deliver,
    });
    let taken = (0..10).filter(|_| cluster.start(s0, &command(random(cluster))).is_ok()).count();
    let later = Instant::now() + ms(10); // calls that are sent after this carry all ten commands
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
        () if mail.from != s0 => Fate::Drop,
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
        stage.caption("S0 is not heard any more; S2 can be elected, because it has everything");
        stage.elect(s2, &[s1]);
    }
    stage.all_pass();
    agree(cluster, 2, 3);
}

/// Makes a service wait for a while. Meanwhile its server gets commands, then a snapshot, then more commands. The server must
/// hand them to the service in this order (§5.3, §7).
fn commands_and_snapshots_reach_a_slow_service_in_order(cluster: &Cluster) {
    agree(cluster, 3, 3);
    for _ in 0..3 {
        let behind = after(cluster, cluster.check_one_leader(), 1);
        cluster.service_waits(behind, true);
        agree(cluster, 3, 2);
        cluster.sleep(ELECTION_TIMEOUT / 5); // the server hears that these are committed
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
