//! What a leader refuses: an impossible handover, a second handover, and commands during a handover. And that it leads on if a
//! handover fails.

use super::super::steady::Steady;
use super::{Handover, OVER_WITHIN, Outcome, handed_over, timed};
use crate::cluster::{Cluster, name};
use crate::ledger::{command, show};
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::worlds::stage::Stage;
use crate::suites::worlds::steps::{after, agree, ms, random};
use crate::suites::worlds::threads::{joined, spawn};
use labrpc::api::beyond::NotTransferred::{NoSuccessor, NotLeader, UnderWay};
use labrpc::api::{Command, Refused, Started};
use labrpc::run;
use labrpc::thread::JoinHandle;
use labrpc::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A refusal must come within this time, because the leader need not ask other servers.
const AT_ONCE: Duration = ms(100);

/// Lets a leader hand over to a server that is cut off or has crashed. The leader must lead on in its term, and accept commands
/// again (thesis §3.10).
pub(super) fn transfer_to_unreachable_server_times_out(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for round in 0..4 {
        let steady = Steady::new(&stage);
        let to = after(cluster, steady.leader, 1 + round);
        match round % 2 {
            0 => cluster.disconnect(to),
            _ => cluster.crash(to),
        }
        let outcome = Handover::begin(cluster, steady.leader, to).outcome(&stage);
        cluster.reached_check();
        let takes = || cluster.start(steady.leader, &command(random(cluster))).is_ok();
        let resumed = stage.until(ELECTION_TIMEOUT / 2, takes);
        if !matches!(outcome, Some(Err(_))) || !resumed || !steady.leads() {
            let state = match (steady.leads(), resumed) {
                (false, _) => "no longer leads",
                (true, false) => "accepts no commands",
                (true, true) => "still leads",
            };
            run::fail(format!(
                "{0} was asked to hand over to {1}, which can't be reached. The outcome was {outcome:?}, and now {0} {state}. If \
                 the successor doesn't take over within about an election timeout, the leader must return an error, continue to \
                 lead, and accept commands again (thesis §3.10); {2}",
                name(steady.leader),
                name(to),
                cluster.who_thinks_what()
            ));
        }
        agree(cluster, 1, 4);
        if round % 2 == 1 {
            cluster.start_server(to);
        }
        cluster.connect(to);
    }
    agree(cluster, 1, 5);
}

/// How soon after its beginning a handover is looked at. No leader gives up so soon.
const SOON: Duration = ms(30);

/// Gives the leader a command during a handover. It must refuse the command, because otherwise the successor might never catch
/// up (thesis §3.10).
pub(super) fn no_commands_during_a_transfer(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for round in 0..4 {
        let steady = Steady::new(&stage);
        let to = after(cluster, steady.leader, 1 + round);
        cluster.disconnect(to);
        let handover = Handover::begin(cluster, steady.leader, to);
        cluster.sleep(SOON);
        let started = cluster.start(steady.leader, &command(format!("meanwhile {round}")));
        cluster.sleep(SOON);
        let typed = matches!(started, Err(Refused::Busy | Refused::NotLeader { .. }));
        if !handover.is_over() {
            cluster.reached_check();
        }
        if !handover.is_over() && !typed {
            run::fail(format!(
                "while {} was handing over to {}, start() returned {started:?}. It must return Busy, because a leader that hands \
                 over must not accept commands: \"the prior leader stops accepting new client requests\" (thesis §3.10)",
                name(steady.leader),
                name(to)
            ));
        }
        let _ = handover.outcome(&stage);
        cluster.connect(to);
        agree(cluster, 1, 5);
    }
}

