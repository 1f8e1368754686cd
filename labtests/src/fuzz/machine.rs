//! What the fuzz needs of a Raft: a state machine without threads.

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
/// A call may save, through the [`Persister`] that the server was started with. After each call the fuzz takes the
/// [`Output`]. What it holds counts as said, so everything that it promises must have been saved by then.
///
/// Messages go one way. A Raft of calls and replies numbers its calls, and has both as variants of
/// [`Machine::Message`]. Any message may get lost, arrive late, arrive twice, or reach a later incarnation.
///
/// Random numbers must come from [`labrpc::rand::rng`]; then a run is a function of its seed.
pub trait Machine: Sized + 'static {
    /// What servers send each other.
    type Message: Clone + fmt::Debug;

    /// A server that starts up, perhaps after a crash. It does not hand over its saved snapshot: the service reads that
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

    /// A client reads without the log. The answer comes with a later [`Output`]; a Raft without such reads never answers.
    fn read(&mut self, read: u64, now: Instant) {
        let _ = (read, now);
    }

    /// An operator adds or removes a server. Returns whether that has begun; then a later [`Output`] says that it has ended. A
    /// Raft without changes of members begins none.
    fn change(&mut self, number: u64, change: Change, now: Instant) -> bool {
        let _ = (number, change, now);
        false
    }

    /// An operator hands the leadership to a server. A Raft without transfers ignores it.
    fn transfer(&mut self, to: usize, now: Instant) {
        let _ = (to, now);
    }

    /// The message with an impossible value in one of its numbers; `which` tells which. A Raft that trusts the numbers of its peers
    /// gives back none.
    fn spoil(message: &Self::Message, which: u64, value: u64) -> Option<Self::Message> {
        let _ = (message, which, value);
        None
    }

    /// What the calls since the last one have brought about.
    fn take_output(&mut self) -> Output<Self::Message>;

    /// The state, for the invariants.
    fn look(&self) -> Look;
}

/// A server's start.
pub struct Boot<'a> {
    /// Its number among the servers.
    pub me: usize,
    /// How many times it was started before.
    pub incarnation: u64,
    /// What is the same for all servers of the run.
    pub setup: &'a Setup,
    /// What earlier incarnations have saved.
    pub persister: Persister,
    /// The time on its own clock, which is compared with no other server's, nor with that of an earlier incarnation.
    pub now: Instant,
}

/// The options of a run. A Raft ignores those that it does not have.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many servers there are, members or not.
    pub servers: usize,
    /// The members at first.
    pub members: Members,
    /// How often a leader is heard from.
    pub heartbeat: Duration,
    /// How long a follower waits for a leader.
    pub election_timeout: Range<Duration>,
    /// How long a call may take, for a Raft of calls and replies.
    pub call_timeout: Duration,
    /// How long after a message that got no answer the next one may follow.
    pub retry: Duration,
    /// Whether a leader begins its term with an entry of its own (§8).
    pub no_op_on_election: bool,
    /// Whether a server asks if it would be elected before it becomes a candidate (thesis §9.6).
    pub pre_vote: bool,
    /// Whether a leader without a majority steps down, and followers refuse candidates while they hear a leader (thesis §6.2,
    /// §4.2.3).
    pub check_quorum: bool,
    /// For how long a leader reads without asking (thesis §6.4.1); only with `check_quorum`. The clocks of a run never differ by
    /// more than the shortest election timeout differs from this.
    pub lease: Option<Duration>,
    /// How many bytes of commands go into one message; one entry always goes.
    pub max_batch: usize,
    /// How many messages may be under way to a follower.
    pub max_in_flight: usize,
    /// For how long entries may wait for those before them.
    pub overtaking: Duration,
    /// How many bytes of a snapshot go into one message; `None`: all.
    pub snapshot_chunk: Option<usize>,
    /// How many uncommitted entries a leader may have before it refuses commands; `None`: any number.
    pub max_uncommitted: Option<u64>,
    /// In how many rounds a new server must catch up (thesis §4.2.1).
    pub catch_up_rounds: u32,
}

/// A change of members, one server at a time (thesis §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A server becomes a member.
    Add(usize),
    /// A member leaves.
    Remove(usize),
}

/// What calls have brought about.
#[derive(Debug)]
pub struct Output<M> {
    /// Messages, each with its receiver.
    pub messages: Vec<(usize, M)>,
    /// What the service gets, in order.
    pub applied: Vec<ApplyMsg>,
    /// Which reads have ended, with the index to read at; `None`: this server cannot tell.
    pub reads: Vec<(u64, Option<u64>)>,
    /// Which changes of members have ended, well or not.
    pub changes: Vec<u64>,
}

/// Empty at first, whatever the messages are.
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
    /// Who the members are, in this server's opinion.
    pub members: Members,
}

/// The roles of Figure 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Wants to be elected; also before it has raised its term.
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
    /// If it changes the members, who they are from then on.
    pub members: Option<Members>,
}

/// Tells commands apart.
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

    /// How up to date the log is: the greater, the more (§5.4.1).
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

    /// All configurations in the log, that of the snapshot first.
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
