//! 2B+: the log (§5.3, §5.4) in clusters of other sizes, with messages that come twice, late or in one direction only, and within
//! limits of time and of calls. There are more tests of the log [in scripts](crate::suites::nastier::log_scripts).

use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{after, ms, random};
use crate::suites::worlds::storm::{Fault, storm};
use labrpc::run;
use labrpc::time::{Duration, Instant};

tests! { "2B+", Raft:
    one_server_commits_alone = "Alone", reliable(1);
    two_servers_commit_together = "Pair", reliable(2);
    four_servers_commit_with_three = "FourAgree", reliable(4);
    duplicated_append_entries = "DoubledEntries", reliable(5);
    reordered_append_entries = "OvertakingEntries", reliable(3);
    delayed_append_entries_replies = "LateReplies", reliable(5);
    replication_over_one_way_links = "OneWayEntries", reliable(5);
    seven_servers_under_all_faults = "SevenInTrouble", reliable(7);
    conflict_takes_one_rpc_per_term = "ConflictInFewSteps", reliable(3);
    command_is_sent_once_per_follower = "CallsPerCommand", reliable(5);
    command_is_replicated_at_once = "Speed", reliable(3);
    busy_leader_resets_election_timers = "BusyLeader", reliable(5);
    replication_with_paused_threads = "SlowThreads", reliable(5);
}

/// Gives twenty commands to a single server. It is a majority, so it must commit them (§5.3).
fn one_server_commits_alone(cluster: &Cluster) {
    for _ in 0..20 {
        cluster.one(random(cluster), 1, false);
    }
    cluster.reached_check();
}

/// Runs a storm on two servers. One of two servers must not commit anything alone (§5.3).
fn two_servers_commit_together(cluster: &Cluster) {
    storm_of_size(cluster);
}

/// Cuts off two of four servers, then runs a storm. Two of four servers are no majority, so they must not commit anything (§5.3).
fn four_servers_commit_with_three(cluster: &Cluster) {
    cluster.draws().part("two are cut off", || {
        let index = cluster.one(random(cluster), 4, true);
        let leader = cluster.check_one_leader();
        [2, 3].iter().for_each(|&steps| cluster.disconnect(after(cluster, leader, steps)));
        if cluster.start(leader, &command(random(cluster))).is_ok() {
            cluster.sleep(Duration::from_secs(2));
            cluster.check_not_committed(index + 1, "but only two of four servers were connected");
        }
        [2, 3].iter().for_each(|&steps| cluster.connect(after(cluster, leader, steps)));
    });
    storm_of_size(cluster);
}

fn storm_of_size(cluster: &Cluster) {
    storm(cluster, &[Fault::Duplicates, Fault::Loss, Fault::Partitions], true);
}

/// Runs a storm in which AppendEntries come twice, the second time when much has happened since (§5.3).
fn duplicated_append_entries(cluster: &Cluster) {
    storm(cluster, &[Fault::Duplicates, Fault::Partitions], true);
}

/// Runs a storm in which AppendEntries overtake each other (§5.3).
fn reordered_append_entries(cluster: &Cluster) {
    storm(cluster, &[Fault::Reordering, Fault::SlowLinks, Fault::Partitions], true);
}

/// Runs a storm in which replies come when the leader no longer leads, or leads again in a later term (§5.3).
fn delayed_append_entries_replies(cluster: &Cluster) {
    let troubles = [Fault::LateReplies, Fault::Reordering, Fault::Partitions];
    storm(cluster, &troubles, true);
}

/// Runs a storm in which links work in one direction only (§5.3).
fn replication_over_one_way_links(cluster: &Cluster) {
    storm(cluster, &[Fault::AsymmetricPartitions, Fault::Reordering, Fault::Loss], true);
}

/// Runs a storm with several kinds of trouble on seven servers (§5.3).
fn seven_servers_under_all_faults(cluster: &Cluster) {
    let links = [Fault::Duplicates, Fault::Loss, Fault::SlowLinks];
    storm(cluster, &[&links[..], &[Fault::AsymmetricPartitions, Fault::Partitions]].concat(), true);
}

/// Runs a storm in which threads stop for a while at any place, while leaders change. What a thread decided before it took the
/// lock may no longer hold when it has the lock.
fn replication_with_paused_threads(cluster: &Cluster) {
    storm(cluster, &[Fault::SlowThreads, Fault::Partitions], true);
}

/// At how many places of its log a follower may refuse AppendEntries if its log differs from the leader's by [`CONFLICTS`]
/// entries of one term. Two places are usual. One place for each entry breaks no rule, but §5.3 describes a way to avoid it,
/// and says: "in practice, we doubt this optimization is necessary".
const REFUSALS: usize = 12;
/// See [`REFUSALS`].
const CONFLICTS: usize = 60;

