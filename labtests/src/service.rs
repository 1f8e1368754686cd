//! Servers of a service that is built on Raft, and its clients.
//!
//! To the [`Cluster`] such a server is a Raft like any other, only that nobody gives it commands and nobody reads its apply
//! channel: the service does both. So whatever can be done to a Raft can be done to a service, and the same rules are watched.

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

/// How a server of a service is made.
type MakeServer<S> =
    dyn Fn(Vec<ClientEnd>, usize, Persister, BTreeSet<usize>) -> Served<S> + Send + Sync;

/// In a simulation, a client's message takes so much longer than one between servers, each way. So one client does as much in 15 s
/// as on the Go lab, some 900 operations, and five do 4,000. As near as servers are to each other, they would do many times that,
/// which takes longer and finds no more.
const CLIENTS_ARE_FAR: Range<Duration> = Duration::ZERO..Duration::from_millis(10);

/// The servers of a service, and the ends of its clients. What a [`Cluster`] can, it can.
pub struct Site<S: Replica + ?Sized> {
    cluster: Cluster,
    /// The servers that run, by number.
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

    /// Calls server `i` for the tester. `None`: it is down, or crashes meanwhile.
    pub fn call<R>(&self, i: usize, what: &str, f: impl FnOnce(&S) -> R) -> Option<R> {
        let (server, group) = self.servers.lock()[i].clone()?;
        let server = Incarnation::new(server.upgrade()?, group.clone());
        let calling = || group.enter(|| f(&server));
        let result = run::calling(|| format!("{what} on {}", name(i)), calling);
        run::note_progress();
        result
    }

    /// A new client, by its number, and its ends, one to each server; those to `servers` work.
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

    /// From now on the ends of this client to `servers` work, and no others.
    pub fn connect_client(&self, client: u64, servers: &[usize]) {
        run::excuse_for_good();
        for i in 0..self.n() {
            self.net().enable(&format!("C{client}->S{i}"), servers.contains(&i));
        }
    }

    /// Whether from now on this client hears no answer, though its requests arrive.
    pub fn set_replies_lost(&self, client: u64, yes: bool) {
        for i in 0..self.n() {
            self.net().lose_replies(&format!("C{client}->S{i}"), yes);
        }
    }

    /// The servers, as what every server on Raft is.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// All servers.
    pub fn all(&self) -> Vec<usize> {
        (0..self.n()).collect()
    }

    /// How many operations clients have finished; they count them themselves.
    pub fn operations(&self) -> &Arc<AtomicU64> {
        &self.operations
    }

    /// See [`Cluster::finish`].
    pub fn finish(&self) -> Stats {
        let stats = self.cluster.clone().finish();
        Stats { commands: self.operations.load(Relaxed), ..stats }
    }
}

/// A server of a service, in the guise of a Raft.
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
