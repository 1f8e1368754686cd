//! The results of a test's run.

/// The numbers of a test's run, as the Go lab prints them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The number of servers.
    pub servers: usize,
    /// The number of calls that the servers made.
    pub rpcs: u64,
    /// The number of bytes that went over the network.
    pub bytes: u64,
    /// The number of commands that were agreed on.
    pub commands: u64,
    /// Whether the test reached the check that it is for.
    pub check: Check,
}

impl Stats {
    /// The stats of a test that was given up because it doesn't fit the Raft.
    pub(crate) fn of_none(servers: usize, why: &'static str) -> Stats {
        Stats { servers, check: Check::DoesNotFit(why), ..Stats::default() }
    }
}

/// Whether a test reached the check that it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// The test gave up before its check.
    #[default]
    Missed,
    /// The test reached its check.
    Reached,
    /// The test can't reach its check on this Raft, though the Raft is correct. The text says why.
    DoesNotFit(&'static str),
}
