//! Figure 2, "State": what a server knows.
//!
//! Everything that Raft decides is a method of [`State`] with `&mut self`. None of them can wait, send or take
//! a lock, and each is tested without a thread. [`threads`](super::threads) decides when they run.

use super::flow::{Pace, Sent, Ticket};
use super::install_snapshot::{Incoming, Outgoing};
use super::log::Log;
use super::membership::{self, Change};
use super::options::Options;
use super::persist::{self, Disk};
use super::transfer::Transfer;
use labrpc::Persister;
use labrpc::api::Snapshot;
use labrpc::time::Instant;
use std::collections::BTreeSet;

/// A server's state.
pub struct State {
    // Who we are.
    /// Our own number among the servers.
    pub me: usize,
    /// How many servers the network has, with us. Who of them are members, the log says.
    pub servers: usize,
    /// The timeouts, and what is on.
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
    /// When a leader of its term was last heard.
    pub heard_leader_at: Instant,
    /// A snapshot that the service is to get before any further command.
    pub snapshot_to_apply: Option<Snapshot>,
    /// A snapshot that comes in pieces, as far as it is here.
    pub incoming: Option<Incoming>,
    /// What was sent to each server, in the current role.
    pub sent: Vec<Sent>,
    /// How many messages were sent in all, and how many calls have ended.
    pub sends: u64,
    /// See [`State::sends`].
    pub calls_ended: u64,
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
    /// Would stand for election, and asks first whether it could win (thesis §9.6).
    PreCandidate {
        /// What the others say.
        ballot: Ballot,
    },
    /// Stands for election.
    Candidate {
        /// The votes so far.
        ballot: Ballot,
        /// Whether the leader has told it to stand (thesis §3.10).
        called: bool,
    },
    /// Handles all commands.
    Leader {
        /// "Volatile state on leaders", a row for each server; our own is not used.
        progress: Vec<Progress>,
        /// What else it is at.
        reign: Reign,
    },
}

/// What a candidate has heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// Who has granted a vote, with us.
    pub votes: BTreeSet<usize>,
    /// Who has answered at all. The paper retries each RPC until it is answered (§5.5), so the others are asked again.
    pub answered: BTreeSet<usize>,
}

/// Figure 2, "Volatile state on leaders", for one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// "Index of the next log entry to send to that server".
    pub next_index: u64,
    /// "Index of highest log entry known to be replicated on server"; 0 while nothing is known.
    pub match_index: u64,
    /// The latest message that it has answered in this term.
    pub answered: Option<Ticket>,
    /// Whether we know where its log ends.
    pub pace: Pace,
    /// The snapshot that it is being sent.
    pub outgoing: Option<Outgoing>,
    /// How many messages had been sent when it was last made a member, if that was in this reign: replies to those before speak of a
    /// server that may have been replaced.
    pub since: u64,
}

/// A leader's term of office, beyond Figure 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reign {
    /// When it was elected.
    pub since: Instant,
    /// Reads wait for a majority to answer messages sent after this one.
    pub confirm: u64,
    /// The leadership is being handed over.
    pub transfer: Option<Transfer>,
    /// Whether somebody was told to stand for election in spite of us: a lease is void then, to the end of the term.
    pub has_called: bool,
    /// The members are being changed.
    pub change: Option<Change>,
}

impl State {
    /// A server that starts up, perhaps after a crash.
    ///
    /// # Panics
    /// If an option cannot be right ([`Options::validate`]).
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
        let members = membership::at_first(&options, servers);
        let (saved, commit_index) = persist::restore(&persister, members);
        let mut state = State {
            me,
            servers,
            options,
            current_term: saved.current_term,
            voted_for: saved.voted_for,
            disk: Disk::new(persister, &saved),
            // What a snapshot covers has been committed, and the service reads the saved snapshot itself.
            commit_index,
            last_applied: saved.log.last_included_index(),
            log: saved.log,
            role: Role::Follower { leader: None },
            election_deadline: now,
            // Before a crash, it may have heard one. Had it forgotten, it could help depose a leader that still counts on
            // it (thesis §6.4.1).
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

    /// Who this server believes is the leader.
    pub fn leader(&self) -> Option<usize> {
        match self.role {
            Role::Leader { .. } => Some(self.me),
            Role::Follower { leader } => leader,
            Role::PreCandidate { .. } | Role::Candidate { .. } => None,
        }
    }
}
