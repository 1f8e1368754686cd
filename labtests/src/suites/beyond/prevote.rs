//! Who can't be elected disturbs nobody, and who can't lead doesn't (thesis §9.6, §6.2, §4.2.3).
//!
//! Nothing is known of a Raft's pre-votes but what they are for: what is looked at are terms, leaders, and requests for votes.

mod ahead;
mod elections;
mod installs;
mod links;
mod quorum;
mod scripts;

use super::steady::Steady;
use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name, names};
use crate::ledger::command;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{reliable, unreliable};
use crate::suites::worlds::stage::Stage;
use crate::suites::worlds::steps::{after, agree, anybody, restart};
use crate::suites::worlds::storm::{Trouble, every_but, storm};
use ahead::*;
use elections::*;
use installs::*;
use labrpc::run;
use labrpc::time::Duration;
use links::*;
use quorum::*;
use scripts::*;

tests! { "prevote", Beyond(PreVote):
    returning_server = "ReturningServer", reliable(3);
    returning_minority = "ReturningMinority", reliable(5);
    returning_leader = "ReturningLeader", reliable(5);
    late_server = "LateServer", reliable(3);
    restarting_server = "RestartingServer", reliable(4);
    flapping_follower = "FlappingFollower", reliable(5);
    flapping_on_a_bad_network = "FlappingOnABadNetwork", unreliable(5);
    flapping_leader = "FlappingLeader", reliable(5);
    leader_out_of_sight = "LeaderOutOfSight", reliable(3);
    leader_out_of_sight_of_two = "LeaderOutOfSightOfTwo", reliable(5);
    deaf_to_its_leader = "DeafToItsLeader", reliable(4);
    leader_deaf_to_one = "LeaderDeafToOne", reliable(3);
    leader_hears_nobody = "LeaderHearsNobody", reliable(5);
    leader_of_a_minority = "LeaderOfAMinority", reliable(5);
    leader_of_half = "LeaderOfHalf", reliable(4);
    leader_of_a_pair = "LeaderOfAPair", reliable(2);
    leader_of_a_majority = "LeaderOfAMajority", reliable(5);
    leader_of_three_of_four = "LeaderOfThreeOfFour", reliable(4);
    leaders_crash = "LeadersCrash", reliable(5);
    leaders_crash_on_a_bad_network = "LeadersCrashOnABadNetwork", unreliable(5);
    all_restart = "AllRestart", reliable(5);
    only_one_electable = "OnlyOneElectable", reliable(5);
    pre_votes_ask_for_the_log = "PreVotesAskForTheLog", reliable(3);
    pre_votes_bind_nobody = "PreVotesBindNobody", reliable(3);
    pre_votes_are_not_kept = "PreVotesAreNotKept", reliable(3);
    pre_votes_leave_the_vote = "PreVotesLeaveTheVote", reliable(3);
    refused_pre_votes_buy_no_time = "RefusedPreVotesBuyNoTime", reliable(3);
    votes_against_a_leader = "VotesAgainstALeader", reliable(3);
    candidate_ahead_rejoins = "CandidateAheadRejoins", reliable(3);
    up_to_date_in_an_old_term = "UpToDateInAnOldTerm", reliable(3);
    half_a_snapshot = "HalfASnapshot", reliable(3);
    pre_votes_and_cuts = "PreVotesAndCuts", reliable(5);
    pre_votes_and_old_messages = "PreVotesAndOldMessages", reliable(3);
    pre_votes_and_crashes = "PreVotesAndCrashes", reliable(4);
    pre_votes_and_slow_threads = "PreVotesAndSlowThreads", reliable(5);
    pre_votes_and_everything = "PreVotesAndEverything", reliable(5);
}

/// For how long who is away is away: it has timed out several times then.
const AWAY: Duration = Duration::from_secs(4);

/// Why nobody who was away raises its term, and nobody votes for it.
const ASKS_FIRST: &str = "Who hears no leader asks the others, before it raises its term, whether they would elect it, and whoever \
                          hears a leader says no: so a server that comes back disturbs nobody (thesis §9.6)";

/// A server that was cut off comes back, again and again: the term stays, and so does the leader.
fn returning_server(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let steady = Steady::new(&stage);
    for round in 0..6 {
        let cut = after(cluster, steady.leader, 1 + round % 2);
        cluster.disconnect(cut);
        agree(cluster, round % 3, 2); // or it has all that there is, and lacks but a leader
        cluster.sleep(AWAY);
        steady.undisturbed(&away(&[cut]));
        cluster.connect(cut);
        cluster.sleep(ELECTION_TIMEOUT);
        agree(cluster, 1, 3);
        steady.undisturbed(&back(&[cut]));
    }
}

/// What was no reason for an election.
fn away(who: &[usize]) -> String {
    format!("Nothing happened but that {} heard no leader for {AWAY:?}. {ASKS_FIRST}", names(who))
}

fn back(who: &[usize]) -> String {
    format!(
        "Nothing happened but that {} came back, having heard no leader for a while. {ASKS_FIRST}",
        names(who)
    )
}

/// The same with a minority of five: each server alone, and both together. They would elect each other.
fn returning_minority(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let steady = Steady::new(&stage);
    for round in 0..6 {
        let cut = [1, 2].map(|steps| after(cluster, steady.leader, steps + round % 3));
        if round % 2 == 0 {
            cluster.partition(&cut);
        } else {
            cut.iter().for_each(|&i| cluster.disconnect(i));
        }
        agree(cluster, round % 3, 3);
        cluster.sleep(AWAY);
        steady.undisturbed(&away(&cut));
        cluster.connect_all();
        cluster.sleep(ELECTION_TIMEOUT);
        agree(cluster, 1, 5);
        steady.undisturbed(&back(&cut));
    }
}

