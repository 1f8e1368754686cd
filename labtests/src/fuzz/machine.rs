//! What the fuzz needs from a Raft: a state machine without threads.

use labrpc::Persister;
use labrpc::api::{ApplyMsg, Command, Snapshot};
use labrpc::time::{Duration, Instant};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

/// The servers that vote, and whose logs count.
pub type Members = BTreeSet<usize>;

/// A Raft without threads: everything that happens to a server is a call, and no call waits.
///
/// A call may save through the [`Persister`] that the server was started with. After each call the fuzz takes the [`Output`].
/// Everything in it counts as sent to others, so everything that it promises must have been saved by then.
///
/// Messages go one way. A Raft of calls and replies numbers its calls and has both as variants of [`Machine::Message`]. Any
/// message may be dropped, delayed or duplicated, or reach a later incarnation.
///
/// Random numbers must come from [`labrpc::rand::rng`]; then a run is a function of its seed.
pub trait Machine: Sized + 'static {
    /// What servers send each other.
    type Message: Clone + fmt::Debug;

    /// Starts a server, perhaps after a crash. The server does not deliver its saved snapshot: the service reads the snapshot
    /// from the persister.
    fn start(boot: Boot<'_>) -> Self;

    /// Time has passed. The fuzz calls this at irregular moments, sometimes late, as a busy machine does.
    fn tick(&mut self, now: Instant);

    /// A message has arrived.
    fn receive(&mut self, from: usize, message: Self::Message, now: Instant);

    /// A client offers a command. Returns whether the server has added it to its log.
    fn propose(&mut self, command: Command, now: Instant) -> bool;

    /// The service has made a snapshot of everything up to `index`. It may come late, and after a newer one.
    fn snapshot(&mut self, index: u64, snapshot: Snapshot, now: Instant);

    /// A client asks for a read that does not go through the log. The answer comes with a later [`Output`]; a Raft without such
    /// reads never answers.
    fn read(&mut self, read: u64, now: Instant) {
        let _ = (read, now);
    }

    /// An operator adds or removes a server. Returns whether the change has begun; if so, a later [`Output`] says that it has
    /// ended. A Raft without configuration changes begins none.
    fn change(&mut self, number: u64, change: Change, now: Instant) -> bool {
        let _ = (number, change, now);
        false
    }

    /// An operator asks for a transfer of leadership to a server. A Raft without transfers ignores this.
    fn transfer(&mut self, to: usize, now: Instant) {
        let _ = (to, now);
    }

    /// The message with an impossible value in one of its numbers; `which` chooses the number. A Raft that trusts the numbers
    /// of its peers returns `None`.
    fn corrupt(message: &Self::Message, which: u64, value: u64) -> Option<Self::Message> {
        let _ = (message, which, value);
        None
    }

    /// The results of the calls since the last output.
    fn take_output(&mut self) -> Output<Self::Message>;

    /// The state, for the invariants.
    fn look(&self) -> Look;
}

/// What a server gets when it starts.
pub struct Boot<'a> {
    /// Its number among the servers.
    pub me: usize,
    /// How many times it was started before.
    pub incarnation: u64,
    /// The options that are the same for all servers of the run.
    pub setup: &'a Setup,
    /// What earlier incarnations saved.
    pub persister: Persister,
    /// The time on the server's own clock. It is never compared with the clock of another server or of an earlier incarnation.
    pub now: Instant,
}

/// The options of a run. A Raft ignores options that it does not support.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many servers there are, including those that are not members.
    pub servers: usize,
    /// The initial members.
    pub members: Members,
    /// How often a leader sends heartbeats.
    pub heartbeat: Duration,
    /// The range of election timeouts.
    pub election_timeout: Range<Duration>,
    /// For a Raft of calls and replies: how long to wait for a reply.
    pub call_timeout: Duration,
    /// After a message without an answer, how long to wait before the next one.
    pub retry: Duration,
    /// Whether a leader begins its term with an entry of its own (§8).
    pub no_op_on_election: bool,
    /// Whether a server asks whether it would win an election before it becomes a candidate (thesis §9.6).
    pub pre_vote: bool,
    /// Whether a leader without a majority steps down, and followers refuse candidates while they hear a leader (thesis §6.2,
    /// §4.2.3).
    pub check_quorum: bool,
    /// How long a leader may serve reads without asking others (thesis §6.4.1); only with `check_quorum`. The clocks of a run
    /// differ by so little that no clock counts the lease while another counts more than the shortest election timeout.
    pub lease: Option<Duration>,
    /// How many bytes of commands fit into one message. One entry is always allowed.
    pub max_batch: usize,
    /// How many messages to a follower may be unanswered at a time.
    pub max_in_flight: usize,
    /// How long entries may wait for the entries before them to arrive.
    pub overtaking: Duration,
    /// How many bytes of a snapshot go into one message; `None`: the whole snapshot.
    pub snapshot_chunk: Option<usize>,
    /// How many uncommitted entries a leader may have before it refuses commands; `None`: no limit.
    pub max_uncommitted: Option<u64>,
    /// In how many rounds a new server must catch up (thesis §4.2.1).
    pub catch_up_rounds: u32,
}

