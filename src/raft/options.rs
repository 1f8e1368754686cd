//! The numbers that Raft leaves open, and what goes beyond the lab.

use super::membership::Members;
use std::ops::Range;
use std::time::Duration;

/// Timeouts and switches, each with its reason. The default is the lab's Raft.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often a leader is heard from when there is nothing to say. The lab allows at most ten a second.
    pub heartbeat: Duration,
    /// How long a follower waits for a leader before it stands itself; each wait is drawn anew from this range
    /// (§5.2). Longer than the paper's 150-300 ms: heartbeats come only every 100 ms here, and on a busy machine late.
    /// The range is wide, so that split votes are rare, and short enough for several elections in the 5 s that the
    /// lab allows.
    pub election_timeout: Range<Duration>,
    /// How long a call may take. Not longer than the heartbeat: the lab's network keeps a call to an unreachable server
    /// for up to 7 s, and a server that came back in that time would hear nothing.
    pub call_timeout: Duration,
    /// If a call got no reply, the next one to the same server is sent this long after it was, or as soon as it has
    /// timed out.
    pub retry: Duration,

    /// Whether a new leader appends a no-op at once, and so commits what earlier terms have left (§8). Off: the lab's tests
    /// count indices. What needs an entry of the present term appends one then.
    pub no_op_on_election: bool,
    /// Whether a server asks if it would be elected, before it raises its term (thesis §9.6). See
    /// [`pre_vote`](super::pre_vote).
    pub pre_vote: bool,
    /// Whether a leader that hears from no majority steps down, and who hears a leader gives no votes (thesis §6.2, §4.2.3). See
    /// [`check_quorum`](super::check_quorum).
    pub check_quorum: bool,
    /// For how long after a message that a majority has answered the leader takes it that there is no other, and reads
    /// without asking (thesis §6.4.1). It rests on the clocks: while one server counts the shortest election timeout, no other
    /// may count less than this. Needs [`check_quorum`](Options::check_quorum).
    pub lease: Option<Duration>,

    /// How many bytes of commands go into one AppendEntries; one entry goes in any case.
    pub max_batch: usize,
    /// How many AppendEntries may be under way to a server at once.
    pub max_in_flight: usize,
    /// For how long entries wait for those that they follow, if they have overtaken them on their way; else the leader would have to
    /// begin anew. Longer than messages that were sent together are apart when they come.
    pub overtaking: Duration,
    /// How many bytes of a snapshot go into one InstallSnapshot; `None`: all.
    pub snapshot_chunk: Option<usize>,
    /// How many entries may wait for their commitment before a leader takes no more; `None`: any number.
    pub max_uncommitted: Option<u64>,

    /// The members at first; `None`: all servers. See [`membership`](super::membership).
    pub members: Option<Members>,
    /// In how many rounds a new server must have caught up with the log (thesis §4.2.1).
    pub catch_up_rounds: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            heartbeat: Duration::from_millis(100),
            election_timeout: Duration::from_millis(500)..Duration::from_millis(1000),
            call_timeout: Duration::from_millis(100),
            retry: Duration::from_millis(30),
            no_op_on_election: false,
            pre_vote: false,
            check_quorum: false,
            lease: None,
            max_batch: 1 << 20,
            max_in_flight: 1,
            overtaking: Duration::ZERO,
            snapshot_chunk: None,
            max_uncommitted: None,
            members: None,
            catch_up_rounds: 10,
        }
    }
}

impl Options {
    /// Everything on, but for the no-op, which would move the indices of the lab's tests.
    pub fn beyond_the_lab() -> Options {
        Options {
            pre_vote: true,
            check_quorum: true,
            // Clocks that differ by less than a tenth.
            lease: Some(Duration::from_millis(450)),
            max_batch: 16 << 10,
            max_in_flight: 4,
            overtaking: Duration::from_millis(5),
            snapshot_chunk: Some(4 << 10),
            max_uncommitted: Some(1000),
            ..Options::default()
        }
    }
}