/// Asks for handovers to servers that can't be successors, and asks a server that doesn't lead. These must be refused at once,
/// and nothing may change.
pub(super) fn transfer_to_invalid_server_is_refused(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let steady = Steady::new(&stage);
    let (leader, n) = (steady.leader, cluster.n());
    let follower = after(cluster, leader, 1);
    let ask = |of: usize, to: usize, fits: &dyn Fn(&Outcome) -> bool, what: &str| {
        let (outcome, took) = timed(|| cluster.transfer(of, to));
        if !fits(&outcome) || took > AT_ONCE {
            run::fail(format!(
                "{0} was asked to hand over to S{to}, {what}. After {took:?} {0} returned {outcome:?}. It must refuse this at \
                 once, with the right reason (see labrpc::api::beyond::NotTransferred)",
                name(of)
            ));
        }
        steady.undisturbed("The only thing that happened is that a handover was refused");
        agree(cluster, 1, n);
    };
    for to in [n, n + 7, usize::MAX] {
        ask(leader, to, &|it| *it == Some(Err(NoSuccessor)), "which is not a server");
        let fits = |it: &Outcome| matches!(it, Some(Err(NoSuccessor | NotLeader { .. })));
        ask(follower, to, &fits, "which is not a server. The server that was asked doesn't lead");
    }
    ask(leader, leader, &|it| *it == Some(Err(NoSuccessor)), "which is the leader already");
    for to in 0..n {
        let hint_is_sound = |hint: &Option<usize>| hint.is_none_or(|hint| hint == leader);
        let fits = |it: &Outcome| match it {
            Some(Err(NotLeader { leader })) => hint_is_sound(leader),
            Some(Err(NoSuccessor)) => to == follower,
            _ => false,
        };
        ask(
            follower,
            to,
            &fits,
            "but the server that was asked doesn't lead. It has long heard the leader",
        );
    }
}

/// Asks for a second handover during the first, to the same server and to another. The second must be refused, and the first
/// must end as if nothing had happened (thesis §3.10).
pub(super) fn one_transfer_at_a_time(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for round in 0..3 {
        let steady = Steady::new(&stage);
        let leader = steady.leader;
        let [to, other] = [1, 2].map(|steps| after(cluster, leader, round + steps));
        cluster.disconnect(to);
        let first = Handover::begin(cluster, leader, to);
        cluster.sleep(SOON);
        for second in [other, to] {
            let (outcome, took) = timed(|| cluster.transfer(leader, second));
            let refused = outcome == Some(Err(UnderWay)) && took < AT_ONCE;
            if !first.is_over() {
                cluster.reached_check();
            }
            if !first.is_over() && !refused {
                run::fail(format!(
                    "while {0} was handing over to {1}, {0} was asked to hand over to {2}, too. After {took:?} {0} returned \
                     {outcome:?}. It must refuse at once, with UnderWay: a leader hands over to one server at a time (thesis \
                     §3.10)",
                    name(leader),
                    name(to),
                    name(second)
                ));
            }
        }
        let _ = first.outcome(&stage);
        if !steady.leads() {
            run::fail(format!(
                "{0} was asked to hand over to {1}, which is cut off. Then {0} was asked for a second handover, which it \
                 refused. Neither handover succeeded, so {0} must continue to lead, but it doesn't lead any more (thesis §3.10); \
                 {2}",
                name(leader),
                name(to),
                cluster.who_thinks_what()
            ));
        }
        cluster.connect(to);
        handed_over(cluster, |_| other);
        agree(cluster, 1, 5);
    }
}

/// Crashes the leader during a handover. The caller must not wait any longer, and the handover must not be reported as done.
pub(super) fn transfer_ends_when_leader_crashes(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for round in 0..3 {
        let (leader, handover) = under_way(&stage, round);
        cluster.crash(leader);
        let outcome = handover.outcome(&stage);
        cluster.reached_check();
        if outcome == Some(Ok(())) {
            run::fail(format!(
                "{0} crashed during a handover to a server that was cut off. But {0} reported the handover as done (thesis \
                 §3.10)",
                name(leader)
            ));
        }
        cluster.check_one_leader();
        cluster.start_server(leader);
        cluster.connect_all();
        agree(cluster, 1, 5);
    }
}

/// A call must end within this time after `kill()`. A server that polls whether it was killed polls at least this often.
const WAKES_WITHIN: Duration = ms(300);

