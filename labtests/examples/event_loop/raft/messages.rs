//! What servers say to each other, and what they save, as the event loop handles it. How that looks on the wire is a
//! matter of [words](super::words).

use labrpc::api::{Command, Snapshot};

/// Signed, as many Go solutions have it.
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

/// A refusal says where to go on (§5.3): at `conflict_index`, or behind the leader's last entry of `conflict_term`.
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

/// An entry without a command is a leader's no-op.
#[derive(Clone, Default)]
pub struct Entry {
    pub term: Term,
    pub command: Option<Command>,
}

/// The last entry that a snapshot covers. `number` is the index that the service knows it by: less than `index` if the
/// service doesn't count no-ops.
#[derive(Clone, Copy, Default)]
pub struct Base {
    pub index: u64,
    pub term: Term,
    pub number: u64,
}

/// What must survive a crash.
#[derive(Default)]
pub struct Saved {
    pub term: Term,
    pub voted_for: Option<usize>,
    pub base: Base,
    pub entries: Vec<Entry>,
}
