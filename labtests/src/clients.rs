//! Clients of a store, as tests use them: somebody's clerk, and a record of what it was told.

use crate::cluster::{Setup, Stats};
use crate::invariants::Watch;
use crate::service::Site;
use labrpc::api::kv::{
    Clerk, MakeClerk, MakeReplica, MakeVersionedClerk, PutError, Replica, VersionedClerk,
};
use labrpc::{run, trace};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A 2022 store and its clients.
pub struct Texts {
    site: Site<dyn Replica>,
    clerk: MakeClerk,
}

/// A 2025 store and its clients.
pub struct Versions {
    site: Site<dyn Replica>,
    clerk: MakeVersionedClerk,
}

/// The site of a store.
fn site(server: MakeReplica, setup: Setup, watch: Watch) -> Site<dyn Replica> {
    let make = move |peers, me, persister| server(peers, me, persister, setup.max_raft_state());
    Site::new(Arc::new(make), setup, watch)
}

impl Texts {
    /// Starts the servers.
    pub fn new((server, clerk): (MakeReplica, MakeClerk), setup: Setup, watch: Watch) -> Texts {
        Texts { site: site(server, setup, watch), clerk }
    }

    /// A client of all servers.
    pub fn clerk(&self) -> TextClient {
        self.clerk_to(&self.all())
    }

    /// A client of these servers.
    pub fn clerk_to(&self, servers: &[usize]) -> TextClient {
        let (id, ends) = self.client(servers);
        let clerk = run::calling(|| "the constructor of a clerk".into(), || (self.clerk)(ends));
        TextClient { id, clerk, operations: self.operations().clone() }
    }

    /// See [`crate::cluster::Cluster::finish`].
    pub fn finish(&self) -> Stats {
        self.site.finish()
    }
}

impl Deref for Texts {
    type Target = Site<dyn Replica>;
    fn deref(&self) -> &Site<dyn Replica> {
        &self.site
    }
}

impl Versions {
    /// Starts the servers.
    pub fn new(
        (server, clerk): (MakeReplica, MakeVersionedClerk),
        setup: Setup,
        watch: Watch,
    ) -> Versions {
        Versions { site: site(server, setup, watch), clerk }
    }

    /// A client of all servers.
    pub fn clerk(&self) -> VersionClient {
        self.clerk_to(&self.all())
    }

    /// A client of these servers.
    pub fn clerk_to(&self, servers: &[usize]) -> VersionClient {
        let (id, ends) = self.client(servers);
        let clerk = run::calling(|| "the constructor of a clerk".into(), || (self.clerk)(ends));
        VersionClient { id, clerk, operations: self.operations().clone() }
    }

    /// See [`crate::cluster::Cluster::finish`].
    pub fn finish(&self) -> Stats {
        self.site.finish()
    }
}

impl Deref for Versions {
    type Target = Site<dyn Replica>;
    fn deref(&self) -> &Site<dyn Replica> {
        &self.site
    }
}

/// A client of a 2022 store.
pub struct TextClient {
    /// Its number: its ends are `C3->S1`.
    pub id: u64,
    clerk: Box<dyn Clerk>,
    operations: Arc<AtomicU64>,
}

impl TextClient {
    /// See [`Clerk::get`].
    pub fn get(&mut self, key: &str) -> String {
        self.says(|| format!("gets {key:?}"));
        self.done(|clerk| clerk.get(key))
    }

    /// See [`Clerk::put`].
    pub fn put(&mut self, key: &str, value: &str) {
        self.says(|| format!("puts {value:?} at {key:?}"));
        self.done(|clerk| clerk.put(key, value));
    }

    /// See [`Clerk::append`].
    pub fn append(&mut self, key: &str, value: &str) {
        self.says(|| format!("appends {value:?} to {key:?}"));
        self.done(|clerk| clerk.append(key, value));
    }

    fn says(&self, what: impl FnOnce() -> String) {
        trace::tester(|| format!("C{} {}", self.id, what()));
    }

    fn done<R>(&mut self, f: impl FnOnce(&mut dyn Clerk) -> R) -> R {
        let result = f(&mut *self.clerk);
        self.operations.fetch_add(1, Relaxed);
        result
    }
}

/// A client of a 2025 store.
pub struct VersionClient {
    /// Its number: its ends are `C3->S1`.
    pub id: u64,
    clerk: Box<dyn VersionedClerk>,
    operations: Arc<AtomicU64>,
}

impl VersionClient {
    /// See [`VersionedClerk::get`].
    pub fn get(&mut self, key: &str) -> Option<(String, u64)> {
        trace::tester(|| format!("C{} gets {key:?}", self.id));
        let got = self.clerk.get(key);
        self.operations.fetch_add(1, Relaxed);
        got
    }

    /// See [`VersionedClerk::put`].
    ///
    /// # Errors
    /// See [`PutError`].
    pub fn put(&mut self, key: &str, value: &str, version: u64) -> Result<(), PutError> {
        trace::tester(|| format!("C{} puts {value:?} at {key:?} for version {version}", self.id));
        let result = self.clerk.put(key, value, version);
        self.operations.fetch_add(1, Relaxed);
        result
    }
}
