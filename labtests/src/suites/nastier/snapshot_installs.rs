//! 2D+, about InstallSnapshot: a server that gets it must do the same as on AppendEntries, in whatever role it is (§5.1, §5.2).
//! And a leader that has only a snapshot must be idle when there is nothing to send. Tests of late replies to InstallSnapshot are in
//! `snapshots.rs` and `snapshot_scripts.rs`.

use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::rivals::Rivals;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::stage::{Kind, Mail, Stage, tries};
use crate::suites::worlds::steps::{after, agree, agree_on_long, give, ms, random, restart};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::{Duration, Instant};

tests! { "2D+", Raft:
    candidate_follows_leader_that_sends_a_snapshot = "CandidateHearsASnapshot", reliable(3);
    stale_leader_follows_leader_that_sends_a_snapshot = "OldLeaderHearsASnapshot", reliable(3);
    idle_leader_with_all_entries_in_a_snapshot = "IdleBehindASnapshot", reliable(3);
}

/// Lets one of two candidates of a term be elected. The other candidate hears only InstallSnapshot from the new leader, again
/// and again. It must become a follower, and must not begin another election (§5.2, §7).
fn candidate_follows_leader_that_sends_a_snapshot(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    agree(cluster, 1, 3);
    for _ in tries() {
        let Some(rivals) = Rivals::of(&stage) else { break };
        let Rivals { winner, loser, voter, term } = rivals;
        if !rivals.elect(&stage) || !has_but_a_snapshot(&stage, winner) {
            continue;
        }
        stage.caption("the other candidate hears only the snapshot; its answers are lost");
        let installs = move |mail: &Mail| {
            mail.from == winner && mail.to == loser && mail.kind == Kind::Snapshot
        };
        hears_only(&stage, winner, voter, installs, false);
        let from = Instant::now();
        let _ = cluster.start(winner, &command(random(cluster)));
        let answered = |mail: &Mail| installs(mail) && !mail.is_call() && mail.at > from;
        let in_term = |mail: &Mail| answered(mail) && mail.term == Some(term);
        if !stage.until(ms(150), || !stage.mail(in_term).is_empty()) {
            let unread = stage.mail(|mail| answered(mail) && mail.term.is_none());
            if unread.is_empty() { continue } else { break } // the loser began another candidacy before that
        }
        cluster.reached_check();
        cluster.sleep(3 * ELECTION_TIMEOUT);
        stage.waits_for_its_leader(loser, in_term);
        break;
    }
    cluster.net().discard(|_| true);
    stage.all_pass();
    agree(cluster, 1, 3);
}

/// Lets S2 elect S1 while S0 still leads an older term. The first message of the new term that S0 gets is InstallSnapshot. S0
/// must step down (§5.1).
fn stale_leader_follows_leader_that_sends_a_snapshot(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    agree(cluster, 2, 3);
    stage.settle();
    stage.caption("S2 elects S1; S0 still leads its old term, and doesn't hear of S1");
    let term = stage.elect(s1, &[s2]);
    stage.direct(
        move |mail| {
            if mail.from == s1 && mail.to == s2 { Fate::Deliver } else { Fate::Drop }
        },
    );
    if has_but_a_snapshot(&stage, s1) {
        stage.caption("S0 hears only S1's snapshot");
        let installs =
            move |mail: &Mail| mail.from == s1 && mail.to == s0 && mail.kind == Kind::Snapshot;
        hears_only(&stage, s1, s2, installs, true);
        let _ = cluster.start(s1, &command(random(cluster)));
        let answered = |mail: &Mail| installs(mail) && !mail.is_call() && mail.term >= Some(term);
        let old = || matches!(cluster.state(s0), Some((old, true)) if old < term);
        let heard = stage.until(3 * ELECTION_TIMEOUT, || !stage.mail(answered).is_empty());
        cluster.sleep(ms(50));
        if heard {
            cluster.reached_check();
        }
        if heard && old() {
            run::fail(format!(
                "{0} has got and answered a snapshot from {1}, the leader of term {term}, but {0} still leads. \"If RPC request \
                 or response contains term T > currentTerm: set currentTerm = T, convert to follower\" (§5.1). This rule holds \
                 for every RPC; {2}",
                name(s0),
                name(s1),
                cluster.who_thinks_what()
            ));
        }
    }
    stage.all_pass();
    agree(cluster, 1, 3);
}

