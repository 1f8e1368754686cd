//! The interface between the lab and a service built on Raft: the second half of the lab.
//!
//! | year | what is built | what the suites use |
//! |---|---|---|
//! | 2022 (3A, 3B) | a store with get, put and append | [`Replica`], [`Clerk`] |
//! | 2025 (4A) | a replicated state machine, for any service | [`StateMachine`], [`Replicated`] |
//! | 2025 (4B, 4C) | a store whose values have versions | [`Replica`], [`VersionedClerk`] |
//!
//! # What the network may do to a request
//!
//! The network may lose a request or its reply. It may also deliver either of them late, even after the caller has given up.
//! Whether the network may deliver a request *twice* is part of the contract of each service:
//!
//! | service | a request arrives | why |
//! |---|---|---|
//! | 2022 (3A, 3B) | at most once in the Go lab's tests; perhaps twice, and late, in 3B+ | a server recognises a retry by the client and the number in the request, so it also recognises a copy |
//! | 2025 (4B, 4C) | at most once, as in the Go lab and over TCP | the lab's requests don't name their client, so a server can't tell the copy of a put from another client's put |
//! | 2025, beyond the lab | perhaps twice, and late | only in the suite `once`, for stores that declare that they accept this |
//!
//! Except for such copies, only the clerk sends a request again, so the clerk knows whether a put was sent more than once.

use super::{Raft, Refused};
use crate::{ClientEnd, Persister, Service};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// One server of a service built on Raft.
pub trait Replica: Send + Sync + 'static {
    /// The Raft that this server uses. The tester only asks it whether it is the leader.
    fn raft(&self) -> Arc<dyn Raft>;

    /// Stops the server and its Raft, and wakes all of the server's threads. As for [`Raft::kill`], a thread that still runs 10 s
    /// later fails the test.
    fn kill(&self);
}

/// The state machine that is replicated. It does the same on every server if it applies the same operations in the same order.
///
/// So nothing in it may depend on the clock, on random numbers, on addresses or on which server it runs on. For example, the
/// iteration order of a `HashMap` differs between servers.
pub trait StateMachine: Send + 'static {
    /// An operation. In the log it is stored as bytes.
    type Op: Serialize + DeserializeOwned + Send + 'static;
    /// The result of an operation.
    type Output: Send + 'static;

    /// Carries out `op`. In Go: `DoOp`.
    fn apply(&mut self, op: Self::Op) -> Self::Output;

    /// Returns the whole state.
    fn snapshot(&self) -> Vec<u8>;

    /// Replaces the state by one that [`snapshot`](StateMachine::snapshot) returned, on this server or on another.
    fn restore(&mut self, snapshot: &[u8]);
}

/// A state machine on Raft. In Go: `rsm`.
pub trait Replicated<M: StateMachine>: Replica {
    /// Makes all servers carry out `op` once, and returns the result that this server computed. Waits until the outcome is known.
    /// The wait ends at the latest shortly after the server learns of a newer term.
    ///
    /// # Errors
    /// - [`Refused::NotLeader`], [`Refused::Busy`]: `op` was not carried out, and will not be.
    /// - [`Refused::Deposed`], [`Refused::Stopped`]: it is unknown whether `op` is carried out.
    fn submit(&self, op: M::Op) -> Result<M::Output, Refused>;
}

/// A client of the 2022 store, in which every key begins with the value `""`. The client retries an operation until it is done.
/// The operation is done exactly once, however often its request arrives.
pub trait Clerk: Send {
    /// The value of `key`.
    fn get(&mut self, key: &str) -> String;
    /// Sets the value of `key`.
    fn put(&mut self, key: &str, value: &str);
    /// Appends to the value of `key`.
    fn append(&mut self, key: &str, value: &str);
}

/// A client of the 2025 store. A key has no value until its first put, which is for version 0. Every put adds one to the version.
pub trait VersionedClerk: Send {
    /// The value of `key` and its version, if it has one.
    fn get(&mut self, key: &str) -> Option<(String, u64)>;

    /// Sets the value of `key` if its version is `version`. Each request arrives at most once, unless the store declares that
    /// requests may arrive twice (see [above](self)). But a request that the client has given up may still arrive.
    ///
    /// # Errors
    /// See [`PutError`].
    fn put(&mut self, key: &str, value: &str, version: u64) -> Result<(), PutError>;
}

/// Why a versioned put was not done, or why it may not have been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutError {
    /// The key has another version. Nothing was done, and nothing will be done. In Go: `ErrVersion`.
    Version,
    /// The key has no value, and the put was for another version than 0. Nothing was done, and nothing will be done. In Go:
    /// `ErrNoKey`.
    NoKey,
    /// It is unknown whether the put was or will be done. For example, the put was sent more than once, and the last request found
    /// another version: an earlier request may have been carried out, or may still be. In Go: `ErrMaybe`.
    Maybe,
}

/// A server of a service, and the RPC services to register for it.
pub type Served<S> = (Arc<S>, Vec<Service>);

/// How the lab makes a server of a store: `make(peers, me, persister, max_raft_state)`.
///
/// The first three arguments are the ones that a [Raft's constructor](super::Make) gets. The service must make a snapshot when
/// [`Persister::raft_state_size`] comes near `max_raft_state` (in bytes). If `max_raft_state` is `None` (-1 in Go), it must never
/// make one.
pub type MakeReplica = Arc<
    dyn Fn(Vec<ClientEnd>, usize, Persister, Option<usize>) -> Served<dyn Replica> + Send + Sync,
>;

/// How the lab makes a server of a replicated state machine: like [`MakeReplica`], with one more argument, the state machine in
/// its initial state.
pub type MakeReplicated<M> = Arc<
    dyn Fn(Vec<ClientEnd>, usize, Persister, Option<usize>, M) -> Served<dyn Replicated<M>>
        + Send
        + Sync,
>;

/// How the lab makes a client. The end with index `i` leads to server `i`, so a leader hint (an index) from a server is also valid
/// for clients.
pub type MakeClerk = Arc<dyn Fn(Vec<ClientEnd>) -> Box<dyn Clerk> + Send + Sync>;

/// Like [`MakeClerk`], for the 2025 store.
pub type MakeVersionedClerk = Arc<dyn Fn(Vec<ClientEnd>) -> Box<dyn VersionedClerk> + Send + Sync>;
