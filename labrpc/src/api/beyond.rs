//! What a Raft may offer beyond the lab: reads without the log, leadership transfer, membership changes.
//!
//! Each of the three is a trait of its own. [`Raft`](super::Raft) has a method for each, which returns `None` unless the Raft
//! offers it. All methods of these traits except `members` may wait for other servers. All may be called from several threads at
//! once. `kill` ends the wait.

use super::Refused;
use std::collections::BTreeSet;

/// Linearizable reads that don't go through the log (thesis §6.4).
///
/// A new leader knows what is committed only after an entry of its own term is committed (step 1 in the thesis). If a read comes
/// and the leader has no entry of its term, it appends a no-op, because perhaps no client ever sends a command. The tests of 2A to
/// 2D do not allow that extra entry.
pub trait Reads {
    /// Returns an index that covers everything that was committed when this was called. If a service has applied that index before
    /// it reads its state, the read is not stale.
    ///
    /// A follower may ask its leader, or refuse.
    ///
    /// # Errors
    /// The server is not the leader, or can't confirm in time that it is: [`NotLeader`](Refused::NotLeader), or another variant if
    /// that fits better. The call has changed nothing, so the caller may ask again, or ask another server.
    fn read_index(&self) -> Result<u64, Refused>;
}

/// Leadership transfer (thesis §3.10).
pub trait Transfer {
    /// Hands the leadership over to server `to`. Returns when this server knows that `to` is the leader. Until then this server
    /// refuses commands with [`Busy`](Refused::Busy). If the transfer fails, this server stays the leader, or there is an
    /// election.
    ///
    /// # Errors
    /// See [`NotTransferred`].
    fn transfer(&self, to: usize) -> Result<(), NotTransferred>;
}

/// Why the leadership was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotTransferred {
    /// This server is not the leader, or was deposed, and the new leader is not `to`. `leader` is the server that it believes to
    /// be the leader.
    NotLeader {
        /// A hint, which may be out of date.
        leader: Option<usize>,
    },
    /// Server `to` does not exist, or it has no vote, or it is this server itself.
    NoSuccessor,
    /// Another leadership transfer or a membership change is in progress.
    UnderWay,
    /// Server `to` did not become the leader in time, or this server was elected again first. `to` may still become the leader
    /// later.
    TimedOut,
    /// The server has been killed.
    Stopped,
}

/// Membership changes, one server at a time (thesis §4.1).
///
/// They need two more things:
/// - A leader begins no change before an entry of its own term is committed. If its log holds an uncommitted configuration of an
///   earlier term, it commits that one by an entry of its own term. So it appends a no-op if no client sends a command.
/// - A server that has recently heard from a leader does not vote for a candidate (§4.2.3). Otherwise a server that was removed,
///   and does not know it, could depose the leader.
pub trait Membership {
    /// Makes `server` a member after it has caught up with the log. Returns when that change is committed.
    ///
    /// Another machine may reuse the number of a removed member only if no log and no snapshot of any server still holds a
    /// configuration with that number. Otherwise the new machine gets that configuration while it catches up, and could be elected
    /// with it. A server keeps its saved state from the moment when it is being added.
    ///
    /// # Errors
    /// See [`NotChanged`].
    fn add_server(&self, server: usize) -> Result<(), NotChanged>;

    /// Removes `server` from the members. Returns when that change is committed. A leader may remove itself; it steps down when
    /// the change is committed.
    ///
    /// # Errors
    /// See [`NotChanged`].
    fn remove_server(&self, server: usize) -> Result<(), NotChanged>;

    /// The members according to the last configuration in this server's log, whether that is committed or not.
    fn members(&self) -> BTreeSet<usize>;
}

/// Why the members were not changed. After any error except [`TimedOut`](NotChanged::TimedOut) and
/// [`Stopped`](NotChanged::Stopped), the members are the same as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotChanged {
    /// Only the leader can change the members; `leader` is the server that this one believes to be the leader.
    NotLeader {
        /// A hint, which may be out of date.
        leader: Option<usize>,
    },
    /// Another membership change is not committed yet, or the leadership is being handed over.
    UnderWay,
    /// The network has no such server.
    NoSuchServer,
    /// The server to add is a member already.
    Member,
    /// The server to remove is not a member.
    NotMember,
    /// The server to remove is the last member.
    LastMember,
    /// The new server did not catch up with the log: it doesn't answer, or it stores entries more slowly than the log grows.
    TooSlow,
    /// The new server answers but gets no further with the log. For example, it restarts again and again, and loses what it was
    /// sent.
    NoProgress,
    /// The change, or an entry of the leader's own term that it needs first, was not committed in time or before this server lost
    /// its leadership. The change may still be committed, so ask for the [`members`](Membership::members) later.
    TimedOut,
    /// The server has been killed.
    Stopped,
}
