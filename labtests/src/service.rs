//! Servers of a service that is built on Raft, and the clients of that service.
//!
//! To the [`Cluster`] such a server is a Raft like any other. The only difference: the tester neither gives it commands nor reads
//! its apply channel, because the service does both. So a test can do to a service whatever it can do to a Raft, and the same
//! rules are watched.

use crate::cluster::{Cluster, Incarnation, Setup, Stats, name};
use crate::invariants::Watch;
use labrpc::api::beyond::{Membership, Reads, Transfer};
use labrpc::api::kv::{Replica, Served};
use labrpc::api::{ApplyMsg, Command, Inspection, Made, Raft, Refused, Snapshot, Started};
use labrpc::channel::Sender;
use labrpc::run;
use labrpc::sync::{Arc, Mutex};
use labrpc::thread::Group;
use labrpc::time::Duration;
use labrpc::{ClientEnd, Persister};
use std::collections::BTreeSet;
use std::ops::{Deref, Range};
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The constructor of a server of a service.
type MakeServer<S> =
    dyn Fn(Vec<ClientEnd>, usize, Persister, BTreeSet<usize>) -> Served<S> + Send + Sync;

/// In a simulation, a client's message takes this much longer than a message between servers, each way. So one client does about
/// 900 operations in 15 s, as many as in the Go lab, and five clients do 4,000. Without this delay they would do many times as
/// many, which takes longer and finds no more bugs.
const CLIENTS_ARE_FAR: Range<Duration> = Duration::ZERO..Duration::from_millis(10);

/// The servers of a service, and the network ends of its clients. It can do all that a [`Cluster`] can do.
pub struct Site<S: Replica + ?Sized> {
    cluster: Cluster,
    /// The running servers, by number.
    servers: Servers<S>,
    clients: AtomicU64,
    /// How many operations clients have finished.
    operations: Arc<AtomicU64>,
}

type Servers<S> = Arc<Mutex<Vec<Option<(Weak<S>, Group)>>>>;

impl<S: Replica + ?Sized> Deref for Site<S> {
    type Target = Cluster;
    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl<S: Replica + ?Sized> Site<S> {
    /// Makes and connects all servers.
    pub fn new(make: Arc<MakeServer<S>>, setup: Setup, watch: Watch) -> Site<S> {
        let none = (0..setup.servers).map(|_| None).collect();
        let servers: Servers<S> = Arc::new(Mutex::new(none));
        let made = servers.clone();
        let host = move |peers, i: usize, persister, apply_ch: Sender<ApplyMsg>, members| -> Made {
            drop(apply_ch);
            let (server, services) = make(peers, i, persister, members);
            let group = Group::current().expect("the cluster makes servers in their group");
            made.lock()[i] = Some((Arc::downgrade(&server), group));
            (Arc::new(Hosted { raft: server.raft(), server }), services)
        };
        let cluster = Cluster::with_members(Arc::new(host), setup, watch);
        cluster.net().long_delays(false);
        Site { cluster, servers, clients: AtomicU64::new(0), operations: Arc::default() }
    }

    /// Calls server `i` for the tester. `None`: it is down, or it crashes during the call.
    pub fn call<R>(&self, i: usize, what: &str, f: impl FnOnce(&S) -> R) -> Option<R> {
        let (server, group) = self.servers.lock()[i].clone()?;
        let server = Incarnation::new(server.upgrade()?, group.clone());
        let calling = || group.enter(|| f(&server));
        let result = run::calling(|| format!("{what} on {}", name(i)), calling);
        run::note_progress();
        result
    }

    /// Makes a client. Returns its number and its ends, one to each server. Only the ends to `servers` work.
    pub fn client(&self, servers: &[usize]) -> (u64, Vec<ClientEnd>) {
        if servers.len() < self.n() {
            run::excuse_for_good();
        }
        let client = self.clients.fetch_add(1, Relaxed);
        let ends = (0..self.n()).map(|i| {
            let end_name = format!("C{client}->S{i}");
            let end = self.net().make_end(end_name.clone());
            self.net().connect(&end_name, &name(i));
            if run::in_simulation() {
                self.net().delay_end(&end_name, CLIENTS_ARE_FAR, CLIENTS_ARE_FAR);
            }
            self.net().enable(&end_name, servers.contains(&i));
            end
        });
        (client, ends.collect())
    }

    /// From now on, only the ends of this client to `servers` work.
    pub fn connect_client(&self, client: u64, servers: &[usize]) {
        run::excuse_for_good();
        for i in 0..self.n() {
            self.net().enable(&format!("C{client}->S{i}"), servers.contains(&i));
        }
    }

    /// Sets whether all replies to this client are lost. Its requests still arrive.
    pub fn set_replies_lost(&self, client: u64, yes: bool) {
        for i in 0..self.n() {
            self.net().lose_replies(&format!("C{client}->S{i}"), yes);
        }
    }

    /// The servers as a cluster of Rafts.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// All servers.
    pub fn all(&self) -> Vec<usize> {
        (0..self.n()).collect()
    }

    /// How many operations clients have finished. The clients update this number.
    pub fn operations(&self) -> &Arc<AtomicU64> {
        &self.operations
    }

    /// See [`Cluster::finish`].
    pub fn finish(&self) -> Stats {
        let stats = self.cluster.clone().finish();
        Stats { commands: self.operations.load(Relaxed), ..stats }
    }
}

/// A server of a service, presented to the cluster as a Raft.
struct Hosted<S: Replica + ?Sized> {
    server: Arc<S>,
    raft: Arc<dyn Raft>,
}

impl<S: Replica + ?Sized> Raft for Hosted<S> {
    fn start(&self, command: Command) -> Result<Started, Refused> {
        self.raft.start(command)
    }

    fn get_state(&self) -> (u64, bool) {
        self.raft.get_state()
    }

    fn snapshot(&self, index: u64, snapshot: Snapshot) {
        self.raft.snapshot(index, snapshot);
    }

    fn kill(&self) {
        self.server.kill();
    }

    fn inspect(&self) -> Option<Inspection> {
        self.raft.inspect()
    }

    fn reads(&self) -> Option<&dyn Reads> {
        self.raft.reads()
    }

    fn transfers(&self) -> Option<&dyn Transfer> {
        self.raft.transfers()
    }

    fn membership(&self) -> Option<&dyn Membership> {
        self.raft.membership()
    }
}
