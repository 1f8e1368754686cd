//! The servers under test and the network between them: what the Go lab calls `config`.
//!
//! A [`Cluster`] makes servers, connects and disconnects them, crashes and restarts them, and reads their apply
//! channels. What they apply goes into the [ledger](crate::ledger), which fails the test as soon as something is wrong.

mod beyond;
pub(crate) mod deeds;
mod leaks;
mod lifecycle;
mod links;
mod plans;
mod reader;
mod setup;
mod stats;

use crate::constructors::all_members;
use crate::invariants::Watch;
use crate::ledger::{Ledger, show};
pub(crate) use crate::names::names;
pub use crate::names::{name, parse_end};
use crate::reading::Reading;
use deeds::{deed, state_seen};
use labrpc::api::{Command, Make, MakeMember, Raft, Refused, Started};
use labrpc::channel::{self, Receiver, Sender};
use labrpc::rand::{self, Stream};
use labrpc::run::FailureKind;
use labrpc::sync::{Arc, Mutex};
use labrpc::thread::{Group, Hiccups, JoinHandle};
use labrpc::time::{Duration, sleep};
use labrpc::trace::{Act, Deed};
use labrpc::{Network, Persister, run, trace};
use links::Links;
pub use links::way_of;
pub(crate) use plans::Incarnation;
pub use setup::{Setup, Snapshots};
pub use stats::{Check, Stats};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The servers under test. All clones are the same cluster.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    make: MakeMember,
    setup: Setup,
    net: Network,
    slots: Mutex<Vec<Slot>>,
    /// This is not a lock of the simulation, so locking it is no yield point.
    links: parking_lot::Mutex<Links>,
    hiccups: parking_lot::Mutex<Option<Hiccups>>,
    /// The term that each server last reported, and whether it leads.
    states: parking_lot::Mutex<BTreeMap<usize, (u64, bool)>>,
    /// Whether a crash was ever planned.
    planned: AtomicBool,
    /// This is not a lock of the simulation, either.
    check: parking_lot::Mutex<Check>,
    ledger: Arc<Mutex<Ledger>>,
    watch: Watch,
    draws: Arc<Stream>,
    /// Readers of apply channels. A reader ends when its server drops the channel, or when `stop` is dropped.
    readers: Mutex<Vec<JoinHandle<()>>>,
    stop: Mutex<Option<Sender<()>>>,
    stopped: Receiver<()>,
}

/// The place of one server, whether it is running or not.
struct Slot {
    raft: Option<Arc<Incarnation<dyn Raft>>>,
    connected: bool,
    /// The side of a partition on which it is.
    side: u8,
    /// Which incarnation this is, from 1.
    incarnation: u64,
    group: Group,
    persister: Persister,
    /// The names of its network ends, by peer.
    ends: Vec<String>,
    /// Whether its service currently does not read the apply channel.
    service_waits: Arc<AtomicBool>,
    /// In real mode, what is left of crashed incarnations.
    remains: Vec<Group>,
}

impl Cluster {
    /// Makes and connects all servers. Calls to unreachable servers take long, as in the Go lab: a server that calls its peers
    /// one after another stalls.
    pub fn new(make: Make, setup: Setup) -> Cluster {
        Cluster::watched(make, setup, Watch::blind(setup.servers))
    }

    /// Like [`Cluster::new`], with a watch.
    pub fn watched(make: Make, setup: Setup, watch: Watch) -> Cluster {
        Cluster::with_members(all_members(make), setup, watch)
    }

    /// Like [`Cluster::watched`], for a cluster in which some servers need not be members.
    pub fn with_members(make: MakeMember, setup: Setup, watch: Watch) -> Cluster {
        let net = Network::new();
        net.reliable(setup.reliable);
        net.long_delays(true);
        let slots = (0..setup.servers).map(|i| Slot {
            raft: None,
            connected: false,
            side: 0,
            incarnation: 0,
            group: Group::new(name(i)),
            persister: Persister::new().named(name(i)),
            ends: Vec::new(),
            service_waits: Arc::default(),
            remains: Vec::new(),
        });
        let (stop, stopped) = channel::bounded(0);
        let cluster = Cluster(Arc::new(Inner {
            make,
            setup,
            net,
            slots: Mutex::new(slots.collect()),
            links: parking_lot::Mutex::default(),
            hiccups: parking_lot::Mutex::default(),
            states: parking_lot::Mutex::default(),
            planned: AtomicBool::new(false),
            check: parking_lot::Mutex::default(),
            ledger: Arc::new(Mutex::new(Ledger::new(setup.servers))),
            watch,
            draws: rand::tester(),
            readers: Mutex::default(),
            stop: Mutex::new(Some(stop)),
            stopped,
        }));
        for i in 0..setup.servers {
            cluster.start_server(i);
        }
        for i in 0..setup.servers {
            cluster.connect(i);
        }
        cluster
    }

