//! One trial: the leader of a cluster crashes, and we measure how long it takes until all servers hear from another leader.
//!
//! It is the worst case of section 9.3. No two logs are equally long, so that only some servers can win. The election timers
//! start together, because the leader sends a heartbeat to all servers at once. The leader crashes before it would send the
//! next heartbeat, at a random moment in the heartbeat interval, which is half of the shortest election timeout. To make that
//! so, the rule of the network holds the leader's heartbeats until there is one for every server, and then releases them.

use super::conditions::Conditions;
use super::watch::Watch;
use labrpc::api::{ApplyMsg, Command};
use labrpc::channel::{self, Receiver};
use labrpc::run::{Failure, Run};
use labrpc::thread::{Group, bury};
use labrpc::time::{Duration, Instant, sleep};
use labrpc::trace::Event;
use labrpc::{Network, Persister, Server, rand};
use parking_lot::Mutex;
use raftlab::raft::log::{Entry, Log, Payload};
use raftlab::raft::persist::Saved;
use raftlab::raft::{Options, Raft};
use std::ops::Range;
use std::sync::Arc;

/// The server that leads at first, and crashes.
pub const OLD_LEADER: usize = 0;

/// After this time without a leader, a trial ends. The axis of the paper ends there, too.
pub const PATIENCE: Duration = Duration::from_secs(100);

/// The election timeout of the old leader. Its election takes at most two ways of 2 ms, so no other server becomes a candidate
/// meanwhile, and the old leader does not start a second election.
const FIRST_ELECTION: Duration = Duration::from_millis(5);

/// How often a trial checks whether the old leader has been elected, and later whether there is a new leader. The trace has the
/// exact times, to the microsecond.
const LOOKS_EVERY: Duration = Duration::from_micros(100);
const LOOKS_LATER_EVERY: Duration = Duration::from_millis(1);

/// The outcome of a trial. Times are counted from the crash; `None`: not within [`PATIENCE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The time until a server became leader.
    pub elected: Option<Duration>,
    /// The time until all servers had heard from a new leader. This is how the thesis measures (§9.4).
    pub replaced: Option<Duration>,
    /// How many elections there were. This is the number of terms, because each term begins with an election (§5.1).
    pub elections: u64,
}

/// Runs one trial.
///
/// # Errors
/// Something that must never fail did, such as an assertion of the Raft.
pub fn run(
    seed: u64,
    timeouts: Range<Duration>,
    conditions: &Conditions,
) -> Result<Outcome, Box<Failure>> {
    let watch = Arc::new(Mutex::new(Watch::new(conditions.servers())));
    let (sink, conditions) = (watch.clone(), conditions.clone());
    let run = Run::simulated(seed).trace(move |event: &Event| sink.lock().event(event));
    let run = run.time_limit(PATIENCE * 2);
    run.run(move || act(&timeouts, &conditions, &watch)).result.map_err(Box::new)
}

fn act(timeouts: &Range<Duration>, conditions: &Conditions, watch: &Mutex<Watch>) -> Outcome {
    let draws = rand::tester();
    let before_crash = draws.below("crash after", heartbeat(timeouts).as_micros() as u64);
    let before_crash = Duration::from_micros(before_crash);
    let conditions = conditions.dealt_out(&draws);
    let network = Network::new();
    let rule = conditions.clone();
    network.intercept(move |letter| rule.fate(letter));
    let start = |me| Member::start(&network, me, &conditions, timeouts);
    let mut servers: Vec<_> = (0..conditions.servers()).map(start).collect();

    while network.held().len() < conditions.servers() - 1 {
        sleep(LOOKS_EVERY); // until the old leader leads
    }
    let broadcast = Instant::now();
    let first_term = watch.lock().last_term;
    for (after, what) in last_deeds(&conditions, before_crash) {
        sleep((broadcast + after).saturating_duration_since(Instant::now()));
        match what {
            Deed::Heartbeat(end) => _ = network.release(|letter| *letter.end == *end),
            Deed::Crash => servers.remove(OLD_LEADER).crash(&network),
        }
    }

    let crash = broadcast + before_crash;
    while watch.lock().replaced.is_none() && Instant::now() < crash + PATIENCE {
        sleep(LOOKS_LATER_EVERY);
    }
    servers.into_iter().for_each(|server| server.crash(&network));
    let watch = watch.lock();
    let since_crash = |at: Duration| Instant::at(at).saturating_duration_since(crash);
    Outcome {
        elected: watch.elected.map(since_crash),
        replaced: watch.replaced.map(since_crash),
        elections: watch.last_term - first_term,
    }
}

/// What happens to the old leader.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    /// Its heartbeat on this end arrives.
    Heartbeat(String),
    Crash,
}

