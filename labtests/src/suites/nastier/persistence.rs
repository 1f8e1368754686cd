//! 2C+: persistence (Figure 2) when servers crash anywhere, also just before and just after they save something; and
//! Figure 8 exactly as the paper draws it.

use crate::cluster::Cluster;
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{agree, random, restart};
use crate::suites::worlds::storm::{Fault, every_but, storm};
use labrpc::network::Fate;
use labrpc::time::{Duration, Instant};

tests! { "2C+", Raft:
    figure_8_as_drawn = "Figure8AsDrawn", reliable(5);
    figure_8_with_entry_of_own_term = "Figure8OwnTerm", reliable(5);
    vote_survives_crash = "VotersCrash", reliable(3);
    crashes_between_any_two_steps = "CrashesAnywhere", reliable(3);
    crashes_around_saves = "CrashesAtSaves", reliable(5);
    all_servers_crash_together = "Blackouts", reliable(5);
    messages_from_before_a_crash = "CrashesAndOldMessages", reliable(5);
    persistence_under_all_faults = "Everything", reliable(5);
    refused_entries_reset_election_timer = "RefusedEntriesBuyTime", reliable(3);
}

/// Plays Figure 8 (§5.4.2): "a time sequence showing why a leader cannot determine commitment using log entries from older
/// terms". S0 must not commit an entry of an older term by counting replicas. The figure's S1 to S5 are S0 to S4 here.
fn figure_8_as_drawn(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    if let Some(two) = until_c(&stage) {
        // In (c) the entry is on a majority, but not committed. A leader that counts it as committed is caught here.
        cluster.sleep(Duration::from_millis(300));
        if cluster.n_committed(two).0 == 0 {
            stage.caption(
                "(d) S0 crashes, S4 could be elected leader, and overwrite the entry with its own",
            );
            cluster.crash(S[0]);
            restart(cluster, S[4]);
            stage.elect(S[4], &[S[1], S[2], S[3]]);
            cluster.reached_check();
        } else {
            cluster.does_not_fit(
                "its leaders begin their terms with an entry of their own (§8). This entry commits what the figure's leader must \
                 not commit",
            );
        }
    }
    everybody_again(&stage);
}

/// Plays Figure 8 (e): "if S1 replicates an entry from its current term on a majority of the servers before crashing, then
/// this entry is committed (S5 cannot win an election)". S4, the figure's S5, must not be elected (§5.4.1).
fn figure_8_with_entry_of_own_term(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    if until_c(&stage).is_some() {
        stage.caption(
            "(e) S0 replicates an entry of its current term on a majority before it crashes",
        );
        let taken = cluster.start(S[0], &command(random(cluster))).is_ok();
        let replicated = [S[1], S[2]].iter().all(|&i| stage.has_all_of(i, S[0]));
        cluster.sleep(Duration::from_millis(300));
        cluster.crash(S[0]);
        restart(cluster, S[4]);
        stage.caption("S4 asks for votes for four seconds");
        let from = Instant::now();
        stage.direct(|mail| if mail.from == S[4] { Fate::Deliver } else { Fate::Drop });
        cluster.sleep(Duration::from_secs(4)); // a server that votes for it is caught
        let asks = |mail: &Mail| mail.from == S[4] && mail.kind == Kind::Vote && mail.at > from;
        if taken && replicated && !stage.mail(asks).is_empty() {
            cluster.reached_check();
        }
    }
    everybody_again(&stage);
}

const S: [usize; 5] = [0, 1, 2, 3, 4];

/// Plays Figure 8 up to (c). Returns the index of the entry, or `None` if a server did not accept a command or did not get the
/// entry.
fn until_c(stage: &Stage<'_>) -> Option<u64> {
    let cluster = stage.cluster;
    stage.elect(S[0], &[S[1], S[2], S[3], S[4]]);
    cluster.one(random(cluster), 5, true);
    stage.caption("(a) S0 is leader and partially replicates the log entry at index 2");
    stage.elect(S[0], &[S[1], S[2], S[3], S[4]]);
    stage.settle();
    stage.direct(only(S[0], &[S[1]]));
    let two = cluster.start(S[0], &command(random(cluster))).ok()?.index;
    let partially = stage.has_all_of(S[1], S[0]);
    stage.caption("(b) S0 crashes; S4 is elected leader with votes from S2, S3 and itself, and accepts another entry there");
    cluster.crash(S[0]);
    stage.elect_unfollowed(S[4], &[S[2], S[3]], &[S[2], S[3]]);
    stage.direct(|_| Fate::Drop);
    cluster.start(S[4], &command(random(cluster))).ok()?;
    stage.caption("(c) S4 crashes; S0 restarts, is elected leader, and continues replication: the entry is on a majority");
    cluster.crash(S[4]);
    restart(cluster, S[0]);
    stage.elect(S[0], &[S[1], S[2]]);
    let continued = stage.has_all_of(S[2], S[0]);
    (partially && continued).then_some(two)
}

