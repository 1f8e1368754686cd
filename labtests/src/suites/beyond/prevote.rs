//! A server that can't win an election must not disturb the others, and a leader that hears no majority must step down (thesis
//! §9.6, §6.2, §4.2.3).
//!
//! The tests don't know what a Raft's pre-votes look like. They look only at terms, leaders, and requests for votes.

mod ahead;
mod elections;
mod installs;
mod links;
mod quorum;
mod scripts;

use super::steady::Steady;
use crate::cluster::{Cluster, name, names};
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{reliable, unreliable};
use crate::suites::worlds::stage::Stage;
use crate::suites::worlds::steps::{after, agree, anybody, restart};
use crate::suites::worlds::storm::{Fault, every_but, storm};
use ahead::*;
use elections::*;
use installs::*;
use labrpc::run;
use labrpc::time::Duration;
use links::*;
use quorum::*;
use scripts::*;

tests! { "prevote", Beyond(PreVote):
    returning_server_does_not_disturb = "ReturningServer", reliable(3);
    returning_minority_does_not_disturb = "ReturningMinority", reliable(5);
    returning_leader_does_not_disturb = "ReturningLeader", reliable(5);
    late_starter_does_not_disturb = "LateServer", reliable(3);
    restarting_server_does_not_disturb = "RestartingServer", reliable(4);
    flapping_follower_does_not_disturb = "FlappingFollower", reliable(5);
    flapping_follower_on_an_unreliable_network = "FlappingOnABadNetwork", unreliable(5);
    flapping_leader_costs_few_terms = "FlappingLeader", reliable(5);
    follower_and_leader_cannot_hear_each_other = "LeaderOutOfSight", reliable(3);
    two_followers_and_leader_cannot_hear_each_other = "LeaderOutOfSightOfTwo", reliable(5);
    follower_cannot_hear_its_leader = "DeafToItsLeader", reliable(4);
    leader_cannot_hear_one_follower = "LeaderDeafToOne", reliable(3);
    leader_that_hears_nobody_steps_down = "LeaderHearsNobody", reliable(5);
    leader_without_quorum_steps_down = "LeaderOfAMinority", reliable(5);
    leader_of_half_steps_down = "LeaderOfHalf", reliable(4);
    leader_of_two_without_the_other_steps_down = "LeaderOfAPair", reliable(2);
    leader_with_quorum_stays = "LeaderOfAMajority", reliable(5);
    leader_of_three_of_four_stays = "LeaderOfThreeOfFour", reliable(4);
    crashed_leaders_are_replaced = "LeadersCrash", reliable(5);
    crashed_leaders_are_replaced_on_an_unreliable_network = "LeadersCrashOnABadNetwork", unreliable(5);
    restarted_cluster_elects_a_leader = "AllRestart", reliable(5);
    only_server_with_committed_entries_is_elected = "OnlyOneElectable", reliable(5);
    pre_vote_is_refused_to_shorter_log = "PreVotesAskForTheLog", reliable(3);
    pre_vote_does_not_bind = "PreVotesBindNobody", reliable(3);
    pre_vote_is_not_saved = "PreVotesAreNotKept", reliable(3);
    pre_vote_does_not_change_the_vote = "PreVotesLeaveTheVote", reliable(3);
    refused_pre_vote_does_not_reset_election_timer = "RefusedPreVotesBuyNoTime", reliable(3);
    followers_of_a_leader_ignore_vote_requests = "VotesAgainstALeader", reliable(3);
    candidate_in_later_term_rejoins = "CandidateAheadRejoins", reliable(3);
    refused_pre_vote_tells_the_newer_term = "UpToDateInAnOldTerm", reliable(3);
    vote_while_a_snapshot_is_arriving = "HalfASnapshot", reliable(3);
    pre_votes_with_broken_links = "PreVotesAndCuts", reliable(5);
    pre_votes_with_delayed_messages = "PreVotesAndOldMessages", reliable(3);
    pre_votes_with_crashes = "PreVotesAndCrashes", reliable(4);
    pre_votes_with_paused_threads = "PreVotesAndSlowThreads", reliable(5);
    pre_votes_under_all_faults = "PreVotesAndEverything", reliable(5);
}

/// How long servers are cut off. In this time their election timeouts elapse several times.
const AWAY: Duration = Duration::from_secs(4);

/// The rule because of which a server that was cut off does not raise its term, and gets no votes.
const ASKS_FIRST: &str = "A server that hears no leader must ask the others for pre-votes before it raises its term. A server \
                          that hears a leader must refuse a pre-vote. So a server that comes back does not disturb the others \
                          (thesis §9.6)";