/// The events after the old leader's broadcast, with their times. A heartbeat arrives after the average time of a message, so
/// in one place all heartbeats arrive at the same moment. Heartbeats that are under way when the leader crashes arrive as well.
fn last_deeds(conditions: &Conditions, before_crash: Duration) -> Vec<(Duration, Deed)> {
    let heartbeats = (1..conditions.servers()).map(|to| {
        let end = format!("S{OLD_LEADER}->S{to}");
        (conditions.way(OLD_LEADER, to), Deed::Heartbeat(end))
    });
    let mut deeds: Vec<_> = heartbeats.chain([(before_crash, Deed::Crash)]).collect();
    deeds.sort();
    deeds
}

/// "Half of the minimum election timeout".
fn heartbeat(timeouts: &Range<Duration>) -> Duration {
    timeouts.start / 2
}

/// A server, with everything that belongs to it.
struct Member {
    raft: Arc<Raft>,
    group: Group,
    ends: Vec<String>,
    /// Nothing is committed in a trial, so nothing arrives here.
    _applied: Receiver<ApplyMsg>,
}

impl Member {
    fn start(
        network: &Network,
        me: usize,
        conditions: &Conditions,
        timeouts: &Range<Duration>,
    ) -> Member {
        let servers = conditions.servers();
        let ends: Vec<_> = (0..servers).map(|to| format!("S{me}->S{to}")).collect();
        let peers = ends.iter().enumerate().map(|(to, end)| {
            let peer = network.make_end(end.as_str());
            network.connect(end, &format!("S{to}"));
            network.enable(end, true);
            peer
        });
        let peers = peers.collect();
        let (options, persister) = (options(me, timeouts, conditions), saved(me, servers));
        let (apply_ch, applied) = channel::bounded(0);
        let group = Group::new(format!("S{me}"));
        let raft = group.enter(|| {
            let (raft, services) = Raft::make_with(options, peers, me, persister, apply_ch);
            network.add_server(group.name(), Server::new(services));
            raft
        });
        Member { raft: raft.expect("nobody crashes it yet"), group, ends, _applied: applied }
    }

    fn crash(self, network: &Network) {
        network.delete_server(self.group.name());
        self.ends.iter().for_each(|end| network.delete_end(end));
        self.group.crash();
        bury(self.raft);
    }
}

/// The state that a server has saved before the trial. In the first term, the old leader replicated its log to each server up
/// to a different index: each server has one entry less than the one before.
fn saved(me: usize, servers: usize) -> Persister {
    let mut log = Log::new((0..servers).collect());
    for _ in me..servers {
        log.append(Entry { term: 1, payload: Payload::Command(Command::default()) });
    }
    let persister = Persister::new();
    persister.save_state(&Saved { current_term: 1, voted_for: Some(OLD_LEADER), log });
    persister
}

fn options(me: usize, timeouts: &Range<Duration>, conditions: &Conditions) -> Options {
    let Range { start, end } =
        if me == OLD_LEADER { FIRST_ELECTION..FIRST_ELECTION } else { timeouts.clone() };
    Options {
        heartbeat: heartbeat(timeouts),
        // No random number can be chosen from an empty range.
        election_timeout: start..end.max(start + Duration::from_nanos(1)),
        call_timeout: conditions.call_timeout(),
        // A leader retries no earlier than its next heartbeat, because the replies to its heartbeats are dropped.
        retry: heartbeat(timeouts),
        ..Options::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn trial(seed: u64, timeouts: Range<u64>) -> Outcome {
        let conditions = Conditions::one_place(None, 8).unwrap();
        run(seed, ms(timeouts.start)..ms(timeouts.end), &conditions).unwrap()
    }

    /// "The smallest possible downtime was about half of the minimum election timeout".
    #[test]
    fn nobody_is_replaced_before_half_of_the_shortest_timeout() {
        for seed in 1..=20 {
            let Outcome { elected, replaced, elections } = trial(seed, 150..300);
            let (elected, replaced) = (elected.unwrap(), replaced.unwrap());
            // Two ways and a write for the vote; then one way for the heartbeat.
            assert!(elected >= ms(75 + 2 + 2 + 8) && replaced >= elected + ms(2), "seed {seed}");
            assert!(elections >= 1);
        }
    }

    #[test]
    fn a_trial_is_a_function_of_its_seed() {
        assert_eq!(trial(7, 150..155), trial(7, 150..155));
        assert_ne!(trial(7, 150..155), trial(8, 150..155));
    }

    /// Timers sometimes differ by half a microsecond, which is not as much as the time of a message.
    #[test]
    fn without_randomness_votes_split_for_ever() {
        let Outcome { replaced, elections, .. } = trial(1, 150..150);
        assert_eq!(replaced, None);
        assert!(elections > 600, "{elections}");
    }

    /// "Two of the four servers were not eligible to become leader" (thesis, §9.4).
    #[test]
    fn two_of_the_four_that_are_left_can_win() {
        let length = |me| saved(me, 5).raft_state::<Saved>().unwrap().log.last_index();
        let voters = |me: usize| (1..5).filter(|voter| length(*voter) <= length(me)).count();
        let eligible: Vec<_> = (1..5).filter(|me| voters(*me) >= 3).collect();
        assert_eq!(eligible, [1, 2]);
        assert!((1..5).all(|me| length(OLD_LEADER) > length(me)));
    }
}