/// Gives the leader three commands, which it commits with a follower, and lets it make a snapshot of them. A server that lacks
/// these commands then needs the snapshot. Returns whether this happened in time.
fn has_but_a_snapshot(stage: &Stage<'_>, leader: usize) -> bool {
    let cluster = stage.cluster;
    stage.caption("the leader commits three commands, and makes a snapshot of them");
    let Some(last) = give(cluster, leader, 3) else { return false };
    let applied = || cluster.ledger().lock().who_has(last.index).contains(&leader);
    if !stage.until(ms(150), applied) {
        return false;
    }
    cluster.make_snapshot(leader, last.index);
    true
}

/// From now on, `follower` hears the leader, and the messages that `installs` selects are delivered; the replies to those are
/// delivered only if `answers`. Every other message is lost.
fn hears_only(
    stage: &Stage<'_>,
    leader: usize,
    follower: usize,
    installs: impl Fn(&Mail) -> bool + Send + Sync + 'static,
    answers: bool,
) {
    stage.direct(move |mail| match () {
        () if mail.from == leader && mail.to == follower => Fate::Deliver,
        () if installs(mail) && (mail.is_call() || answers) => Fate::Deliver,
        () => Fate::Drop,
    });
}

/// The snapshot has at least this many commands of [`BYTES`] bytes, so it is much larger than the heartbeats.
const COMMANDS: usize = 60;
/// See [`COMMANDS`].
const BYTES: usize = 2000;

/// How long an idle leader is watched.
const IDLE: Duration = Duration::from_secs(3);

/// How many calls a second an idle leader may make to each follower, as in `late_votes_do_not_elect_again`.
const IDLE_CALLS: u64 = 30;

/// Lets the leader make a snapshot of its whole log, then the followers, then restarts all servers, so that a leader is elected
/// with only a snapshot. All servers have everything, so the leader must send only heartbeats, and no snapshot (§7).
fn idle_leader_with_all_entries_in_a_snapshot(cluster: &Cluster) {
    let last = agree_on_long(cluster, COMMANDS, BYTES, 3);
    let leader = cluster.check_one_leader();
    cluster.sleep(ELECTION_TIMEOUT);
    cluster.make_snapshot(leader, last);
    cluster.reached_check();
    idle(cluster, "the leader has made a snapshot of its whole log");
    [1, 2].iter().for_each(|&steps| cluster.make_snapshot(after(cluster, leader, steps), last));
    idle(cluster, "every server has made a snapshot of its whole log");
    (0..cluster.n()).for_each(|i| cluster.crash(i));
    (0..cluster.n()).for_each(|i| restart(cluster, i));
    cluster.check_one_leader();
    cluster.sleep(ELECTION_TIMEOUT);
    idle(cluster, "all servers have started again, each with a snapshot of its whole log");
    agree(cluster, 1, 3);
}

fn idle(cluster: &Cluster, state: &str) {
    let net = cluster.net();
    let (calls, bytes) = (net.total_count(), net.total_bytes());
    cluster.sleep(IDLE);
    let (calls, bytes) = (net.total_count() - calls, net.total_bytes() - bytes);
    let allowed = IDLE_CALLS * IDLE.as_secs() * (cluster.n() as u64 - 1);
    let snapshot = (COMMANDS * BYTES) as u64;
    if calls > allowed || bytes > snapshot / 2 {
        run::fail(format!(
            "the servers made {calls} calls with {bytes} bytes in {IDLE:?}, but there was nothing to send: {state}, and no \
             server lacks anything. At most {allowed} calls and {} bytes are allowed. A follower needs a snapshot only if the \
             leader \"has already discarded the next log entry that it needs to send\" (§7). A leader sends only heartbeats to a \
             follower that lacks nothing",
            snapshot / 2
        ));
    }
}