    /// The setup that it was made from.
    pub fn setup(&self) -> &Setup {
        &self.0.setup
    }

    /// How many servers there are.
    pub fn n(&self) -> usize {
        self.0.setup.servers
    }

    /// The network.
    pub fn net(&self) -> &Network {
        &self.0.net
    }

    /// How messages are read.
    pub fn reading(&self) -> Reading {
        self.0.watch.reading()
    }

    /// The tester's random numbers.
    pub fn draws(&self) -> &Stream {
        &self.0.draws
    }

    /// What the servers have applied.
    pub fn ledger(&self) -> &Mutex<Ledger> {
        &self.0.ledger
    }

    /// A server, if it is running.
    pub fn raft(&self, i: usize) -> Option<Arc<dyn Raft>> {
        self.0.slots.lock()[i].raft.as_ref().map(|incarnation| incarnation.server().clone())
    }

    /// Whether server `i` is connected.
    pub fn is_connected(&self, i: usize) -> bool {
        self.0.slots.lock()[i].connected
    }

    /// How many servers are connected.
    pub fn connected(&self) -> usize {
        self.0.slots.lock().iter().filter(|slot| slot.connected).count()
    }

    /// The largest saved Raft state of any server, in bytes.
    pub fn largest_saved_state(&self) -> (usize, usize) {
        let slots = self.0.slots.lock();
        let sizes = slots.iter().map(|slot| slot.persister.raft_state_size()).enumerate();
        sizes.max_by_key(|(_, size)| *size).unwrap_or_default()
    }

    /// The largest saved snapshot of any server, in bytes.
    pub fn largest_snapshot(&self) -> (usize, usize) {
        let slots = self.0.slots.lock();
        let sizes = slots.iter().map(|slot| slot.persister.snapshot_size()).enumerate();
        sizes.max_by_key(|(_, size)| *size).unwrap_or_default()
    }

    /// Gives a command to server `i`. A server that is down refuses the command, as a stopped server does.
    pub fn start(&self, i: usize, command: &Command) -> Result<Started, Refused> {
        let (raft, group) = self.running(i).ok_or(Refused::Stopped)?;
        let calling = || group.enter(|| raft.start(command.clone()));
        let result = run::calling_briefly(move || format!("start() on {}", name(i)), calling);
        let result = result.unwrap_or(Err(Refused::Stopped));
        if let Err(Refused::NotLeader { leader: Some(leader) }) = result {
            self.0.watch.refused(i, leader);
        }
        if let Ok(started @ Started { index, term }) = result {
            run::note_progress();
            self.0.watch.took(i, started, command);
            trace::deed(|| Deed {
                entry: Some((index, term)),
                ..deed(
                    Act::Command,
                    &[i],
                    format!("gave {} to {}: index {index}, term {term}", show(command), name(i)),
                )
            });
        }
        result
    }

    /// The term of server `i`, and whether it believes that it leads; `None` if it is down.
    pub fn state(&self, i: usize) -> Option<(u64, bool)> {
        let (raft, group) = self.running(i)?;
        let look = self.0.watch.look(i);
        let inspecting = || group.enter(|| raft.inspect());
        let what = move || format!("inspect() on {}", name(i));
        let inspection = run::calling_briefly(what, inspecting)?;
        let calling = || group.enter(|| raft.get_state());
        let state = run::calling_briefly(move || format!("get_state() on {}", name(i)), calling)?;
        self.0.watch.saw(look, state, inspection);
        trace::deed(|| state_seen(i, state));
        if self.0.states.lock().insert(i, state) != Some(state) {
            run::note_progress();
        }
        Some(state)
    }

    /// A server and its thread group. Threads that the server spawns during a call of the tester must belong to this group.
    fn running(&self, i: usize) -> Option<(Arc<Incarnation<dyn Raft>>, Group)> {
        let slot = &self.0.slots.lock()[i];
        let raft = slot.raft.clone().filter(|_| !slot.group.has_crashed())?;
        Some((raft, slot.group.clone()))
    }

