//! What is under test: a Raft, and what is built on one.

use crate::suites::{self, Body, LabTest, rsm::Counter};
use labrpc::api::kv::{
    Clerk, MakeClerk, MakeReplica, MakeReplicated, MakeVersionedClerk, Replica, Replicated, Served,
    VersionedClerk,
};
use labrpc::api::{ApplyMsg, Make, Raft};
use labrpc::channel::Sender;
use labrpc::{ClientEnd, Persister, Service};
use std::sync::Arc;

/// What somebody has built of the lab, as far as the suites need it. A test of what isn't there isn't run.
///
/// ```no_run
/// # use labtests::lab::Lab;
/// # fn example<R: labrpc::api::Raft, S: labrpc::api::kv::Replica, C: labrpc::api::kv::Clerk + 'static>(
/// #     raft: fn(Vec<labrpc::ClientEnd>, usize, labrpc::Persister, labrpc::channel::Sender<labrpc::api::ApplyMsg>) -> (std::sync::Arc<R>, Vec<labrpc::Service>),
/// #     server: fn(Vec<labrpc::ClientEnd>, usize, labrpc::Persister, Option<usize>) -> (std::sync::Arc<S>, Vec<labrpc::Service>),
/// #     clerk: fn(Vec<labrpc::ClientEnd>) -> C,
/// # ) -> std::process::ExitCode {
/// labtests::cli::Program::new(Lab::new().raft(raft).kv(server, clerk)).main()
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Lab {
    pub(crate) raft: Option<Make>,
    pub(crate) kv: Option<(MakeReplica, MakeClerk)>,
    pub(crate) rsm: Option<MakeReplicated<Counter>>,
    pub(crate) versioned: Option<(MakeReplica, MakeVersionedClerk)>,
}

impl Lab {
    /// Nothing yet.
    pub fn new() -> Lab {
        Lab::default()
    }

    /// With a Raft, for 2A to 2D; see [`labrpc::api::Make`].
    pub fn raft<R, F>(self, make: F) -> Lab
    where
        R: Raft,
        F: Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>) -> (Arc<R>, Vec<Service>)
            + Send
            + Sync
            + 'static,
    {
        Lab { raft: Some(crate::make(make)), ..self }
    }

    /// With the 2022 store, for 3A and 3B; see [`labrpc::api::kv`].
    pub fn kv<S, F, C, G>(self, server: F, clerk: G) -> Lab
    where
        S: Replica,
        F: Fn(Vec<ClientEnd>, usize, Persister, Option<usize>) -> Served<S> + Send + Sync + 'static,
        C: Clerk + 'static,
        G: Fn(Vec<ClientEnd>) -> C + Send + Sync + 'static,
    {
        let clerk: MakeClerk = Arc::new(move |servers| Box::new(clerk(servers)));
        Lab { kv: Some((replica(server), clerk)), ..self }
    }

    /// With a replicated state machine, for 4A; see [`labrpc::api::kv`].
    pub fn rsm<S, F>(self, make: F) -> Lab
    where
        S: Replicated<Counter>,
        F: Fn(Vec<ClientEnd>, usize, Persister, Option<usize>, Counter) -> Served<S>
            + Send
            + Sync
            + 'static,
    {
        let make: MakeReplicated<Counter> = Arc::new(move |peers, me, persister, max, counter| {
            let (server, services) = make(peers, me, persister, max, counter);
            (server, services)
        });
        Lab { rsm: Some(make), ..self }
    }

    /// With the 2025 store, for 4B and 4C; see [`labrpc::api::kv`].
    pub fn versioned<S, F, C, G>(self, server: F, clerk: G) -> Lab
    where
        S: Replica,
        F: Fn(Vec<ClientEnd>, usize, Persister, Option<usize>) -> Served<S> + Send + Sync + 'static,
        C: VersionedClerk + 'static,
        G: Fn(Vec<ClientEnd>) -> C + Send + Sync + 'static,
    {
        let clerk: MakeVersionedClerk = Arc::new(move |servers| Box::new(clerk(servers)));
        Lab { versioned: Some((replica(server), clerk)), ..self }
    }

    /// Whether there is what this test is a test of.
    pub fn has(&self, test: &LabTest) -> bool {
        match test.body {
            Body::Raft(_) => self.raft.is_some(),
            Body::Kv(_) => self.kv.is_some(),
            Body::Rsm(_) => self.rsm.is_some(),
            Body::Versioned(_) => self.versioned.is_some(),
        }
    }

    /// The tests of what there is, in the lab's order.
    pub fn tests(&self) -> impl Iterator<Item = &'static LabTest> {
        suites::all().filter(|test| self.has(test))
    }
}

impl From<Make> for Lab {
    fn from(raft: Make) -> Lab {
        Lab { raft: Some(raft), ..Lab::default() }
    }
}

fn replica<S, F>(make: F) -> MakeReplica
where
    S: Replica,
    F: Fn(Vec<ClientEnd>, usize, Persister, Option<usize>) -> Served<S> + Send + Sync + 'static,
{
    Arc::new(move |peers, me, persister, max| {
        let (server, services) = make(peers, me, persister, max);
        (server, services)
    })
}