/// A configuration change, one server at a time (thesis §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A server becomes a member.
    Add(usize),
    /// A member leaves.
    Remove(usize),
}

/// The results of calls.
#[derive(Debug)]
pub struct Output<M> {
    /// Messages with their receivers.
    pub messages: Vec<(usize, M)>,
    /// Messages for the service, in order.
    pub applied: Vec<ApplyMsg>,
    /// The reads that have ended, with the index to read at; `None`: this server cannot know it.
    pub reads: Vec<(u64, Option<u64>)>,
    /// The configuration changes that have ended, successfully or not.
    pub changes: Vec<u64>,
}

/// Empty at first. Not derived, because that would require `M: Default`.
impl<M> Default for Output<M> {
    fn default() -> Self {
        Output { messages: Vec::new(), applied: Vec::new(), reads: Vec::new(), changes: Vec::new() }
    }
}

/// A server's state, as the invariants see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its role.
    pub role: Role,
    /// "Latest term server has seen".
    pub term: u64,
    /// "CandidateId that received vote in current term (or null if none)".
    pub voted_for: Option<usize>,
    /// "Index of highest log entry known to be committed".
    pub commit_index: u64,
    /// Where the log begins.
    pub base: Base,
    /// The entries after that.
    pub entries: Vec<Entry>,
    /// The members, as far as this server knows.
    pub members: Members,
}

/// The roles of Figure 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Wants to be elected. This includes a server in pre-vote, before it raises its term.
    Candidate,
    /// Handles commands.
    Leader,
}

/// The end of the snapshot; without one, index 0 and term 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The last index that the snapshot covers.
    pub index: u64,
    /// The term of the entry there.
    pub term: u64,
    /// The members as of there.
    pub members: Members,
}

/// A log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The term of the leader that created it.
    pub term: u64,
    /// [`digest`] of its command; something else for an entry of Raft's own.
    pub content: u64,
    /// If the entry changes the members, the new members.
    pub members: Option<Members>,
}

/// A number that identifies a command.
pub fn digest(bytes: &[u8]) -> u64 {
    // FNV-1a
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold)
}

impl Look {
    /// The index of the last entry.
    pub fn last_index(&self) -> u64 {
        self.base.index + self.entries.len() as u64
    }

    /// The term of the last entry.
    pub fn last_term(&self) -> u64 {
        self.entries.last().map_or(self.base.term, |entry| entry.term)
    }

    /// How up to date the log is: larger is more up to date (§5.4.1).
    pub fn log_end(&self) -> (u64, u64) {
        (self.last_term(), self.last_index())
    }

    /// The entry at `index`, unless it is in the snapshot or beyond the end.
    pub fn entry(&self, index: u64) -> Option<&Entry> {
        self.entries.get(index.checked_sub(self.base.index + 1)? as usize)
    }

    /// The term at `index`, unless it is before the end of the snapshot or beyond the end of the log.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        match index == self.base.index {
            true => Some(self.base.term),
            false => self.entry(index).map(|entry| entry.term),
        }
    }

    /// All configurations in the log, starting with the one of the snapshot.
    pub fn configurations(&self) -> impl Iterator<Item = &Members> {
        let changes = self.entries.iter().filter_map(|entry| entry.members.as_ref());
        std::iter::once(&self.base.members).chain(changes)
    }

    /// The latest configuration in the log, committed or not (thesis §4.1).
    pub fn configuration(&self) -> &Members {
        let changes = self.entries.iter().rev().find_map(|entry| entry.members.as_ref());
        changes.unwrap_or(&self.base.members)
    }
}
