//! What a leader refuses: a handover that can't be, a second one, and commands in between. And that it leads on if nothing comes of it.

use super::super::steady::Steady;
use super::{Handover, OVER_WITHIN, Outcome, handed_over, timed};
use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name};
use crate::ledger::{command, show};
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

/// What is refused is refused at once: nobody else has to be asked.
const AT_ONCE: Duration = ms(100);

/// A leader that hands over to who is away, by the network or because it is down, leads on, in its term, and takes commands.
pub(super) fn handover_to_nobody(cluster: &Cluster) {
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
                (true, false) => "takes no commands",
                (true, true) => "leads on",
            };
            run::fail(format!(
                "{} was to hand over to {}, which is away. That came to {outcome:?}, and {0} {state}. If the successor doesn't take \
                 over within about an election timeout, the leader goes on as before, and takes commands again (thesis §3.10); {}",
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

/// How soon after the handover has begun it is looked at: nobody gives up so soon.
const SOON: Duration = ms(30);

/// While a handover is under way, the leader takes no commands: the successor would never catch up.
pub(super) fn handover_takes_no_commands(cluster: &Cluster) {
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
                "{} hands over to {}, and start() said {started:?} meanwhile. A leader that hands over takes no commands: \"the prior \
                 leader stops accepting new client requests\" (thesis §3.10); it says Busy",
                name(steady.leader),
                name(to)
            ));
        }
        let _ = handover.outcome(&stage);
        cluster.connect(to);
        agree(cluster, 1, 5);
    }
}

/// Servers that can't succeed, and one that has nothing to hand over.
pub(super) fn bad_successors(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let steady = Steady::new(&stage);
    let (leader, n) = (steady.leader, cluster.n());
    let follower = after(cluster, leader, 1);
    let ask = |of: usize, to: usize, fits: &dyn Fn(&Outcome) -> bool, what: &str| {
        let (outcome, took) = timed(|| cluster.transfer(of, to));
        if !fits(&outcome) || took > AT_ONCE {
            run::fail(format!(
                "{} was to hand over to S{to}, which {what}. After {took:?} it said {outcome:?}: that is to be refused at once, \
                 with the reason (see labrpc::api::beyond::NotTransferred)",
                name(of)
            ));
        }
        steady.undisturbed("Nothing happened but that a handover was refused");
        agree(cluster, 1, n);
    };
    for to in [n, n + 7, usize::MAX] {
        ask(leader, to, &|it| *it == Some(Err(NoSuccessor)), "is no server");
        let fits = |it: &Outcome| matches!(it, Some(Err(NoSuccessor | NotLeader { .. })));
        ask(follower, to, &fits, "is no server, and it doesn't lead itself");
    }
    ask(leader, leader, &|it| *it == Some(Err(NoSuccessor)), "is the leader already");
    for to in 0..n {
        let hint_is_sound = |hint: &Option<usize>| hint.is_none_or(|hint| hint == leader);
        let fits = |it: &Outcome| match it {
            Some(Err(NotLeader { leader })) => hint_is_sound(leader),
            Some(Err(NoSuccessor)) => to == follower,
            _ => false,
        };
        ask(follower, to, &fits, "it can't, for another server leads, and has long been heard");
    }
}