/// Gives S0 and S2 sixty different entries of one term each, and lets S2 repair S0's log. There should be few refusals, as in
/// §5.3: "one AppendEntries RPC will be required for each term with conflicting entries, rather than one RPC per entry".
fn conflict_takes_one_rpc_per_term(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    cluster.one(random(cluster), 3, true);
    stage.caption("S0 gets many entries that no other server has");
    cluster.disconnect(s0);
    (0..CONFLICTS).for_each(|_| _ = cluster.start(s0, &command(random(cluster))));
    stage.caption("S1 is elected, and S2 gets as many entries from S1");
    stage.elect(s1, &[s2]);
    (0..CONFLICTS).for_each(|_| _ = cluster.start(s1, &command(random(cluster))));
    cluster.one(random(cluster), 2, true);
    stage.caption("S2 is elected, and assumes that S0's log is like its own; S0 comes back");
    stage.elect(s2, &[s1]);
    let from = Instant::now();
    stage.all_pass();
    cluster.connect(s0);
    let command = command(random(cluster));
    let started = cluster.start(s2, &command).ok();
    let everywhere = |index| move || cluster.n_committed(index).0 == cluster.n();
    if started.is_some_and(|started| !stage.until(REPAIRED_WITHIN, everywhere(started.index))) {
        stage.refused_in_vain(s0, from);
    }
    cluster.one(random(cluster), 3, true);
    let refuses = |mail: &Mail| {
        let answer = mail.from == s2 && mail.to == s0 && mail.at > from;
        answer && mail.kind == Kind::Entries && mail.reply.yes == Some(false)
    };
    // Refusals of AppendEntries that follow the same entry count as one step.
    let follows = |mail: &Mail| mail.last.map(|last| last.saturating_sub(mail.carries as u64));
    let mut steps: Vec<_> = stage.mail(refuses).iter().filter_map(follows).collect();
    steps.sort_unstable();
    steps.dedup();
    if !steps.is_empty() {
        cluster.reached_check();
    }
    if steps.len() > REFUSALS {
        cluster.advise(format!(
            "{} refused AppendEntries at {} places of its log before the log agreed with the leader's log. For {CONFLICTS} \
             conflicting entries of one term, there should be {REFUSALS} refusals or fewer. A refusal can say where the \
             conflicting term begins, so that the leader skips the whole term (§5.3)",
            name(s0),
            steps.len()
        ));
    }
}

/// How long the repair of a log may take: a round trip for each entry, and an election.
const REPAIRED_WITHIN: Duration = Duration::from_secs(5);

/// How long an agreement may take: a third of the time between two heartbeats, as in the Go lab's test of its service's speed.
const AGREED_WITHIN: Duration = ms(33);

/// Gives a hundred commands, one after the other, and measures the time. The leader must replicate a command at once, and not
/// with the next heartbeat (§5.3).
fn command_is_replicated_at_once(cluster: &Cluster) {
    cluster.one(random(cluster), 3, true);
    let leader = cluster.check_one_leader();
    const COMMANDS: u32 = 100;
    let began = Instant::now();
    for _ in 0..COMMANDS {
        if !agree_fast(cluster, leader) {
            return log::warn!("the leader changed although nothing failed: no speed was measured");
        }
    }
    let each = began.elapsed() / COMMANDS;
    cluster.reached_check();
    if each > AGREED_WITHIN {
        run::fail(format!(
            "commands were given one after the other, and an agreement took {each:?} on average. At most {AGREED_WITHIN:?} are \
             allowed. A leader must send a new command at once, not with the next heartbeat, and must commit as soon as a \
             majority has answered (§5.3)"
        ));
    }
}

/// Gives a command to the leader and waits until a server has applied it. Returns whether the leader accepted it.
fn agree_fast(cluster: &Cluster, leader: usize) -> bool {
    let Ok(started) = cluster.start(leader, &command(random(cluster))) else { return false };
    let waiting = Instant::now();
    while cluster.n_committed(started.index).0 == 0 && waiting.elapsed() < ms(2000) {
        cluster.sleep(ms(1));
    }
    true
}

/// How long the leader is kept busy.
const BUSY: Duration = Duration::from_secs(5);

/// Gives the leader one command after the other, so that it sends entries and perhaps no empty AppendEntries. AppendEntries
/// with entries must reset the election timeout, too, so no server may become a candidate (Figure 2, Followers). No server
/// fails, and no message is lost.
fn busy_leader_resets_election_timers(cluster: &Cluster) {
    cluster.one(random(cluster), 5, true);
    let leader = cluster.check_one_leader();
    let term = cluster.check_terms();
    let began = Instant::now();
    while began.elapsed() < BUSY {
        let _ = cluster.start(leader, &command(random(cluster)));
        cluster.sleep(ms(20));
    }
    let terms = (0..cluster.n()).filter_map(|i| Some((cluster.state(i)?.0, i)));
    cluster.reached_check();
    if let Some((newer, i)) = terms.max().filter(|(newer, _)| *newer != term) {
        run::fail(format!(
            "{0} is in term {newer}, but it should still be in term {term}. {1} led that term, and for {BUSY:?} everything that \
             {1} sent has arrived. Every AppendEntries from the current leader resets the election timeout, also one with \
             entries (Figure 2, Followers)",
            name(i),
            name(leader)
        ));
    }
    cluster.one(random(cluster), 5, true);
}

/// How many calls a command may cost for each follower: one call carries the command, one may carry the new commit index, and a
/// third is allowed for implementations that send one of these twice.
const CALLS: u64 = 3;

/// Gives thirty commands one by one and counts the calls. Each command should be sent to every follower once (§5.3).
fn command_is_sent_once_per_follower(cluster: &Cluster) {
    cluster.one(random(cluster), 5, true);
    let leader = cluster.check_one_leader();
    let (before, began) = (cluster.net().total_count(), Instant::now());
    const COMMANDS: u64 = 30;
    for _ in 0..COMMANDS {
        if !agree_fast(cluster, leader) {
            return log::warn!("the leader changed although nothing failed: no calls were counted");
        }
        cluster.sleep(ms(20));
    }
    let calls = cluster.net().total_count() - before;
    cluster.reached_check();
    let followers = cluster.n() as u64 - 1;
    let heartbeats = (began.elapsed().as_millis() as u64 / 100 + 1) * followers;
    let allowed = COMMANDS * CALLS * followers + heartbeats;
    if calls > allowed {
        run::fail(format!(
            "the servers made {calls} calls for {COMMANDS} commands that came one by one. At most {allowed} are allowed: {CALLS} \
             calls for each command and follower, and the heartbeats. A leader sends a command to each follower once, and the \
             commit index with the next message (§5.3)"
        ));
    }
}
