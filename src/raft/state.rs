//! Figure 2, "State": what a server knows.
//!
//! Everything that Raft decides is a method of [`State`] with `&mut self`. None of them can wait, send or take
//! a lock, and each is tested without a thread. [`threads`](super::threads) decides when they run.

use super::log::Log;
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
    /// How many servers there are, with us.
    pub servers: usize,
    /// The timeouts.
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
    /// "Index of highest log entry applied to state machine": here, handed to the service or just about to be.
    pub last_applied: u64,
    /// Follower, candidate or leader, with what only that role has.
    pub role: Role,
    /// When this server stands for election, unless it hears from a leader or grants a vote.
    pub election_deadline: Instant,
    /// A snapshot that the service is to get before any further command.
    pub snapshot_to_apply: Option<Snapshot>,
    /// What was sent to each server last.
    pub sent: Vec<Sent>,
    /// Set by `kill`: every thread ends.
    pub killed: bool,
}

/// §5.1: "At any given time each server is in one of three states".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Passive: answers candidates and leaders.
    Follower {
        /// The leader of the current term, once it has been heard from.
        leader: Option<usize>,
    },
    /// Stands for election.
    Candidate {
        /// Who has granted a vote, with us.
        votes: BTreeSet<usize>,
        /// Who has answered at all. The paper retries each RPC until it is answered (§5.5), so the others are asked
        /// again.
        answered: BTreeSet<usize>,
    },
    /// Handles all commands.
    Leader {
        /// "Volatile state on leaders", a row for each server; our own is not used.
        progress: Vec<Progress>,
    },
}

/// Figure 2, "Volatile state on leaders", for one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// "Index of the next log entry to send to that server".
    pub next_index: u64,
    /// "Index of highest log entry known to be replicated on server"; 0 while nothing is known.
    pub match_index: u64,
}

/// When something was last sent to a server, in the current role.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// When.
    pub at: Option<Instant>,
    /// It got no reply, so what was in it may have to be sent again.
    pub unanswered: bool,
}

impl State {
    /// A server that starts up, perhaps after a crash.
    pub fn new(
        me: usize,
        servers: usize,
        persister: Persister,
        options: Options,
        now: Instant,
    ) -> State {
        let saved = persist::restore(&persister);
        let mut state = State {
            me,
            servers,
            options,
            current_term: saved.current_term,
            voted_for: saved.voted_for,
            disk: Disk::new(persister, &saved),
            // What a snapshot covers has been committed, and the service reads the saved snapshot itself.
            commit_index: saved.log.last_included_index(),
            last_applied: saved.log.last_included_index(),
            log: saved.log,
            role: Role::Follower { leader: None },
            election_deadline: now,
            snapshot_to_apply: None,
            sent: vec![Sent::default(); servers],
            killed: false,
        };
        state.reset_election_timer(now);
        state
    }

    /// Whether this server believes that it is the leader.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    /// Who this server believes is the leader.
    pub fn leader(&self) -> Option<usize> {
        match self.role {
            Role::Leader { .. } => Some(self.me),
            Role::Follower { leader } => leader,
            Role::Candidate { .. } => None,
        }
    }
}
