//! What is under test: a Raft, and services that are built on one.

use crate::backends::Backends;
use crate::constructors::{MakeMemberReplica, all_members};
use crate::counters::Counter;
use crate::reading::{Names, Reading, Renamed};
pub use crate::suites::Ability;
use crate::suites::{self, Body, LabTest};
use labrpc::api::kv::{
    Clerk, MakeClerk, MakeReplica, MakeReplicated, MakeVersionedClerk, Replica, Replicated, Served,
    VersionedClerk,
};
use labrpc::api::{ApplyMsg, Make, MakeMember, Raft};
use labrpc::channel::Sender;
use labrpc::run::Backend;
use labrpc::{ClientEnd, Persister, Service};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The parts of the lab that a learner has built, as far as the suites need them. Tests of missing parts are not run.
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
    /// How the Raft's messages are read.
    pub(crate) reading: Reading,
    pub(crate) kv: Option<(MakeReplica, MakeClerk)>,
    pub(crate) rsm: Option<MakeReplicated<Counter>>,
    pub(crate) versioned: Option<(MakeReplica, MakeVersionedClerk)>,
    pub(crate) once: Option<(MakeReplica, MakeVersionedClerk)>,
    pub(crate) beyond: BTreeMap<Ability, MakeMember>,
    pub(crate) stores: BTreeMap<Ability, (MakeMemberReplica, MakeClerk)>,
    pub(crate) strict: bool,
    pub(crate) backends: Backends,
}

impl Lab {
    /// A lab in which nothing is built yet.
    pub fn new() -> Lab {
        Lab::default()
    }

    /// Warnings fail their test: threads that still run after `kill()`, and advice.
    pub fn strict(self) -> Lab {
        Lab { strict: true, ..self }
    }

    /// Simulates on this backend. The default is coroutines, as long as they give the [same results as
    /// threads](crate::runner::Backends).
    pub fn backend(self, backend: Backend) -> Lab {
        Lab { backends: Backends::new(backend), ..self }
    }

    /// Why simulations continue on threads, though coroutines would be faster: the code under test behaves differently on
    /// coroutines. `None`: there is no such reason.
    pub fn why_threads(&self) -> Option<String> {
        self.backends.why_threads()
    }

    /// How many runs were made on coroutines and again on threads, to compare them; and how many runs were not possible on
    /// coroutines.
    pub fn backend_counts(&self) -> (u64, u64) {
        self.backends.counts()
    }

    /// Adds a Raft, for 2A to 2D; see [`labrpc::api::Make`].
    pub fn raft<R, F>(self, make: F) -> Lab
    where
        R: Raft,
        F: Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>) -> (Arc<R>, Vec<Service>)
            + Send
            + Sync
            + 'static,
    {
        Lab { raft: Some(crate::make(make)), reading: self.reading.afresh(), ..self }
    }

    /// Declares the names that the Raft's messages use where they don't use the paper's.
    pub fn names(self, names: Names) -> Lab {
        Lab { reading: Reading::new(names), ..self }
    }

    /// Reads messages as if their fields had these names. This measures what the suites lose with names that they don't know.
    pub fn renamed(self, renamed: Renamed) -> Lab {
        Lab { reading: self.reading.afresh().disguised(renamed.disguise()), ..self }
    }

    /// Adds the 2022 store, for 3A and 3B; see [`labrpc::api::kv`].
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

    /// Adds a replicated state machine, for 4A; see [`labrpc::api::kv`].
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

    /// Adds the 2025 store, for 4B and 4C; see [`labrpc::api::kv`].
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

    /// Adds a 2025 store that answers puts correctly even if the network duplicates requests, which the lab's contract rules out
    /// (see [`labrpc::api::kv`]). The constructors are those of [`Lab::versioned`].
    pub fn once<S, F, C, G>(self, server: F, clerk: G) -> Lab
    where
        S: Replica,
        F: Fn(Vec<ClientEnd>, usize, Persister, Option<usize>) -> Served<S> + Send + Sync + 'static,
        C: VersionedClerk + 'static,
        G: Fn(Vec<ClientEnd>) -> C + Send + Sync + 'static,
    {
        let once = Lab::new().versioned(server, clerk).versioned;
        Lab { once, ..self }
    }

    /// Adds a Raft with an ability beyond the lab, for the suite of that ability. The constructor is that of [`Lab::raft`]. A Raft
    /// that changes its members has [another constructor](Lab::members).
    pub fn beyond<R, F>(mut self, ability: Ability, make: F) -> Lab
    where
        R: Raft,
        F: Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>) -> (Arc<R>, Vec<Service>)
            + Send
            + Sync
            + 'static,
    {
        self.beyond.insert(ability, all_members(crate::make(make)));
        self
    }

    /// Adds a Raft that changes its members; see [`labrpc::api::MakeMember`].
    pub fn members<R, F>(mut self, make: F) -> Lab
    where
        R: Raft,
        F: Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>, BTreeSet<usize>) -> Served<R>
            + Send
            + Sync
            + 'static,
    {
        self.beyond.insert(Ability::Members, crate::make_member(make));
        self
    }

    /// Adds a store on a Raft with an ability beyond the lab. Its clients read without the log. The constructors are those of
    /// [`Lab::kv`].
    pub fn store<S, F, C, G>(mut self, ability: Ability, server: F, clerk: G) -> Lab
    where
        S: Replica,
        F: Fn(Vec<ClientEnd>, usize, Persister, Option<usize>) -> Served<S> + Send + Sync + 'static,
        C: Clerk + 'static,
        G: Fn(Vec<ClientEnd>) -> C + Send + Sync + 'static,
    {
        let server = move |peers, me, persister, max, _: BTreeSet<usize>| -> Served<dyn Replica> {
            let (server, services) = server(peers, me, persister, max);
            (server, services)
        };
        let clerk: MakeClerk = Arc::new(move |servers| Box::new(clerk(servers)));
        self.stores.insert(ability, (Arc::new(server), clerk));
        self
    }

    /// Adds a store on a Raft that changes its members. The last argument of the server's constructor is the set of initial members.
    pub fn members_store<S, F, C, G>(mut self, server: F, clerk: G) -> Lab
    where
        S: Replica,
        F: Fn(Vec<ClientEnd>, usize, Persister, Option<usize>, BTreeSet<usize>) -> Served<S>
            + Send
            + Sync
            + 'static,
        C: Clerk + 'static,
        G: Fn(Vec<ClientEnd>) -> C + Send + Sync + 'static,
    {
        let server = move |peers, me, persister, max, members| -> Served<dyn Replica> {
            let (server, services) = server(peers, me, persister, max, members);
            (server, services)
        };
        let clerk: MakeClerk = Arc::new(move |servers| Box::new(clerk(servers)));
        self.stores.insert(Ability::Members, (Arc::new(server), clerk));
        self
    }

    /// Whether the part that this test tests is there.
    pub fn has(&self, test: &LabTest) -> bool {
        match test.body {
            Body::Raft(_) => self.raft.is_some(),
            Body::Kv(_) => self.kv.is_some(),
            Body::Rsm(_) => self.rsm.is_some(),
            Body::Versioned(_) => self.versioned.is_some(),
            Body::Once(_) => self.once.is_some(),
            Body::Beyond(ability, _) => self.beyond.contains_key(&ability),
            Body::Store(ability, _) => self.stores.contains_key(&ability),
        }
    }

    /// The tests of the parts that are there, in the lab's order.
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