    /// Connects server `i` with all connected servers.
    pub fn connect(&self, i: usize) {
        trace::deed(|| deed(Act::Connect, &[i], format!("connects {}", name(i))));
        self.set_connected(i, true);
    }

    /// Connects all servers, each with all others.
    pub fn connect_all(&self) {
        self.0.slots.lock().iter_mut().for_each(|slot| slot.side = 0);
        (0..self.n()).for_each(|i| self.connect(i));
    }

    /// Partitions the cluster: connects these servers with each other, and the other servers with each other.
    pub fn partition(&self, side: &[usize]) {
        trace::deed(|| {
            let (these, others): (Vec<_>, Vec<_>) = (0..self.n()).partition(|i| side.contains(i));
            let text = format!("partitions {} from {}", names(&these), names(&others));
            deed(Act::Links, &[], text)
        });
        for (i, slot) in self.0.slots.lock().iter_mut().enumerate() {
            slot.side = u8::from(side.contains(&i));
        }
        (0..self.n()).for_each(|i| self.set_connected(i, true));
    }

    /// Cuts server `i` off from all others.
    pub fn disconnect(&self, i: usize) {
        trace::deed(|| deed(Act::Disconnect, &[i], format!("disconnects {}", name(i))));
        self.set_connected(i, false);
    }

    fn set_connected(&self, i: usize, connected: bool) {
        let mut slots = self.0.slots.lock();
        slots[i].connected = connected;
        let mut ends = Vec::new();
        for j in 0..self.n() {
            let one_side = slots[i].side == slots[j].side;
            let both = slots[i].connected && slots[j].connected && one_side;
            ends.extend(slots[i].ends.get(j).map(|end| (end.clone(), both)));
            ends.extend(slots[j].ends.get(i).map(|end| (end.clone(), both)));
        }
        run::excuse(slots.iter().any(|slot| !slot.connected || slot.side != slots[0].side));
        drop(slots);
        for (end, enabled) in ends {
            self.0.net.enable(&end, enabled);
        }
    }

    /// Sets whether the service of server `i` stops reading its apply channel. This holds until it is changed, also after a
    /// restart.
    pub fn service_waits(&self, i: usize, yes: bool) {
        let verb = if yes { "stops" } else { "wakes" };
        trace::tester(|| format!("{verb} the service of {}", name(i)));
        run::excuse_for_good();
        self.0.slots.lock()[i].service_waits.store(yes, Relaxed);
    }

    /// The service of server `i` makes a snapshot of what it has applied up to `index`.
    pub fn make_snapshot(&self, i: usize, index: u64) {
        let Some((raft, group)) = self.running(i) else { return };
        let snapshot = self.0.ledger.lock().snapshot_of(i, index);
        reader::hand_over(i, &raft, &group, &self.0.watch, index, snapshot);
    }

    /// Sets whether the servers' threads pause now and then. This also holds for servers that start later.
    pub fn hiccups(&self, hiccups: Option<Hiccups>) {
        trace::tester(|| format!("makes threads slow: {hiccups:?}"));
        self.0.slots.lock().iter().for_each(|slot| slot.group.hiccups(hiccups.clone()));
        *self.0.hiccups.lock() = hiccups;
    }

    /// A test calls this when it has brought about the situation that it is for, just before it checks what must hold there. A
    /// test that gives up earlier has checked nothing: see [`Report::check`](crate::runner::Report::check).
    pub fn reached_check(&self) {
        *self.0.check.lock() = Check::Reached;
    }

    /// A test calls this when it has found something that breaks no rule but could be better. The test passes with this advice as
    /// a warning. The advice should have a number in it.
    pub fn advise(&self, advice: String) {
        trace::tester(|| format!("warns: {advice}"));
        run::warn(FailureKind::Advice, advice);
    }

    /// A test calls this when its situation can't occur on this Raft, though the Raft breaks no rule.
    pub fn does_not_fit(&self, why: &'static str) {
        let mut check = self.0.check.lock();
        if *check == Check::Missed {
            *check = Check::DoesNotFit(why);
        }
    }

    /// What is odd about the recent elections among the connected servers: one line for each oddity.
    pub fn elections(&self) -> Vec<String> {
        let connected: Vec<_> = (0..self.n()).filter(|&i| self.is_connected(i)).collect();
        trace::tester(|| "looks at the elections".into()); // this event also tells the watch what time it is
        self.0.watch.elections(&connected)
    }

    /// Sleeps, on the run's clock.
    pub fn sleep(&self, duration: Duration) {
        sleep(duration);
    }
}
