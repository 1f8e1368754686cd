//! The messages and the saved state, as the event loop handles them. How they look on the network is defined by
//! [words](super::words).

use labrpc::api::{Command, Snapshot};

/// A term. It is signed, as in many Go solutions.
pub type Term = i64;

#[derive(Clone, Default)]
pub struct RequestVote {
    pub term: Term,
    pub candidate: usize,
    pub last_index: u64,
    pub last_term: Term,
}

#[derive(Default)]
pub struct Vote {
    pub term: Term,
    pub granted: bool,
}

#[derive(Clone, Default)]
pub struct AppendEntries {
    pub term: Term,
    pub leader: usize,
    pub prev_index: u64,
    pub prev_term: Term,
    pub entries: Vec<Entry>,
    pub commit: u64,
}

/// A reply to AppendEntries. A refusal says where the leader should go on (§5.3): at `conflict_index`, or after its last entry of
/// `conflict_term`.
#[derive(Default)]
pub struct Appended {
    pub term: Term,
    pub success: bool,
    pub conflict_term: Option<Term>,
    pub conflict_index: u64,
}

#[derive(Clone, Default)]
pub struct InstallSnapshot {
    pub term: Term,
    pub leader: usize,
    pub base: Base,
    pub data: Snapshot,
}

#[derive(Default)]
pub struct Installed {
    pub term: Term,
}

/// A log entry. An entry without a command is a leader's no-op.
#[derive(Clone, Default)]
pub struct Entry {
    pub term: Term,
    pub command: Option<Command>,
}

/// The last entry that a snapshot covers. `number` is the index of this entry for the service, which is less than `index` if
/// the service doesn't count no-ops.
#[derive(Clone, Copy, Default)]
pub struct Base {
    pub index: u64,
    pub term: Term,
    pub number: u64,
}

/// The state that must survive a crash.
#[derive(Default)]
pub struct Saved {
    pub term: Term,
    pub voted_for: Option<usize>,
    pub base: Base,
    pub entries: Vec<Entry>,
}