/// A second handover while the first is under way, to the same server and to others; and the first one goes its way.
pub(super) fn one_handover_at_a_time(cluster: &Cluster) {
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
                    "{0} hands over to {1}, and was to hand over to {2} meanwhile. After {took:?} that came to {outcome:?}; it is to be \
                     refused at once, as UnderWay: a leader hands over to one server (thesis §3.10)",
                    name(leader),
                    name(to),
                    name(second)
                ));
            }
        }
        let _ = first.outcome(&stage);
        if !steady.leads() {
            run::fail(format!(
                "{} leads no more: it was to hand over to {}, which is away, and was refused a second handover meanwhile. Nothing came \
                 of either, so it leads on (thesis §3.10); {}",
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

/// The leader crashes while it waits for its successor. Nobody waits for it any longer.
pub(super) fn handover_of_a_crashed_leader(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for round in 0..3 {
        let (leader, handover) = under_way(&stage, round);
        cluster.crash(leader);
        let outcome = handover.outcome(&stage);
        cluster.reached_check();
        if outcome == Some(Ok(())) {
            run::fail(format!(
                "{} has crashed, and says that it has handed over to a server that was away",
                name(leader)
            ));
        }
        cluster.check_one_leader();
        cluster.start_server(leader);
        cluster.connect_all();
        agree(cluster, 1, 5);
    }
}

/// A server that looks now and then whether it is killed looks as often as that.
const WAKES_WITHIN: Duration = ms(300);

/// The same with `kill`, which ends the wait of all who are inside a server.
pub(super) fn handover_of_a_killed_leader(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let (leader, handover) = under_way(&stage, 0);
    if let Some(raft) = cluster.raft(leader) {
        run::calling(|| format!("kill() on {}", name(leader)), || raft.kill());
    }
    let told = stage.until(WAKES_WITHIN, || handover.is_over());
    let outcome = handover.outcome(&stage);
    cluster.reached_check();
    if !told || !matches!(outcome, Some(Err(_))) {
        let when = if told { "at once" } else { "late" };
        run::fail(format!(
            "{} was killed while it handed over to a server that is away, and said {when} that this came to {outcome:?}; kill() ends \
             the wait of whoever is inside the server (see labrpc::api::beyond)",
            name(leader)
        ));
    }
    cluster.crash(leader);
    cluster.check_one_leader();
    cluster.start_server(leader);
    cluster.connect_all();
    agree(cluster, 1, 5);
}

/// A leader that hands over to who is cut off.
fn under_way(stage: &Stage<'_>, round: usize) -> (usize, Handover) {
    let cluster = stage.cluster;
    let leader = Steady::new(stage).leader;
    let to = after(cluster, leader, 1 + round);
    cluster.disconnect(to);
    let handover = Handover::begin(cluster, leader, to);
    cluster.sleep(SOON);
    (leader, handover)
}

/// How its commands begin.
const LOAD: &[u8] = b"load ";

/// A command that somebody took.
struct Taken {
    command: Command,
    by: usize,
    term: u64,
}

/// Commands for everybody, all the while, no two alike.
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

    /// What was taken, by index.
    fn end(self) -> BTreeMap<u64, Taken> {
        self.stop.store(true, Relaxed);
        joined(self.taken)
    }
}

/// Commands all the while. The successor has all that the old leader had taken, so on a network that loses nothing none is lost.
pub(super) fn handover_under_load(cluster: &Cluster) {
    agree(cluster, 1, 5);
    cluster.check_one_leader();
    let load = Load::begin(cluster);
    for round in 0..8 {
        let leader = cluster.check_one_leader();
        let to = after(cluster, leader, 1 + round % 4);
        let (outcome, took) = timed(|| cluster.transfer(leader, to));
        if outcome != Some(Ok(())) || took > OVER_WITHIN {
            run::fail(format!(
                "{} was to hand over to {} while commands came; after {took:?} that came to {outcome:?}. A leader that hands over \
                 takes no more commands, so that its successor catches up (thesis §3.10); {}",
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
            let expected = expected.map_or("start() gave that index to none".into(), |taken| {
                format!(
                    "{} took {} there in term {}",
                    name(taken.by),
                    show(&taken.command),
                    taken.term
                )
            });
            run::fail(format!(
                "At index {index} is {there}, and {expected}. Nothing failed but that the leadership was handed over. A leader that \
                 hands over takes no more commands, and its successor has all that it has taken before it is told to stand (thesis \
                 §3.10): what was taken is there, once, and what was refused isn't"
            ));
        }
    }
}
