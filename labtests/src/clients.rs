//! Clients of a store, as tests use them: the clerk under test, and a record of its operations and their results. At the end, the
//! records of all clients together must be [linearizable](crate::linearizability).

use crate::cluster::{Setup, Stats};
use crate::constructors::MakeMemberReplica;
use crate::invariants::Watch;
use crate::linearizability::{
    Answer, Contradiction, Limit, Model, Operation, Outputs, Text, TextOp, Verdict, Versioned,
    VersionedOp, check,
};
use crate::service::Site;
use labrpc::api::kv::{
    Clerk, MakeClerk, MakeReplica, MakeVersionedClerk, PutError, Replica, VersionedClerk,
};
use labrpc::time::Instant;
use labrpc::trace::{Act, Deed, Operated};
use labrpc::{run, trace};
use parking_lot::Mutex;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A store of some kind, and its clients. A `C` makes their clerks.
pub struct Store<C, M: Model> {
    site: Site<dyn Replica>,
    clerk: C,
    history: History<M>,
}

/// A 2022 store and its clients.
pub type Texts = Store<MakeClerk, Text>;

/// A 2025 store and its clients.
pub type Versions = Store<MakeVersionedClerk, Versioned>;

/// The operations of all clients so far, with their results. This is not a lock of the simulation, so a thread that writes here
/// does not yield.
type History<M> = Arc<Mutex<Vec<Operation<<M as Model>::Op>>>>;

fn json(why: &Contradiction) -> String {
    serde_json::to_string(why).unwrap_or_else(|error| format!("{:?}", error.to_string()))
}

/// The checker's limit, in steps. It is far more than the suites' histories need, so a run that the checker can't decide within it
/// fails.
const STEPS: u64 = 50_000_000;

impl<C, M: Model> Deref for Store<C, M> {
    type Target = Site<dyn Replica>;
    fn deref(&self) -> &Site<dyn Replica> {
        &self.site
    }
}

impl<C, M: Model + Default> Store<C, M> {
    /// Starts the servers.
    pub fn new((server, clerk): (MakeReplica, C), setup: Setup, watch: Watch) -> Store<C, M> {
        let server: MakeMemberReplica =
            Arc::new(move |peers, me, persister, max, _| server(peers, me, persister, max));
        Store::with_members((server, clerk), setup, watch)
    }

    /// The same for a store in which some servers may not be members.
    pub(crate) fn with_members(
        (server, clerk): (MakeMemberReplica, C),
        setup: Setup,
        watch: Watch,
    ) -> Store<C, M> {
        let max = setup.max_raft_state();
        let make = move |peers, me, persister, members| server(peers, me, persister, max, members);
        let site = Site::new(Arc::new(make), setup, watch);
        Store { site, clerk, history: Arc::default() }
    }

    /// Fails the test if the operations of all clients so far aren't linearizable. No client may be waiting for a reply.
    #[track_caller]
    pub fn check_history(&self) {
        let history = self.history.lock();
        match check(&M::default(), &history, Limit::Steps(STEPS)) {
            Verdict::Linearizable => {}
            Verdict::Not(why) => {
                trace::attach(Contradiction::NAME, || json(&why));
                run::fail(format!(
                    "the results that the clients got are not linearizable (§8). Each operation must appear to happen once, at one \
                 moment between its call and its reply. If a read returned an old value, look for a server that answered the \
                 read although the server was deposed or had not applied enough entries. If a write shows twice or not at all, \
                 look at how servers recognise repeated requests:\n{why}"
                ))
            }
            Verdict::Undecided => run::fail(format!(
                "{STEPS} steps of the checker were not enough to decide whether the {} operations of this run are linearizable",
                history.len()
            )),
        }
    }

    /// See [`crate::cluster::Cluster::finish`].
    pub fn finish(&self) -> Stats {
        self.check_history();
        self.site.finish()
    }

    fn teller(&self, id: u64) -> Teller<M> {
        Teller { id, history: self.history.clone(), operations: self.operations().clone() }
    }
}

impl Texts {
    /// A client that can reach all servers.
    pub fn clerk(&self) -> TextClient {
        self.clerk_to(&self.all())
    }

    /// A client that can reach only these servers.
    pub fn clerk_to(&self, servers: &[usize]) -> TextClient {
        let (id, ends) = self.client(servers);
        let clerk = run::calling(|| "the constructor of a clerk".into(), || (self.clerk)(ends));
        TextClient { id, clerk, teller: self.teller(id), outputs: Outputs::default() }
    }
}

