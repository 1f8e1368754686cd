//! The interface between the lab and a Raft.
//!
//! A test suite sees a Raft only through [`Raft`]. The Raft sees the lab only through its peers' [`ClientEnd`]s, its [`Persister`]
//! and the channel on which it hands committed entries to the service. Two more pages describe the services built on Raft
//! ([`kv`]) and what a Raft may offer [beyond] the lab.

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
/// The methods are named as in the Go lab: `Start`, `GetState`, `Snapshot`, `Kill`. All of them may be called from several
/// threads at once.
///
/// In Go, a method starts a goroutine with `go rf.f()`. In Rust, a thread must own what it uses, but a method has only `&self`.
/// So keep the state that threads share in an `Arc` of its own (as `raftlab::raft` does), or keep a `Weak` reference to the Raft
/// itself, made by `Arc::new_cyclic` (as the example `go_shape` does).
pub trait Raft: Send + Sync + 'static {
    /// Begins agreement on `command` and returns at once. If the command is ever committed, every server sends it on its apply
    /// channel.
    fn start(&self, command: Command) -> Result<Started, Refused>;

    /// The current term, and whether this server believes that it is the leader.
    ///
    /// After [`kill`](Raft::kill) the lab does not call this any more, so any answer is right then.
    fn get_state(&self) -> (u64, bool);

    /// The service has made `snapshot`, which covers everything up to and including `index`, so the log up to there may be
    /// discarded. A service calls this method only for an `index` that it has applied since this server started.
    ///
    /// The call may come late: the service may have applied more since, the log may already be trimmed beyond `index`, or a
    /// newer snapshot may have arrived from the leader. The call may also come twice, or after a call with a higher `index`.
    /// A Raft ignores a snapshot that is not newer than its own (§7), and does not panic.
    ///
    /// The thread that reads the apply channel makes this call. It reads the next message only after this method returns. So a
    /// thread that sends on the apply channel must not hold a lock that this method takes.
    fn snapshot(&self, index: u64, snapshot: Snapshot);

    /// Stops the server: wakes all of the server's threads and drops the apply sender. Preferably, `kill` returns only after all
    /// threads have ended. As in the Go lab, a flag that every thread checks is also enough, if all threads have ended 10 s later.
    ///
    /// The service may be slow to receive from the apply channel, also after `kill`. So the sending thread must be able to give up:
    /// let it send in a [`select!`](crate::channel::select) with a channel that `kill` closes, or with a timeout.
    ///
    /// An RPC handler of a killed server must still return a reply. A refusal in term 0 is enough, as in Go. It does no harm,
    /// because nobody receives it: the lab takes a server off the network before it kills the server, except at the end of a test.
    fn kill(&self);

    /// This server's view of its own state, for sharper checks. Optional: `None` means "not offered".
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

    /// Membership changes, if this server offers them.
    fn membership(&self) -> Option<&dyn Membership> {
        None
    }
}

/// How the lab makes one server: `make(peers, me, persister, apply_ch)`, as in the Go lab, returns the Raft and the
/// RPC services to register for it.
///
/// - `peers[me]` is the server's end to itself. It is never used.
/// - `persister` holds what the server saved before its restart. The service itself reads the snapshot in it, so the first
///   command that the Raft sends on `apply_ch` must be the one after that snapshot.
/// - Services, methods and the fields of messages may have any names. The README tells what the tests do with the paper's names,
///   and how to declare other names.
/// - `apply_ch` has no buffer, as in Go: a send waits until the service receives the message.
pub type Make =
    Arc<dyn Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>) -> Made + Send + Sync>;

/// What [`Make`] returns.
pub type Made = (Arc<dyn Raft>, Vec<Service>);

/// How the lab makes one server of a Raft that can change its [members](Membership): like [`Make`], with one more argument, the
/// initial members. All servers get the same initial members. The other `peers` are spare servers: they run, get the same initial
/// members too, and wait to be added.
pub type MakeMember = Arc<
    dyn Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>, BTreeSet<usize>) -> Made
        + Send
        + Sync,
>;

/// Where [`Raft::start`] put the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// The index that the command will have on the apply channel if it is ever committed. The first index is 1.
    ///
    /// Usually this is the command's index in the log. In some Rafts a leader begins its term with an entry of its own (a no-op,
    /// §8). Such a Raft may hand the no-op to the service as [`ApplyMsg::Internal`], so that the no-op has an index too. Or it may
    /// hide the no-op from the service and number only the commands. Both are right, as long as `start`, `snapshot` and the apply
    /// channel use the same numbering.
    pub index: u64,
    /// The leader's term.
    pub term: u64,
}

/// Why [`Raft::start`] did not accept the command, or why it is unknown whether the command was carried out
/// ([`kv::Replicated::submit`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// This server is not the leader; `leader` is the server that it believes to be the leader.
    NotLeader {
        /// A hint, which may be out of date.
        leader: Option<usize>,
    },
    /// The leader accepts no commands for now: too many entries are uncommitted, or it is handing its leadership over. Try again
    /// later.
    Busy,
    /// The server has been killed.
    Stopped,
    /// Only from [`submit`](kv::Replicated::submit): the server accepted the command and later lost its leadership. The command
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
        /// The command that was given to [`Raft::start`].
        command: Command,
    },
    /// The service must replace its state by `snapshot`, which covers everything up to and including `index`.
    Snapshot {
        /// The last index that the snapshot covers.
        index: u64,
        /// The term of the entry at `index`.
        term: u64,
        /// The bytes that the service of some server gave to [`Raft::snapshot`].
        snapshot: Snapshot,
    },
    /// An entry that Raft itself made (a no-op, a configuration) is committed. The service only notes that its index is used.
    Internal {
        /// Its log index.
        index: u64,
        /// The term of its entry.
        term: u64,
    },
}

/// What [`Raft::inspect`] may return. Fields that an implementation doesn't have stay `None`. More fields may be added later, so
/// end the expression with `..Inspection::default()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// The server that this one voted for in its current term.
    pub voted_for: Option<usize>,
    /// The highest index known to be committed.
    pub commit_index: Option<u64>,
    /// The highest index handed to the service.
    pub last_applied: Option<u64>,
    /// The index of the last entry of the log.
    pub last_log_index: Option<u64>,
}

/// A newtype over bytes that is cheap to clone. serde handles it as bytes, not as a list of numbers: 5 kB take 0.07 us instead of
/// 2.6 us.
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
    /// A command of the service: bytes that Raft copies and orders, but never interprets.
    Command
}

bytes_newtype! {
    /// A service's state up to some index: bytes that Raft keeps and sends, but never interprets.
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
        assert_eq!(bytes.len(), 303, "the length and the bytes, with no overhead for each byte");
        assert_eq!(codec::decode::<Command>(&bytes), Ok(command));
    }
}
