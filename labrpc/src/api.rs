//! What a lab and a Raft agree on.
//!
//! A test suite sees a Raft only through [`Raft`], and the Raft sees the lab only through its peers'
//! [`ClientEnd`]s, its [`Persister`] and the channel on which it hands over what is committed. What is built on Raft has
//! its own page: [`kv`]; so has what a Raft may offer [beyond] the lab.

pub mod beyond;
pub mod kv;

use crate::channel::Sender;
use crate::{ClientEnd, Persister, Service};
use beyond::{Membership, Reads, Transfer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A Raft server, as the service above it and the tests see it.
///
/// The names are the Go lab's: `Start`, `GetState`, `Snapshot`, `Kill`. All may be called from several threads at once.
///
/// A Go method starts a goroutine with `go rf.f()`. Here a thread must own what it uses, and has only `&self`: keep
/// what threads share in an `Arc` of its own (as `raftlab::raft` does), or a `Weak` of oneself made by
/// `Arc::new_cyclic` (as the example `go_shape` does).
pub trait Raft: Send + Sync + 'static {
    /// Begins agreement on `command` and returns at once; the command comes out of the apply channel if and when
    /// it is committed, on every server.
    fn start(&self, command: Command) -> Result<Started, Refused>;

    /// The current term, and whether this server believes that it is the leader.
    ///
    /// After [`kill`](Raft::kill) nobody asks any more; whatever is answered then will do.
    fn get_state(&self) -> (u64, bool);

    /// The service has made `snapshot` of everything up to and including `index`: the log before it may go. The service
    /// has applied `index`, in this life.
    ///
    /// The call may come late: when more has been applied since, when the log has been trimmed beyond `index` already, or
    /// when a newer snapshot has arrived from the leader. It may come twice, and after a call with a higher `index`. A
    /// Raft ignores a snapshot that is not newer than its own (§7), and does not panic.
    ///
    /// It is called by the thread that reads the apply channel, which reads on only when this returns: a thread that sends
    /// on that channel must not hold a lock that is taken here.
    fn snapshot(&self, index: u64, snapshot: Snapshot);

    /// Stops the server: wakes every thread of its own and drops the apply sender. Best, it returns when no thread is
    /// left; Go's way, a mere flag that every thread looks at, will do if all have ended 10 s later.
    ///
    /// The service may be slow to receive from the apply channel, also after `kill`. A thread that is to end nevertheless
    /// sends in a [`select!`](crate::channel::select) with a channel that `kill` closes, or with a timeout.
    ///
    /// An RPC handler of a killed server must still return a reply. A refusal in term 0 does no harm, as in Go: the lab
    /// takes a server off the network before it kills it, except at the end of a test.
    fn kill(&self);

    /// What this server thinks, for sharper checks. Optional: `None` means "not offered".
    fn inspect(&self) -> Option<Inspection> {
        None
    }

    /// Reads that don't go through the log, if this server offers them.
    fn reads(&self) -> Option<&dyn Reads> {
        None
    }

    /// Leadership transfer, if this server offers it.
    fn transfers(&self) -> Option<&dyn Transfer> {
        None
    }

    /// Change of members, if this server offers it.
    fn membership(&self) -> Option<&dyn Membership> {
        None
    }
}

/// How the lab makes one server: `make(peers, me, persister, apply_ch)`, as in the Go lab, gives the Raft and the
/// RPC services to register for it.
///
/// - `peers[me]` is the server's own end, never used.
/// - `persister` holds what an earlier life has saved. The service reads the snapshot in it for itself, so the first
///   command that is to come out of `apply_ch` is the one after it.
/// - Services, methods and the fields of messages may be called as one likes. What the tests make of the paper's names, and how to
///   declare others, the README tells.
/// - `apply_ch` has no buffer, as in Go: a send waits until the service takes the message.
pub type Make =
    Arc<dyn Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>) -> Made + Send + Sync>;

/// What [`Make`] returns.
pub type Made = (Arc<dyn Raft>, Vec<Service>);