/// Cuts a server off and lets it come back, again and again. The term and the leader must stay the same (thesis §9.6).
fn returning_server_does_not_disturb(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let steady = Steady::new(&stage);
    for round in 0..6 {
        let cut = after(cluster, steady.leader, 1 + round % 2);
        cluster.disconnect(cut);
        agree(cluster, round % 3, 2); // in every third round none, so that its log is up-to-date and it lacks only a leader
        cluster.sleep(AWAY);
        steady.undisturbed(&away(&[cut]));
        cluster.connect(cut);
        cluster.sleep(ELECTION_TIMEOUT);
        agree(cluster, 1, 3);
        steady.undisturbed(&back(&[cut]));
    }
}

/// What happened, which is no reason for an election, and the rule.
fn away(who: &[usize]) -> String {
    format!("The only trouble was that {} heard no leader for {AWAY:?}. {ASKS_FIRST}", names(who))
}

fn back(who: &[usize]) -> String {
    format!(
        "The only trouble was that {} had heard no leader for a while and came back. {ASKS_FIRST}",
        names(who)
    )
}

/// Does the same with two of five servers: each cut off alone, or both together, so that they would elect each other (thesis
/// §9.6).
fn returning_minority_does_not_disturb(cluster: &Cluster) {
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

/// Cuts off a leader that has an entry that no other server has. Another leader is elected, and the old one comes back. It must
/// not disturb the new leader (thesis §9.6).
fn returning_leader_does_not_disturb(cluster: &Cluster) {
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

/// Starts a server when the others have long had a leader. At first it reaches no other server. It must not disturb the leader
/// (thesis §9.6).
fn late_starter_does_not_disturb(cluster: &Cluster) {
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

/// Crashes and restarts a server again and again. It must not disturb the leader (thesis §9.6).
fn restarting_server_does_not_disturb(cluster: &Cluster) {
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
        "The only trouble was that {} crashed and restarted again and again. {ASKS_FIRST}",
        name(victim)
    ));
}

/// Cuts off one follower after the other for a while. They must not disturb the leader (thesis §9.6).
fn flapping_follower_does_not_disturb(cluster: &Cluster) {
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

/// How often a follower comes back on a network that loses a tenth of all messages and delays the others.
const RETURNS: u64 = 20;

/// How many terms may begin during these returns. A server that raises its term while it is cut off causes one to eight terms
/// at each return. A follower that waits for several heartbeats hardly ever misses all of them, and if it does, the others
/// still hear theirs.
const TERMS_WHILE_FLAPPING: u64 = RETURNS;

/// Cuts off one follower after the other on an unreliable network. Few terms may begin (thesis §9.6).
fn flapping_follower_on_an_unreliable_network(cluster: &Cluster) {
    agree(cluster, 1, 5);
    let before = latest_term(cluster);
    for _ in 0..RETURNS {
        let cut = after(cluster, cluster.check_one_leader(), 1);
        cluster.disconnect(cut);
        cluster.sleep(cluster.draws().millis("away", 1200..2500));
        cluster.connect(cut);
    }
    agree(cluster, 1, 5);
    few_terms(cluster, before, TERMS_WHILE_FLAPPING, "a follower was cut off");
}

/// How often a leader is cut off for less than a second.
const FLAPS: u64 = 15;

/// How many terms may begin then. A leader that is cut off for a moment may lose its leadership. Two terms are allowed each
/// time, because votes may be split.
const TERMS_FOR_FLAPS: u64 = 2 * FLAPS;

/// Cuts off the leader for less than a second, again and again. Few terms may begin (thesis §9.6).
fn flapping_leader_costs_few_terms(cluster: &Cluster) {
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
    few_terms(cluster, before, TERMS_FOR_FLAPS, "the leader was cut off for less than a second");
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
            "{terms} terms began. At most {allowed} are allowed. The only trouble was that again and again {what}. {ASKS_FIRST}"
        ));
    }
}

/// Runs a storm in which servers can't reach all others, or can't be reached by them.
fn pre_votes_with_broken_links(cluster: &Cluster) {
    use Fault::*;
    storm(cluster, &[AsymmetricPartitions, SlowLinks, Partitions, Loss], true);
}

/// Runs a storm in which pre-votes and votes come late and twice, when their receiver may have another leader.
fn pre_votes_with_delayed_messages(cluster: &Cluster) {
    use Fault::*;
    storm(cluster, &[Duplicates, Reordering, LateReplies, Partitions], true);
}

/// Runs a storm in which servers crash, and so forget which leader they heard.
fn pre_votes_with_crashes(cluster: &Cluster) {
    use Fault::*;
    storm(cluster, &[Crashes, CrashesAtSaves, Blackouts, Partitions, Loss], true);
}

/// Runs a storm in which threads stop for a while, for example between the decision to become a candidate or to step down and
/// the act.
fn pre_votes_with_paused_threads(cluster: &Cluster) {
    storm(cluster, &[Fault::SlowThreads, Fault::Partitions, Fault::AsymmetricPartitions], true);
}

/// Runs a storm with all kinds of trouble.
fn pre_votes_under_all_faults(cluster: &Cluster) {
    storm(cluster, &every_but(&[]), true);
}