/// A leader is cut off, others elect another one, and it comes back, with an entry that nobody else has.
fn returning_leader(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for round in 0..5 {
        let old = Steady::new(&stage).leader;
        cluster.disconnect(old);
        let _ = cluster.start(old, &command(format!("never {round}")));
        let steady = Steady::new(&stage);
        cluster.sleep(AWAY);
        cluster.connect(old);
        agree(cluster, 1, 5);
        steady.undisturbed(&back(&[old]));
    }
}

/// A server is started when the others have long had a leader; at first it reaches nobody.
fn late_server(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let late = anybody(cluster);
    cluster.crash(late);
    agree(cluster, 10, 2);
    let steady = Steady::new(&stage);
    cluster.start_server(late);
    cluster.sleep(AWAY);
    steady.undisturbed(&away(&[late]));
    cluster.connect(late);
    agree(cluster, 1, 3);
    steady.undisturbed(&back(&[late]));
}

/// A server crashes and starts again, and again.
fn restarting_server(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let steady = Steady::new(&stage);
    let victim = after(cluster, steady.leader, 1);
    for _ in 0..15 {
        cluster.crash(victim);
        cluster.sleep(cluster.draws().millis("down", 0..1500));
        restart(cluster, victim);
        cluster.sleep(cluster.draws().millis("up", 0..1500));
    }
    agree(cluster, 1, 4);
    steady.undisturbed(&format!(
        "Nothing happened but that {} started again and again. {ASKS_FIRST}",
        name(victim)
    ));
}

/// One follower after the other is cut off for a while.
fn flapping_follower(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let steady = Steady::new(&stage);
    for round in 0..15 {
        let cut = after(cluster, steady.leader, 1 + round % 4);
        cluster.disconnect(cut);
        cluster.sleep(cluster.draws().millis("away", 200..2500));
        cluster.connect(cut);
        cluster.sleep(cluster.draws().millis("back", 200..700));
        steady.undisturbed(&back(&[cut]));
    }
    agree(cluster, 1, 5);
    steady.undisturbed(ASKS_FIRST);
}

/// How often a follower comes back on a network that loses a tenth of all messages, and comes late with all others.
const RETURNS: u64 = 20;

/// How many terms may begin meanwhile. A server that raises its term while it is away makes one at each return, at least, and up to
/// eight; a follower that waits for some heartbeats misses them all about never, and then the others hear theirs.
const TERMS_WHILE_FLAPPING: u64 = RETURNS;

fn flapping_on_a_bad_network(cluster: &Cluster) {
    agree(cluster, 1, 5);
    let before = latest_term(cluster);
    for _ in 0..RETURNS {
        let cut = after(cluster, cluster.check_one_leader(), 1);
        cluster.disconnect(cut);
        cluster.sleep(cluster.draws().millis("away", 1200..2500));
        cluster.connect(cut);
    }
    agree(cluster, 1, 5);
    few_terms(cluster, before, TERMS_WHILE_FLAPPING, "a follower was away");
}

/// How often a leader is away for less than a second.
const FLAPS: u64 = 15;

/// A leader that is away for a moment may lose its leadership, and so may the next one. Two terms for each are for votes that
/// are split.
const TERMS_FOR_FLAPS: u64 = 2 * FLAPS;

fn flapping_leader(cluster: &Cluster) {
    agree(cluster, 1, 5);
    let before = latest_term(cluster);
    for _ in 0..FLAPS {
        let cut = cluster.check_one_leader();
        cluster.disconnect(cut);
        cluster.sleep(cluster.draws().millis("away", 200..900));
        cluster.connect(cut);
        cluster.sleep(cluster.draws().millis("back", 0..1500));
    }
    agree(cluster, 1, 5);
    few_terms(cluster, before, TERMS_FOR_FLAPS, "the leader was away for less than a second");
}

fn latest_term(cluster: &Cluster) -> u64 {
    (0..cluster.n()).filter_map(|i| cluster.state(i)).map(|(term, _)| term).max().unwrap_or(0)
}

#[track_caller]
fn few_terms(cluster: &Cluster, before: u64, allowed: u64, what: &str) {
    cluster.reached_check();
    let terms = latest_term(cluster) - before;
    if terms > allowed {
        run::fail(format!(
            "{terms} terms began; at most {allowed} are allowed. Nothing happened but that again and again {what}. {ASKS_FIRST}"
        ));
    }
}

/// Who can't reach all others, or can't be reached by them.
fn pre_votes_and_cuts(cluster: &Cluster) {
    use Trouble::*;
    storm(cluster, &[OneWayCuts, SlowLinks, Partitions, Loss], true);
}

/// Pre-votes and votes that come late and twice, to who has another leader by then.
fn pre_votes_and_old_messages(cluster: &Cluster) {
    use Trouble::*;
    storm(cluster, &[Duplicates, Reordering, LateReplies, Partitions], true);
}

/// Servers that have forgotten whom they heard.
fn pre_votes_and_crashes(cluster: &Cluster) {
    use Trouble::*;
    storm(cluster, &[Crashes, CrashesAtSaves, Blackouts, Partitions, Loss], true);
}

/// Who has decided to stand, or to step down, while it was not.
fn pre_votes_and_slow_threads(cluster: &Cluster) {
    storm(cluster, &[Trouble::SlowThreads, Trouble::Partitions, Trouble::OneWayCuts], true);
}

fn pre_votes_and_everything(cluster: &Cluster) {
    storm(cluster, &every_but(&[]), true);
}
