//! What kind of cluster a test needs.

/// The cluster that a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The number of servers.
    pub servers: usize,
    /// How many of them are initial members. The others are spare.
    pub members: usize,
    /// Whether the network is reliable at the start.
    pub reliable: bool,
    /// Whether and when the service makes snapshots.
    pub snapshots: Snapshots,
}

impl Setup {
    /// The `max_raft_state` for a service that makes its own snapshots.
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
    /// It makes no snapshots.
    Never,
    /// It makes one after every tenth command.
    EveryTenth,
    /// It makes one after every fourth command, and hands some over late, twice, or after newer ones. It also pauses now and
    /// then.
    Sloppy,
    /// The service is not the tester's. It reads the apply channel itself, and makes a snapshot when the saved Raft state nears
    /// this size in bytes; `None`: it makes no snapshots.
    Own(Option<usize>),
}

impl Snapshots {
    /// After how many commands the tester's service makes a snapshot.
    pub(super) fn every(self) -> Option<u64> {
        match self {
            Snapshots::Never | Snapshots::Own(_) => None,
            Snapshots::EveryTenth => Some(10),
            Snapshots::Sloppy => Some(4),
        }
    }
}
