//! 2C+: persistence (Figure 2) where servers crash anywhere, also just before and just after something is saved; and
//! Figure 8, as it is drawn.

use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::Cluster;
use crate::ledger::command;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{agree, random, restart};
use crate::suites::worlds::storm::{Trouble, every_but, storm};
use labrpc::network::Fate;
use labrpc::time::{Duration, Instant};

tests! { "2C+", Raft:
    figure_8_as_drawn = "Figure8AsDrawn", reliable(5);
    figure_8_own_term = "Figure8OwnTerm", reliable(5);
    voters_crash = "VotersCrash", reliable(3);
    crashes_anywhere = "CrashesAnywhere", reliable(3);
    crashes_at_saves = "CrashesAtSaves", reliable(5);
    blackouts = "Blackouts", reliable(5);
    crashes_and_old_messages = "CrashesAndOldMessages", reliable(5);
    everything = "Everything", reliable(5);
    refused_entries_buy_time = "RefusedEntriesBuyTime", reliable(3);
}

/// Figure 8 (§5.4.2): "a time sequence showing why a leader cannot determine commitment using log entries from older
/// terms". The figure's S1 to S5 are S0 to S4 here.
fn figure_8_as_drawn(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    if let Some(two) = until_c(&stage) {
        // In (c) the entry is on a majority, and not committed: whoever counts it so is caught here.
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
                "its leaders begin their terms with an entry of their own (§8), which commits what the figure's leader may not",
            );
        }
    }
    everybody_again(&stage);
}

/// Figure 8 (e): "if S1 replicates an entry from its current term on a majority of the servers before crashing, then
/// this entry is committed (S5 cannot win an election)".
fn figure_8_own_term(cluster: &Cluster) {
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
        stage.caption("S4 stands for election as long as it likes");
        let from = Instant::now();
        stage.direct(|mail| if mail.from == S[4] { Fate::Deliver } else { Fate::Lose });
        cluster.sleep(Duration::from_secs(4)); // whoever votes for it is caught
        let asks = |mail: &Mail| mail.from == S[4] && mail.kind == Kind::Vote && mail.at > from;
        if taken && replicated && !stage.mail(asks).is_empty() {
            cluster.reached_check();
        }
    }
    everybody_again(&stage);
}

const S: [usize; 5] = [0, 1, 2, 3, 4];

/// Figure 8 up to (c). Gives back the index of the entry; `None` if a server lost a command on the way.
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
    stage.direct(|_| Fate::Lose);
    cluster.start(S[4], &command(random(cluster))).ok()?;
    stage.caption("(c) S4 crashes; S0 restarts, is elected leader, and continues replication: the entry is on a majority");
    cluster.crash(S[4]);
    restart(cluster, S[0]);
    stage.elect(S[0], &[S[1], S[2]]);
    let continued = stage.has_all_of(S[2], S[0]);
    (partially && continued).then_some(two)
}

fn only(from: usize, to: &'static [usize]) -> impl Fn(&Mail) -> Fate {
    move |mail| if mail.from == from && to.contains(&mail.to) { Fate::Deliver } else { Fate::Lose }
}

/// The script is over: everybody runs, hears everybody, and agrees.
fn everybody_again(stage: &Stage<'_>) {
    stage.caption("all servers run and hear each other");
    let cluster = stage.cluster;
    stage.all_pass();
    (0..cluster.n()).filter(|&i| cluster.raft(i).is_none()).for_each(|i| restart(cluster, i));
    cluster.one(random(cluster), cluster.n(), true);
}

/// Who has voted crashes, and is asked again by others.
fn voters_crash(cluster: &Cluster) {
    let troubles = [Trouble::CrashesAtSaves, Trouble::Duplicates, Trouble::Reordering];
    storm(cluster, &troubles, false);
}

/// A server may stop between any two steps.
fn crashes_anywhere(cluster: &Cluster) {
    storm(cluster, &[Trouble::Crashes], true);
}

/// A server may stop just before or just after it has saved something.
fn crashes_at_saves(cluster: &Cluster) {
    storm(cluster, &[Trouble::CrashesAtSaves, Trouble::Partitions], true);
}

/// All servers at once.
fn blackouts(cluster: &Cluster) {
    storm(cluster, &[Trouble::Blackouts, Trouble::CrashesAtSaves], true);
}

/// Messages from before a crash reach whoever runs after it.
fn crashes_and_old_messages(cluster: &Cluster) {
    let troubles = [Trouble::Crashes, Trouble::CrashesAtSaves, Trouble::Duplicates];
    storm(cluster, &[&troubles[..], &[Trouble::Reordering]].concat(), true);
}

/// S2 comes back with a log that is behind, and refuses what its leader sends, for that doesn't fit; its answers are lost, so
/// the leader goes on like that. It is the leader, and S2 hears it (§5.2).
fn refused_entries_buy_time(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    agree(cluster, 3, 3);
    cluster.crash(s2);
    agree(cluster, 3, 2);
    stage.caption("S1 is elected, and takes everybody's log to be as long as its own");
    stage.elect(s1, &[s0]);
    let answer = move |mail: &Mail| mail.to == s2 && !mail.is_call();
    stage.direct(move |mail| match () {
        () if answer(mail) || mail.from != s1 => Fate::Lose,
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

/// All kinds of trouble at once.
fn everything(cluster: &Cluster) {
    storm(cluster, &every_but(&[Trouble::SlowThreads]), true);
}