/// How the lab makes one server of a Raft that can change its [members](Membership): as [`Make`], and last who the members are at
/// first, the same for all servers. Of the `peers` the others are spare: they run, know the first members too, and wait to be added.
pub type MakeMember = Arc<
    dyn Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>, BTreeSet<usize>) -> Made
        + Send
        + Sync,
>;

/// Where [`Raft::start`] put the command, should it ever be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// The index that the command will have on the apply channel. The first of all is 1.
    ///
    /// Usually that is its index in the log. A Raft whose leaders begin their terms with an entry of their own (a no-op, §8) may hand
    /// that to the service as [`ApplyMsg::Internal`], so that it counts; or it may keep it to itself and number the commands alone. Both
    /// are right, as long as `start`, `snapshot` and the apply channel count alike.
    pub index: u64,
    /// The leader's term.
    pub term: u64,
}

/// Why [`Raft::start`] did not take the command, or why nobody can say what became of it ([`kv::Replicated::submit`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// This server is not the leader; `leader` is who it thinks is.
    NotLeader {
        /// A hint, which may be out of date.
        leader: Option<usize>,
    },
    /// The leader takes no commands for now: too much is uncommitted, or it hands its leadership over. Try again later.
    Busy,
    /// The server has been killed.
    Stopped,
    /// Only from [`submit`](kv::Replicated::submit): the server took the command, and then lost its leadership. The command
    /// may or may not be carried out.
    Deposed,
}

/// What a Raft hands to its service, in the order of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApplyMsg {
    /// The command at `index` is committed.
    Command {
        /// Its log index.
        index: u64,
        /// The term of its entry.
        term: u64,
        /// What was given to [`Raft::start`].
        command: Command,
    },
    /// The service is to replace its state by `snapshot`, which covers everything up to and including `index`.
    Snapshot {
        /// The last index that the snapshot covers.
        index: u64,
        /// The term of the entry at `index`.
        term: u64,
        /// What some server's service gave to [`Raft::snapshot`].
        snapshot: Snapshot,
    },
    /// An entry of Raft's own (a no-op, a configuration) is committed; it concerns the service only as an index.
    Internal {
        /// Its log index.
        index: u64,
        /// The term of its entry.
        term: u64,
    },
}

/// What [`Raft::inspect`] may tell. Fields that an implementation doesn't have stay `None`; more may be added, so end
/// with `..Inspection::default()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Whom the server voted for in its current term.
    pub voted_for: Option<usize>,
    /// The highest index known to be committed.
    pub commit_index: Option<u64>,
    /// The highest index handed to the service.
    pub last_applied: Option<u64>,
    /// The index of the last entry of the log.
    pub last_log_index: Option<u64>,
}

/// A newtype over bytes that is cheap to clone and goes through serde as bytes, not as a list of numbers
/// (for 5 kB: 0.07 us against 2.6 us).
macro_rules! bytes_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<[u8]>);

        impl From<Vec<u8>> for $name {
            fn from(bytes: Vec<u8>) -> Self {
                $name(bytes.into())
            }
        }

        impl std::ops::Deref for $name {
            type Target = [u8];
            fn deref(&self) -> &[u8] {
                &self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name(Vec::new().into())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), crate::describe::Value::Bytes(self[..].into()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_byte_buf(BytesVisitor).map($name::from)
            }
        }
    };
}

bytes_newtype! {
    /// A command of the service: bytes that Raft copies and orders, and never looks into.
    Command
}

bytes_newtype! {
    /// A service's state up to some index: bytes that Raft keeps and ships, and never looks into.
    Snapshot
}

struct BytesVisitor;

impl serde::de::Visitor<'_> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn commands_cross_the_wire_as_bytes() {
        let command = Command::from(vec![7; 300]);
        let bytes = codec::encode(&command);
        assert_eq!(bytes.len(), 303, "a length and the bytes, nothing for each of them");
        assert_eq!(codec::decode::<Command>(&bytes), Ok(command));
    }
}