/// Does the same with `kill()`, which must end every call that waits inside the server.
pub(super) fn transfer_ends_when_leader_is_killed(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let (leader, handover) = under_way(&stage, 0);
    if let Some(raft) = cluster.raft(leader) {
        run::calling(|| format!("kill() on {}", name(leader)), || raft.kill());
    }
    let told = stage.until(WAKES_WITHIN, || handover.is_over());
    let outcome = handover.outcome(&stage);
    cluster.reached_check();
    if !told || !matches!(outcome, Some(Err(_))) {
        let when = if told { "at once" } else { "too late" };
        run::fail(format!(
            "{0} was killed during a handover to a server that is cut off. {0} returned {when} the outcome {outcome:?}. kill() \
             must end every call that waits inside the server, at once and with an error (see labrpc::api::beyond)",
            name(leader)
        ));
    }
    cluster.crash(leader);
    cluster.check_one_leader();
    cluster.start_server(leader);
    cluster.connect_all();
    agree(cluster, 1, 5);
}

/// Begins a handover to a server that is cut off. Returns the leader and the handover.
fn under_way(stage: &Stage<'_>, round: usize) -> (usize, Handover) {
    let cluster = stage.cluster;
    let leader = Steady::new(stage).leader;
    let to = after(cluster, leader, 1 + round);
    cluster.disconnect(to);
    let handover = Handover::begin(cluster, leader, to);
    cluster.sleep(SOON);
    (leader, handover)
}

/// How the commands of [`Load`] begin.
const LOAD: &[u8] = b"load ";

/// A command that a server accepted.
struct Taken {
    command: Command,
    by: usize,
    term: u64,
}

/// A thread that gives commands to all servers all the time. No two commands are equal.
struct Load {
    stop: Arc<AtomicBool>,
    taken: JoinHandle<BTreeMap<u64, Taken>>,
}

impl Load {
    fn begin(cluster: &Cluster) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let (cluster, until) = (cluster.clone(), stop.clone());
        let taken = spawn("commands", move || {
            let (mut taken, mut number) = (BTreeMap::new(), 0);
            while !until.load(Relaxed) {
                for by in 0..cluster.n() {
                    number += 1;
                    let command = command(format!("load {number}"));
                    if let Ok(Started { index, term }) = cluster.start(by, &command) {
                        taken.insert(index, Taken { command, by, term });
                    }
                }
                cluster.sleep(cluster.draws().millis("between commands", 0..8));
            }
            taken
        });
        Load { stop, taken }
    }

    /// Ends the load. Returns the accepted commands by index.
    fn end(self) -> BTreeMap<u64, Taken> {
        self.stop.store(true, Relaxed);
        joined(self.taken)
    }
}

/// Hands over while commands are given all the time. The successor must have every command that the old leader had accepted, so
/// on a network that loses nothing no command may get lost (thesis §3.10).
pub(super) fn transfer_under_load(cluster: &Cluster) {
    agree(cluster, 1, 5);
    cluster.check_one_leader();
    let load = Load::begin(cluster);
    for round in 0..8 {
        let leader = cluster.check_one_leader();
        let to = after(cluster, leader, 1 + round % 4);
        let (outcome, took) = timed(|| cluster.transfer(leader, to));
        if outcome != Some(Ok(())) || took > OVER_WITHIN {
            run::fail(format!(
                "{0} was asked to hand over to {1} while commands came. After {took:?} the outcome was {outcome:?}, but the \
                 handover should succeed. A leader that hands over must not accept commands, so that its successor catches up \
                 (thesis §3.10); {2}",
                name(leader),
                name(to),
                cluster.who_thinks_what()
            ));
        }
    }
    let taken = load.end();
    let last = agree(cluster, 1, 5);
    cluster.reached_check();
    for index in 1..=last {
        let found = cluster.n_committed(index).1.filter(|found| found.starts_with(LOAD));
        let expected = taken.get(&index);
        if found.as_ref() != expected.map(|taken| &taken.command) {
            let there = found.map_or("none of these commands".into(), |found| show(&found));
            let expected =
                expected.map_or("start() gave this index to no command".into(), |taken| {
                    format!(
                        "{} accepted {} at that index in term {}",
                        name(taken.by),
                        show(&taken.command),
                        taken.term
                    )
                });
            run::fail(format!(
                "the log has {there} at index {index}, but {expected}. The leadership was handed over, and nothing failed. A \
                 leader that hands over must not accept more commands, and must bring its successor up to date before it sends \
                 TimeoutNow (thesis §3.10). So each accepted command must be in the log exactly once, and no refused command may \
                 be in it"
            ));
        }
    }
}
