//! Constructors of Rafts and stores, of the types that the suites need.

use labrpc::api::kv::{Replica, Served};
use labrpc::api::{ApplyMsg, Made, Make, MakeMember, Raft};
use labrpc::channel::Sender;
use labrpc::{ClientEnd, Persister, Service};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Converts the constructor of any Raft to the type that the suites need.
pub fn make<R, F>(make: F) -> Make
where
    R: Raft,
    F: Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>) -> (Arc<R>, Vec<Service>)
        + Send
        + Sync
        + 'static,
{
    Arc::new(move |peers, me, persister, apply_ch| -> Made {
        let (raft, services) = make(peers, me, persister, apply_ch);
        (raft, services)
    })
}

/// The same for a Raft that changes its members.
pub fn make_member<R, F>(make: F) -> MakeMember
where
    R: Raft,
    F: Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>, BTreeSet<usize>) -> Served<R>
        + Send
        + Sync
        + 'static,
{
    Arc::new(move |peers, me, persister, apply_ch, members| -> Made {
        let (raft, services) = make(peers, me, persister, apply_ch, members);
        (raft, services)
    })
}

/// A constructor that knows no configuration changes: all servers are members.
pub(crate) fn all_members(make: Make) -> MakeMember {
    Arc::new(move |peers, me, persister, apply_ch, _| make(peers, me, persister, apply_ch))
}

/// The constructor of a server of a store whose members change: like [`MakeReplica`](labrpc::api::kv::MakeReplica), and its last argument is the set of initial
/// members.
pub(crate) type MakeMemberReplica = Arc<
    dyn Fn(Vec<ClientEnd>, usize, Persister, Option<usize>, BTreeSet<usize>) -> Served<dyn Replica>
        + Send
        + Sync,
>;
