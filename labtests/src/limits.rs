//! The Go lab's limits.

use labrpc::time::Duration;

/// What the tests assume as an election timeout: longer than that of any Raft.
pub const ELECTION_TIMEOUT: Duration = Duration::from_secs(1);

/// The Go lab's own limit for a test.
pub const TIME_LIMIT: Duration = Duration::from_secs(120);
