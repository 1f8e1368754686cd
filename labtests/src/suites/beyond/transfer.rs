//! A leader hands over its leadership to a chosen server (thesis §3.10).
//!
//! The tests don't know which messages a Raft uses for a handover. To the tests, a handover is an election like any other, except
//! that the leader chooses which server wins it.

mod refusals;
mod scripts;
mod trouble;

use super::steady::Steady;
use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{reliable, unreliable, with_snapshots};
use crate::suites::worlds::stage::Stage;
use crate::suites::worlds::steps::{after, agree};
use crate::suites::worlds::threads::spawn;
use labrpc::api::beyond::NotTransferred;
use labrpc::run;
use labrpc::thread::JoinHandle;
use labrpc::time::{Duration, Instant};
use refusals::*;
use scripts::*;
use trouble::*;

tests! { "transfer", Beyond(Transfer):
    transfer_to_each_server = "Handover", reliable(5);
    transfer_in_a_cluster_of_two = "HandoverOfTwo", reliable(2);
    transfer_on_an_unreliable_network = "HandoverOnABadNetwork", unreliable(5);
    transfer_to_a_server_that_lags = "HandoverToWhoLags", reliable(3);
    transfer_to_a_server_that_needs_a_snapshot = "HandoverBehindASnapshot", with_snapshots(reliable(3));
    transfer_under_load = "HandoverUnderLoad", reliable(5);
    transfer_to_unreachable_server_times_out = "HandoverToNobody", reliable(5);
    no_commands_during_a_transfer = "HandoverTakesNoCommands", reliable(5);
    transfer_to_invalid_server_is_refused = "BadSuccessors", reliable(3);
    one_transfer_at_a_time = "OneHandoverAtATime", reliable(5);
    transfer_ends_when_leader_crashes = "HandoverOfACrashedLeader", reliable(5);
    transfer_ends_when_leader_is_killed = "HandoverOfAKilledLeader", reliable(5);
    timeout_now_waits_until_successor_has_the_log = "SuccessorIsBehind", reliable(3);
    late_timeout_now = "OrderComesLate", reliable(3);
    timeout_now_of_earlier_term_is_ignored = "OrderOfAnOldTerm", reliable(3);
    duplicated_timeout_now = "OrderComesTwice", reliable(5);
    lost_timeout_now = "OrderIsLost", reliable(3);
    successor_that_is_not_heard_follows_again = "SuccessorStandsInVain", reliable(3);
    transfers_with_crashes_of_either_server = "HandoversAndCrashesOfEither", reliable(3);
    transfers_with_partitions = "HandoversAndPartitions", unreliable(5);
    transfers_with_delayed_messages = "HandoversAndOldMessages", reliable(3);
    transfers_with_crashes = "HandoversAndCrashes", reliable(5);
    transfers_with_paused_threads = "HandoversAndSlowThreads", reliable(3);
    transfers_under_all_faults = "HandoversAndEverything", reliable(5);
}

/// The outcome of a handover. It is `None` if the leader has crashed.
type Outcome = Option<Result<(), NotTransferred>>;

/// How long a caller may have to wait for the outcome. The thesis says "about an election timeout" (§3.10). This bound is longer
/// than any election timeout.
const OVER_WITHIN: Duration = ELECTION_TIMEOUT.saturating_mul(3);

/// A handover whose outcome another thread waits for.
struct Handover {
    from: usize,
    to: usize,
    began: Instant,
    waiting: JoinHandle<Outcome>,
}

impl Handover {
    fn begin(cluster: &Cluster, from: usize, to: usize) -> Handover {
        let (cluster, began) = (cluster.clone(), Instant::now());
        let waiting = spawn("who hands over", move || cluster.transfer(from, to));
        Handover { from, to, began, waiting }
    }

    fn is_over(&self) -> bool {
        self.waiting.is_finished()
    }

    /// Waits for the outcome.
    #[track_caller]
    fn outcome(self, stage: &Stage<'_>) -> Outcome {
        let left = OVER_WITHIN.saturating_sub(self.began.elapsed());
        if !stage.until(left, || self.is_over()) {
            run::fail(format!(
                "{:?} after {} was asked to hand over to {}, the caller still waits for the outcome. If a handover isn't done \
                 within about an election timeout, the leader must give it up, continue to lead, and return an error (thesis \
                 §3.10); {}",
                self.began.elapsed(),
                name(self.from),
                name(self.to),
                stage.cluster.who_thinks_what()
            ));
        }
        self.waiting.join().unwrap_or(None)
    }
}

