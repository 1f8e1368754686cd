//! What a test wants its cluster to be.

/// How a test wants its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// How many servers.
    pub servers: usize,
    /// How many of them are members at first; the others are spare.
    pub members: usize,
    /// Whether the network begins reliable.
    pub reliable: bool,
    /// Whether and how the service makes snapshots.
    pub snapshots: Snapshots,
}

impl Setup {
    /// What a service of its own gets as `max_raft_state`.
    pub fn max_raft_state(&self) -> Option<usize> {
        match self.snapshots {
            Snapshots::Own(max) => max,
            _ => None,
        }
    }
}

/// How the service that a test puts above each server makes snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snapshots {
    /// It doesn't.
    Never,
    /// After every tenth command.
    EveryTenth,
    /// After every fourth, and some are handed over late, twice, or after newer ones. It takes its time, too.
    Sloppy,
    /// The service is not the tester's: it reads the apply channel itself, and makes a snapshot when the saved Raft state nears
    /// this size, in bytes; `None`: it doesn't.
    Own(Option<usize>),
}

impl Snapshots {
    /// After how many commands one is made.
    pub(super) fn every(self) -> Option<u64> {
        match self {
            Snapshots::Never | Snapshots::Own(_) => None,
            Snapshots::EveryTenth => Some(10),
            Snapshots::Sloppy => Some(4),
        }
    }
}
