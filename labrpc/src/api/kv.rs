//! What a lab and a service built on Raft agree on: the second half of the lab.
//!
//! | year | what is built | what the suites see of it |
//! |---|---|---|
//! | 2022 (3A, 3B) | a store with get, put and append | [`Replica`], [`Clerk`] |
//! | 2025 (4A) | a replicated state machine, for any service | [`StateMachine`], [`Replicated`] |
//! | 2025 (4B, 4C) | a store whose values have versions | [`Replica`], [`VersionedClerk`] |
//!
//! # What the network may do to a request
//!
//! It may lose a request or its answer, and deliver either late, also when the caller has given up. Whether it may deliver a request
//! *twice* is part of the contract of each service:
//!
//! | service | a request arrives | why |
//! |---|---|---|
//! | 2022 (3A, 3B) | once in the Go lab's tests; perhaps twice, and late, in 3B+ | a server that recognises a retry, by the client and the number in it, recognises a copy |
//! | 2025 (4B, 4C) | at most once, as in the Go lab and over TCP | the lab's requests don't name their client, so a server can't tell the copy of a put from another client's put |
//! | 2025, beyond the lab | perhaps twice, and late | the suite `once`, for stores that declare it |
//!
//! Except for such copies, only the clerk sends a request again; so it knows whether a put was sent more than once.

use super::{Raft, Refused};
use crate::{ClientEnd, Persister, Service};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// One server of a service built on Raft.
pub trait Replica: Send + Sync + 'static {
    /// The Raft beneath it: the tester asks it who leads, and nothing else.
    fn raft(&self) -> Arc<dyn Raft>;

    /// Stops the server, and its Raft: wakes every thread of its own. As for [`Raft::kill`], what is left 10 s later fails the test.
    fn kill(&self);
}

/// What is replicated: a thing that does the same on every server, if it is told the same in the same order.
///
/// So nothing in it may depend on the clock, on chance, on addresses or on which server it is (the order of a `HashMap` does).
pub trait StateMachine: Send + 'static {
    /// What it can be told. It crosses the log as bytes.
    type Op: Serialize + DeserializeOwned + Send + 'static;
    /// What it answers.
    type Output: Send + 'static;

    /// Does `op`; Go's `DoOp`.
    fn apply(&mut self, op: Self::Op) -> Self::Output;

    /// All of its state.
    fn snapshot(&self) -> Vec<u8>;

    /// Becomes what [`snapshot`](StateMachine::snapshot) gave, here or on another server.
    fn restore(&mut self, snapshot: &[u8]);
}

/// A state machine on Raft; Go's `rsm`.
pub trait Replicated<M: StateMachine>: Replica {
    /// Has `op` carried out by all, once, and gives back what it answered here. Waits until that is known. Whoever waits is
    /// told at the latest shortly after the server knows of a newer term.
    ///
    /// # Errors
    /// - [`Refused::NotLeader`], [`Refused::Busy`]: it was not, and will not be, carried out.
    /// - [`Refused::Deposed`], [`Refused::Stopped`]: nobody knows.
    fn submit(&self, op: M::Op) -> Result<M::Output, Refused>;
}

/// A client of the 2022 store: every key begins as `""`. An operation is tried until it is done, and done once, however often its
/// request arrives.
pub trait Clerk: Send {
    /// The value of `key`.
    fn get(&mut self, key: &str) -> String;
    /// Sets the value of `key`.
    fn put(&mut self, key: &str, value: &str);
    /// Adds to the value of `key`.
    fn append(&mut self, key: &str, value: &str);
}

/// A client of the 2025 store. A key has no value until its first put, which is for version 0; every put adds one to the version.
pub trait VersionedClerk: Send {
    /// The value of `key` and its version, if it has one.
    fn get(&mut self, key: &str) -> Option<(String, u64)>;

    /// Sets the value of `key` if its version is this one. Each request arrives at most once, unless the store offers more (see
    /// [above](self)); but a request that was given up may still arrive.
    ///
    /// # Errors
    /// See [`PutError`].
    fn put(&mut self, key: &str, value: &str, version: u64) -> Result<(), PutError>;
}

/// Why a versioned put was not done, or perhaps not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutError {
    /// The version of the key is another; nothing was done, and nothing will be. Go's `ErrVersion`.
    Version,
    /// The key has no value, and the version was not 0; nothing was done, and nothing will be. Go's `ErrNoKey`.
    NoKey,
    /// Nobody knows. The put was sent more than once, say, and the version was another at last: one of the earlier requests may have
    /// been carried out, or may yet be. Go's `ErrMaybe`.
    Maybe,
}

/// A server of a service, and the RPC services to register for it.
pub type Served<S> = (Arc<S>, Vec<Service>);

/// How the lab makes a server of a store: `make(peers, me, persister, max_raft_state)`.
///
/// The first three are what a [Raft's constructor](super::Make) gets. The service is to make a snapshot when
/// [`Persister::raft_state_size`] nears `max_raft_state`, in bytes, and never if that is `None` (Go's -1).
pub type MakeReplica = Arc<
    dyn Fn(Vec<ClientEnd>, usize, Persister, Option<usize>) -> Served<dyn Replica> + Send + Sync,
>;

/// How the lab makes a server of a replicated state machine: as [`MakeReplica`], and last the machine in its first state.
pub type MakeReplicated<M> = Arc<
    dyn Fn(Vec<ClientEnd>, usize, Persister, Option<usize>, M) -> Served<dyn Replicated<M>>
        + Send
        + Sync,
>;

/// How the lab makes a client. `servers[i]` leads to server `i`, so that an index is as good a hint for clients as it is among servers.
pub type MakeClerk = Arc<dyn Fn(Vec<ClientEnd>) -> Box<dyn Clerk> + Send + Sync>;

/// As [`MakeClerk`], for the 2025 store.
pub type MakeVersionedClerk = Arc<dyn Fn(Vec<ClientEnd>) -> Box<dyn VersionedClerk> + Send + Sync>;