/// Hands the leadership over to one server after the other. Each handover must succeed within an election timeout (thesis §3.10).
fn transfer_to_each_server(cluster: &Cluster) {
    for round in 0..2 * cluster.n() {
        quiet_handover(cluster, 1 + round % (cluster.n() - 1));
    }
}

/// Hands over in a cluster of two, where the leader itself has to vote for its successor (thesis §3.10).
fn transfer_in_a_cluster_of_two(cluster: &Cluster) {
    (0..6).for_each(|_| quiet_handover(cluster, 1));
}

/// Hands over to the server that comes `steps` places after the leader, while nothing else happens and nothing is lost. Only the
/// successor becomes a candidate, once, and no server has a reason to refuse its vote. So in any Raft the term must rise by one.
fn quiet_handover(cluster: &Cluster, steps: usize) {
    let stage = Stage::new(cluster);
    let Steady { leader, term, .. } = Steady::new(&stage);
    let to = after(cluster, leader, steps);
    let (outcome, took) = timed(|| cluster.transfer(leader, to));
    cluster.reached_check();
    let state = cluster.state(to);
    if outcome != Some(Ok(())) || took > ELECTION_TIMEOUT {
        run::fail(format!(
            "{0} was asked to hand over to {1}. All servers hear each other, so this should succeed soon, but after {took:?} the \
             outcome was {outcome:?}. The leader must bring its successor up to date and send it TimeoutNow, so that the \
             successor becomes a candidate at once. The others must vote for the successor although they hear a leader (thesis \
             §3.10, §4.2.3); {2}",
            name(leader),
            name(to),
            cluster.who_thinks_what()
        ));
    }
    if state != Some((term + 1, true)) {
        run::fail(format!(
            "{0} says that it has handed over to {1}. So {2} should lead term {3}, but it doesn't. On a network that loses \
             nothing, only the successor becomes a candidate, and only once (thesis §3.10); {4}",
            name(leader),
            name(to),
            name(to),
            term + 1,
            cluster.who_thinks_what()
        ));
    }
    agree(cluster, 1, cluster.n());
}

fn timed<R>(f: impl FnOnce() -> R) -> (R, Duration) {
    let began = Instant::now();
    (f(), began.elapsed())
}

/// How often a handover may be tried when messages get lost: TimeoutNow is one message, and each vote is two.
const TRIES: usize = 10;

/// Tries until the present leader has handed over to the server that `to` chooses. Returns that server.
#[track_caller]
fn handed_over(cluster: &Cluster, to: impl Fn(usize) -> usize) -> usize {
    let mut outcomes = Vec::new();
    for _ in 0..TRIES {
        let leader = cluster.check_one_leader();
        let to = to(leader);
        if leader == to {
            return to; // an earlier try succeeded late
        }
        let outcome = cluster.transfer(leader, to);
        if outcome == Some(Ok(())) {
            return to;
        }
        outcomes.push(format!("{} to {}: {outcome:?}", name(leader), name(to)));
    }
    run::fail(format!(
        "none of {TRIES} handovers succeeded: {}. All servers hear each other, at least now and then, so one should succeed \
         (thesis §3.10); {}",
        outcomes.join(", "),
        cluster.who_thinks_what()
    ))
}

/// Hands over on a network that loses a tenth of all messages. A handover must succeed within ten tries (thesis §3.10).
fn transfer_on_an_unreliable_network(cluster: &Cluster) {
    for round in 0..8 {
        agree(cluster, 1, 5);
        handed_over(cluster, |leader| after(cluster, leader, 1 + round % 4));
    }
    agree(cluster, 1, 5);
    cluster.reached_check();
}

/// Hands over to a server that comes back and has missed a hundred commands. The leader must bring it up to date first, because
/// otherwise it could not be elected (thesis §3.10; §5.4.1).
fn transfer_to_a_server_that_lags(cluster: &Cluster) {
    for round in 0..4 {
        agree(cluster, 1, 3);
        let leader = cluster.check_one_leader();
        let lags = after(cluster, leader, 1 + round % 2);
        cluster.disconnect(lags);
        (0..100).for_each(|_| _ = cluster.start(leader, &command("much")));
        agree(cluster, 1, 2);
        cluster.connect(lags);
        handed_over(cluster, |_| lags);
        agree(cluster, 1, 3);
    }
    cluster.reached_check();
}

/// Does the same, with a successor that needs a snapshot.
fn transfer_to_a_server_that_needs_a_snapshot(cluster: &Cluster) {
    transfer_to_a_server_that_lags(cluster);
}
