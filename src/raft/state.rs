//! Figure 2, "State": what a server knows.
//!
//! Everything that Raft decides is a method of [`State`] with `&mut self`. None of them can wait, send or take
//! a lock, and each is tested without a thread. [`threads`](super::threads) decides when they run.

use super::beyond::chunks::{Incoming, Outgoing};
use super::beyond::flow::Mode;
use super::beyond::membership::{self, PendingChange};
use super::beyond::transfer::Transfer;
use super::log::Log;
use super::messages::{Sent, Ticket};
use super::options::Options;
use super::persist::{self, Disk};
use labrpc::Persister;
use labrpc::api::Snapshot;
use labrpc::time::Instant;
use std::collections::BTreeSet;

/// A server's state.
pub struct State {
    // Who we are.
    /// Our own number among the servers.
    pub me: usize,
    /// How many servers the network has, including us. The log says which of them are members.
    pub servers: usize,
    /// The timeouts and switches.
    pub options: Options,

    // Persistent state on all servers, saved before responding to RPCs (see persist.rs).
    /// "Latest term server has seen".
    pub current_term: u64,
    /// "CandidateId that received vote in current term (or null if none)".
    pub voted_for: Option<usize>,
    /// "Log entries".
    pub log: Log,
    /// Where those three are saved.
    pub disk: Disk,

    // Volatile state on all servers.
    /// "Index of highest log entry known to be committed".
    pub commit_index: u64,
    /// "Index of highest log entry applied to state machine". Here, "applied" means handed to the service, or about to be.
    pub last_applied: u64,
    /// Follower, candidate or leader, with what only that role has.
    pub role: Role,
    /// When this server becomes a candidate, unless it hears from a leader or grants a vote before.
    pub election_deadline: Instant,
    /// A snapshot that the service has to get before any further command.
    pub snapshot_to_apply: Option<Snapshot>,
    /// What was sent to each server in the current role.
    pub sent: Vec<Sent>,
    /// How many messages this server has sent.
    pub sends: u64,
    /// How many calls of this server have ended, with a reply or without.
    pub calls_ended: u64,
    /// Set by `kill`: every thread ends.
    pub killed: bool,

    // Beyond the lab.
    /// When this server last heard from a leader of its term. See [`check_quorum`](super::beyond::check_quorum).
    pub heard_leader_at: Instant,
    /// The chunks of a snapshot that have arrived. See [`chunks`](super::beyond::chunks).
    pub incoming: Option<Incoming>,
}

/// §5.1: "At any given time each server is in one of three states".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Passive: answers candidates and leaders.
    Follower {
        /// The leader of the current term, once this server has heard from it.
        leader: Option<usize>,
    },
    /// Asks for votes.
    Candidate {
        /// The votes so far.
        ballot: Ballot,
        /// Beyond the lab: whether the leader has told this server to become a candidate (thesis §3.10).
        by_transfer: bool,
    },
    /// Handles all commands.
    Leader {
        /// "Volatile state on leaders", a row for each server. A leader does not use its own row.
        progress: Vec<Progress>,
        /// Beyond the lab.
        leadership: LeaderState,
    },
    /// Beyond the lab: asks whether it could win, before it becomes a candidate (thesis §9.6).
    PreCandidate {
        /// The pre-votes so far.
        ballot: Ballot,
    },
}

/// The answers that a candidate has received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// The servers that have granted a vote, including us.
    pub votes: BTreeSet<usize>,
    /// The servers that have answered at all. The paper retries each RPC until it is answered (§5.5), so the others are asked
    /// again.
    pub answered: BTreeSet<usize>,
}

/// Figure 2, "Volatile state on leaders", for one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// "Index of the next log entry to send to that server".
    pub next_index: u64,
    /// "Index of highest log entry known to be replicated on server"; 0 while nothing is known.
    pub match_index: u64,

    // Beyond the lab.
    /// The latest of our messages that this server has answered in this term.
    pub answered: Option<Ticket>,
    /// How the leader sends to it.
    pub mode: Mode,
    /// The snapshot that the leader is sending to it.
    pub outgoing: Option<Outgoing>,
    /// The number of the last message that the leader had sent when it began to add this server, if that was in this term;
    /// otherwise 0. Replies to that message and to earlier ones do not count, because they may come from a former server of this
    /// number.
    pub since: u64,
}

impl Progress {
    /// What a new leader knows of a server.
    pub fn new(next_index: u64) -> Progress {
        Progress {
            next_index,
            match_index: 0,
            answered: None,
            mode: Mode::Probe,
            outgoing: None,
            since: 0,
        }
    }
}

/// Beyond the lab: what else a leader remembers in its term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderState {
    /// When the leader was elected.
    pub since: Instant,
    /// The number of a message. Reads wait until a majority has answered messages with higher numbers.
    pub confirm: u64,
    /// The leadership transfer in progress.
    pub transfer: Option<Transfer>,
    /// Whether the leader has told a server to become a candidate. From then on the leader has no lease, to the end of its term.
    pub timeout_now_sent: bool,
    /// The configuration change in progress.
    pub change: Option<PendingChange>,
}

impl LeaderState {
    /// The state at the election.
    pub fn new(since: Instant) -> LeaderState {
        LeaderState { since, confirm: 0, transfer: None, timeout_now_sent: false, change: None }
    }
}

impl State {
    /// A server that starts up, perhaps after a crash.
    ///
    /// # Panics
    /// If an option is invalid ([`Options::validate`]).
    pub fn new(
        me: usize,
        servers: usize,
        persister: Persister,
        options: Options,
        now: Instant,
    ) -> State {
        if let Err(invalid) = options.validate(servers) {
            panic!("{invalid}");
        }
        let members = membership::initial_members(&options, servers);
        let (saved, commit_index) = persist::restore(&persister, members);
        let mut state = State {
            me,
            servers,
            options,
            current_term: saved.current_term,
            voted_for: saved.voted_for,
            disk: Disk::new(persister, &saved),
            // The entries that a snapshot covers are committed, and the service reads the saved snapshot itself.
            commit_index,
            last_applied: saved.log.last_included_index(),
            log: saved.log,
            role: Role::Follower { leader: None },
            election_deadline: now,
            // Before a crash, this server may have heard from a leader, and now it cannot know that. If it voted at once, it
            // could help to depose a leader that still relies on it (thesis §6.4.1).
            heard_leader_at: now,
            snapshot_to_apply: None,
            incoming: None,
            sent: vec![Sent::default(); servers],
            sends: 0,
            calls_ended: 0,
            killed: false,
        };
        state.reset_election_timer(now);
        state
    }

    /// Whether this server believes that it is the leader.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    /// The leader, as far as this server knows.
    pub fn leader(&self) -> Option<usize> {
        match self.role {
            Role::Leader { .. } => Some(self.me),
            Role::Follower { leader } => leader,
            Role::PreCandidate { .. } | Role::Candidate { .. } => None,
        }
    }
}
