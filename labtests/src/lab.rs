//! What is under test: a Raft, and what is built on one.

use crate::counters::Counter;
use crate::reading::{Names, Reading, Renamed};
use crate::runner::Backends;
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

/// What a Raft may have beyond the lab; each has a suite. See [`labrpc::api::beyond`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ability {
    /// Who can't be elected disturbs nobody, and a leader without a majority steps down (thesis §9.6, §6.2, §4.2.3). Nothing is
    /// called for it. Where a pre-vote has the fields of RequestVote, `pre` in its method's name, or in a flag's, tells the two apart.
    PreVote,
    /// A leader hands over to a server of one's choice (§3.10): [`labrpc::api::beyond::Transfer`].
    Transfer,
    /// Reads that a leader shows to be fresh by asking the others (§6.4): [`labrpc::api::beyond::Reads`].
    Reads,
    /// The same, by the clock (§6.4.1).
    Lease,
    /// Members come and go (§4): [`labrpc::api::beyond::Membership`].
    Members,
    /// Large and many things, a little at a time (§10.2). Messages have some 20 kB at most, and a leader takes no more commands
    /// than a few thousand that wait. Nothing is called for it.
    Flow,
}

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
    /// How its messages are read.
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

/// How a server of a store is made whose members change: as [`MakeReplica`], and last who they are at first.
pub(crate) type MakeMemberReplica = Arc<
    dyn Fn(Vec<ClientEnd>, usize, Persister, Option<usize>, BTreeSet<usize>) -> Served<dyn Replica>
        + Send
        + Sync,
>;

impl Lab {
    /// Nothing yet.
    pub fn new() -> Lab {
        Lab::default()
    }

    /// What is otherwise a warning fails its test: threads that are left after `kill()`, and advice.
    pub fn strict(self) -> Lab {
        Lab { strict: true, ..self }
    }

    /// Simulated on this: on coroutines, if nothing is said, as long as threads [bear them out](crate::runner::Backends).
    pub fn backend(self, backend: Backend) -> Lab {
        Lab { backends: Backends::new(backend), ..self }
    }

    /// Why simulations go on on threads, though coroutines would be faster: code under test runs otherwise there.
    pub fn why_threads(&self) -> Option<String> {
        self.backends.why_threads()
    }

    /// How many runs were had on coroutines and then on threads, to compare them, and how many coroutines could not do.
    pub fn backend_counts(&self) -> (u64, u64) {
        self.backends.counts()
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
        Lab { raft: Some(crate::make(make)), reading: self.reading.afresh(), ..self }
    }

    /// Whose messages use these names, where they don't use the paper's.
    pub fn names(self, names: Names) -> Lab {
        Lab { reading: Reading::new(names), ..self }
    }

    /// Read as if its fields had these names: to measure what the suites lose with names that they don't know.
    pub fn renamed(self, renamed: Renamed) -> Lab {
        Lab { reading: self.reading.afresh().disguised(renamed.disguise()), ..self }
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

    /// With a 2025 store whose puts are answered rightly even if the network doubles requests, which the lab's contract rules out
    /// (see [`labrpc::api::kv`]); the constructors are as [`Lab::versioned`]'s.
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

    /// With a Raft that can more, for the suite of that ability; the constructor is as [`Lab::raft`]'s. One that changes its members
    /// has [another](Lab::members).
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

    /// With a Raft that changes its members; see [`labrpc::api::MakeMember`].
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

    /// With a store on such a Raft, whose clients read without the log; the constructors are as [`Lab::kv`]'s.
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

    /// With a store on a Raft that changes its members, who at first are the server's last argument.
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

    /// Whether there is what this test is a test of.
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

    /// The tests of what there is, in the lab's order.
    pub fn tests(&self) -> impl Iterator<Item = &'static LabTest> {
        suites::all().filter(|test| self.has(test))
    }
}

/// A constructor that has heard of no members: all servers are.
pub(crate) fn all_members(make: Make) -> MakeMember {
    Arc::new(move |peers, me, persister, apply_ch, _| make(peers, me, persister, apply_ch))
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