fn only(from: usize, to: &'static [usize]) -> impl Fn(&Mail) -> Fate {
    move |mail| if mail.from == from && to.contains(&mail.to) { Fate::Deliver } else { Fate::Drop }
}

/// Ends the script: all servers run and hear each other, and must agree.
fn everybody_again(stage: &Stage<'_>) {
    stage.caption("all servers run and hear each other");
    let cluster = stage.cluster;
    stage.all_pass();
    (0..cluster.n()).filter(|&i| cluster.raft(i).is_none()).for_each(|i| restart(cluster, i));
    cluster.one(random(cluster), cluster.n(), true);
}

/// Runs a storm in which servers crash just before or just after they save a vote, and are then asked for votes by others. They
/// must not vote twice in a term (Figure 2: votedFor is persistent).
fn vote_survives_crash(cluster: &Cluster) {
    let troubles = [Fault::CrashesAtSaves, Fault::Duplicates, Fault::Reordering];
    storm(cluster, &troubles, false);
}

/// Runs a storm in which servers crash between any two steps. They must not lose persistent state (Figure 2).
fn crashes_between_any_two_steps(cluster: &Cluster) {
    storm(cluster, &[Fault::Crashes], true);
}

/// Runs a storm in which servers crash just before or just after they save something (Figure 2: persistent state is saved before
/// answering).
fn crashes_around_saves(cluster: &Cluster) {
    storm(cluster, &[Fault::CrashesAtSaves, Fault::Partitions], true);
}

/// Runs a storm in which all servers crash at once. The persistent state of all of them must be enough to go on (Figure 2).
fn all_servers_crash_together(cluster: &Cluster) {
    storm(cluster, &[Fault::Blackouts, Fault::CrashesAtSaves], true);
}

/// Runs a storm in which messages that were sent before a crash arrive after the restart.
fn messages_from_before_a_crash(cluster: &Cluster) {
    let troubles = [Fault::Crashes, Fault::CrashesAtSaves, Fault::Duplicates];
    storm(cluster, &[&troubles[..], &[Fault::Reordering]].concat(), true);
}

/// Lets S2 come back with an old log. S2 refuses the leader's AppendEntries because its log lacks the entry before them, and
/// its answers are lost, so the leader keeps sending the same. These AppendEntries are from the current leader, so they must
/// reset S2's election timeout (§5.2).
fn refused_entries_reset_election_timer(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    agree(cluster, 3, 3);
    cluster.crash(s2);
    agree(cluster, 3, 2);
    stage.caption("S1 is elected, and assumes that all logs are as long as its own");
    stage.elect(s1, &[s0]);
    let answer = move |mail: &Mail| mail.to == s2 && !mail.is_call();
    stage.direct(move |mail| match () {
        () if answer(mail) || mail.from != s1 => Fate::Drop,
        () => Fate::Deliver,
    });
    let from = Instant::now();
    restart(cluster, s2);
    cluster.sleep(5 * ELECTION_TIMEOUT);
    let refused = |mail: &Mail| mail.kind == Kind::Entries && mail.reply.yes == Some(false);
    let refusal = |mail: &Mail| mail.at > from && answer(mail) && refused(mail);
    if !stage.mail(refusal).is_empty() {
        cluster.reached_check();
    }
    stage.waits_for_its_leader(s2, refusal);
    stage.all_pass();
    agree(cluster, 1, 3);
}

/// Runs a storm with all kinds of trouble at once, except slow threads.
fn persistence_under_all_faults(cluster: &Cluster) {
    storm(cluster, &every_but(&[Fault::SlowThreads]), true);
}
