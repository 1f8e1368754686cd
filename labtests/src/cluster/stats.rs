//! What came of a test's run.

/// What a test's run amounted to, as the Go lab prints it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many servers there were.
    pub servers: usize,
    /// How many calls they made.
    pub rpcs: u64,
    /// How many bytes went over the network.
    pub bytes: u64,
    /// How many commands were agreed on.
    pub commands: u64,
    /// Whether the test came to what it is for.
    pub check: Check,
}

impl Stats {
    /// Of a test that was given up: it doesn't fit.
    pub(crate) fn of_none(servers: usize, why: &'static str) -> Stats {
        Stats { servers, check: Check::DoesNotFit(why), ..Stats::default() }
    }
}

/// Whether a test came to what it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// It gave up before.
    #[default]
    Missed,
    /// It did.
    Reached,
    /// It can't on such a Raft, which is right nevertheless: why.
    DoesNotFit(&'static str),
}
