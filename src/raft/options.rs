//! The numbers that Raft leaves open.

use std::ops::Range;
use std::time::Duration;

/// Timeouts, each with its reason.
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
}

impl Default for Options {
    fn default() -> Self {
        Options {
            heartbeat: Duration::from_millis(100),
            election_timeout: Duration::from_millis(500)..Duration::from_millis(1000),
            call_timeout: Duration::from_millis(100),
            retry: Duration::from_millis(30),
        }
    }
}
