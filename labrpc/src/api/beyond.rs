//! What a Raft may offer beyond the lab: reads without the log, a chosen successor, other members.
//!
//! Each is a trait of its own, and [`Raft`](super::Raft) has a hook for it, which says `None` unless it is offered. All of these
//! methods wait, and may be called from several threads at once; `kill` ends the wait.

use super::Refused;
use std::collections::BTreeSet;

/// Linearizable reads that don't go through the log (thesis §6.4).
///
/// A new leader knows what is committed only when an entry of its own term is (step 1). So it appends one, a no-op, if it is to read
/// and has none: nobody may come with a command. In 2A to 2D a no-op is one entry too many.
pub trait Reads {
    /// An index that covers all that was committed when this was called. A service that has applied it, and reads its state only
    /// then, reads nothing stale.
    ///
    /// A follower may ask its leader, or refuse.
    ///
    /// # Errors
    /// The server doesn't lead, or can't show in time that it does: [`NotLeader`](Refused::NotLeader), or what else fits. Nothing was
    /// changed by asking, so ask again, or somebody else.
    fn read_index(&self) -> Result<u64, Refused>;
}

/// Leadership transfer (thesis §3.10).
pub trait Transfer {
    /// Hands the leadership over to server `to`; returns when this server knows that it has it. Meanwhile it refuses commands, as
    /// [`Busy`](Refused::Busy). If it fails, it leads on, or there is an election.
    ///
    /// # Errors
    /// See [`NotTransferred`].
    fn transfer(&self, to: usize) -> Result<(), NotTransferred>;
}

/// Why the leadership was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotTransferred {
    /// This server has none to hand over, or no longer, and not `to` has it; `leader` is who it thinks has.
    NotLeader {
        /// A hint, which may be out of date.
        leader: Option<usize>,
    },
    /// There is no such server, or it has no vote, or it is this one.
    NoSuccessor,
    /// It is being handed over already, or the members change.
    UnderWay,
    /// The other one didn't take it in time, or this server was elected again before that. It may do so yet.
    TimedOut,
    /// The server has been killed.
    Stopped,
}

/// Change of members, one server at a time (thesis §4.1).
///
/// It needs two things more. A leader begins no change before an entry of its own term is committed, and commits one that it finds in
/// its log by such an entry, so it appends a no-op if nobody comes with a command. And who hears a leader votes for nobody
/// (§4.2.3), or a server that was removed, and doesn't know, deposes it.
pub trait Membership {
    /// Makes `server` a member, once it has caught up with the log; returns when that is committed.
    ///
    /// Another machine may come under the number of a member that was removed, if no server's log or snapshot still holds a configuration
    /// with that number: while it catches up it would get that configuration again, and with it could be elected. And a server keeps what it
    /// has saved from the moment that it is being added.
    ///
    /// # Errors
    /// See [`NotChanged`].
    fn add_server(&self, server: usize) -> Result<(), NotChanged>;

    /// Makes `server` a member no longer; returns when that is committed. A leader may remove itself, and leads no more then.
    ///
    /// # Errors
    /// See [`NotChanged`].
    fn remove_server(&self, server: usize) -> Result<(), NotChanged>;

    /// The members, as the last configuration in this server's log has them, be it committed or not.
    fn members(&self) -> BTreeSet<usize>;
}

/// Why the members were not changed. But for [`TimedOut`](NotChanged::TimedOut) and [`Stopped`](NotChanged::Stopped), they are as
/// they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotChanged {
    /// Only the leader can do that; `leader` is who this server thinks it is.
    NotLeader {
        /// A hint, which may be out of date.
        leader: Option<usize>,
    },
    /// Another change is not committed yet, or the leadership is being handed over.
    UnderWay,
    /// The network has no such server.
    NoSuchServer,
    /// It is a member already.
    Member,
    /// It is none.
    NotMember,
    /// It is the last one.
    LastMember,
    /// The new server did not catch up with the log: it doesn't answer, or not as fast as the log grows.
    TooSlow,
    /// The new server answers and gets no further with the log; it restarts again and again, say, and loses what it was sent.
    NoProgress,
    /// The change was not committed in time, or before the server lost its leadership; or an entry of its own term was not. It may be
    /// yet, so ask for the [`members`](Membership::members) later.
    TimedOut,
    /// The server has been killed.
    Stopped,
}