impl Versions {
    /// A client that can reach all servers.
    pub fn clerk(&self) -> VersionClient {
        self.clerk_to(&self.all())
    }

    /// A client that can reach only these servers.
    pub fn clerk_to(&self, servers: &[usize]) -> VersionClient {
        let (id, ends) = self.client(servers);
        let clerk = run::calling(|| "the constructor of a clerk".into(), || (self.clerk)(ends));
        VersionClient { id, clerk, teller: self.teller(id) }
    }
}

/// Records the operations of a client.
struct Teller<M: Model> {
    id: u64,
    history: History<M>,
    operations: Arc<AtomicU64>,
}

impl<M: Model> Teller<M> {
    /// Runs an operation and records it.
    fn tell<R>(
        &self,
        what: impl FnOnce() -> String,
        f: impl FnOnce() -> R,
        op: impl FnOnce(&R) -> M::Op,
    ) -> R {
        let what = format!("C{} {}", self.id, what());
        trace::deed(|| Deed { act: Act::Operation, text: what.clone(), ..Deed::default() });
        let call = Instant::now();
        let result = run::calling(|| what, f);
        let returned = Instant::now();
        self.operations.fetch_add(1, Relaxed);
        run::note_progress();
        let op = op(&result);
        trace::operated(|| Operated {
            client: self.id,
            took: returned.saturating_duration_since(call),
            key: M::key(&op).into(),
            operation: M::asked(&op),
            answer: M::answer(&op),
        });
        self.history.lock().push(Operation { client: self.id, call, ret: Some(returned), op });
        result
    }
}

/// A client of a 2022 store.
pub struct TextClient {
    /// Its number. Client 3's end to server 1 is `C3->S1`.
    pub id: u64,
    clerk: Box<dyn Clerk>,
    teller: Teller<Text>,
    outputs: Outputs,
}

impl TextClient {
    /// See [`Clerk::get`].
    pub fn get(&mut self, key: &str) -> String {
        let TextClient { clerk, teller, outputs, .. } = self;
        let got = |got: &String| TextOp::Get { key: key.into(), output: outputs.keep(key, got) };
        teller.tell(|| format!("gets {key:?}"), || clerk.get(key), got)
    }

    /// See [`Clerk::put`].
    pub fn put(&mut self, key: &str, value: &str) {
        let TextClient { clerk, teller, .. } = self;
        let put = |_: &()| TextOp::Put { key: key.into(), value: value.into() };
        teller.tell(|| format!("puts {value:?} at {key:?}"), || clerk.put(key, value), put);
    }

    /// See [`Clerk::append`].
    pub fn append(&mut self, key: &str, value: &str) {
        let TextClient { clerk, teller, .. } = self;
        let append = |_: &()| TextOp::Append { key: key.into(), value: value.into() };
        teller.tell(
            || format!("appends {value:?} to {key:?}"),
            || clerk.append(key, value),
            append,
        );
    }
}

/// A client of a 2025 store.
pub struct VersionClient {
    /// Its number. Client 3's end to server 1 is `C3->S1`.
    pub id: u64,
    clerk: Box<dyn VersionedClerk>,
    teller: Teller<Versioned>,
}

impl VersionClient {
    /// See [`VersionedClerk::get`].
    pub fn get(&mut self, key: &str) -> Option<(String, u64)> {
        let VersionClient { clerk, teller, .. } = self;
        let got = |got: &Option<_>| VersionedOp::Get { key: key.into(), output: got.clone() };
        teller.tell(|| format!("gets {key:?}"), || clerk.get(key), got)
    }

    /// See [`VersionedClerk::put`].
    ///
    /// # Errors
    /// See [`PutError`].
    pub fn put(&mut self, key: &str, value: &str, version: u64) -> Result<(), PutError> {
        let VersionClient { clerk, teller, .. } = self;
        let put = |result: &Result<(), PutError>| {
            let answer = match result {
                Ok(()) => Answer::Ok,
                Err(PutError::Version) => Answer::Version,
                Err(PutError::NoKey) => Answer::NoKey,
                Err(PutError::Maybe) => Answer::Maybe,
            };
            VersionedOp::Put { key: key.into(), value: value.into(), version, answer }
        };
        teller.tell(
            || format!("puts {value:?} at {key:?} for version {version}"),
            || clerk.put(key, value, version),
            put,
        )
    }
}
