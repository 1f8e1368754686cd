//! The servers under test and the network between them: what the Go lab calls `config`.
//!
//! A [`Cluster`] makes servers, connects and cuts them off, crashes and restarts them, and reads their apply
//! channels. What they apply goes into the [ledger](crate::ledger), which fails the test at once when something is wrong.

mod beyond;
mod leaks;
mod life;
mod links;
mod names;
mod plans;
mod reader;
mod setup;
mod stats;

use crate::invariants::Watch;
use crate::lab::all_members;
use crate::ledger::{Ledger, show};
use crate::reading::Reading;
use labrpc::api::{Command, Make, MakeMember, Raft, Refused, Started};
use labrpc::channel::{self, Receiver, Sender};
use labrpc::rand::{self, Stream};
use labrpc::run::FailureKind;
use labrpc::sync::{Arc, Mutex};
use labrpc::thread::{Group, Hiccups, JoinHandle};
use labrpc::time::{Duration, sleep};
use labrpc::{Network, Persister, run, trace};
use links::Links;
pub use links::way_of;
pub(crate) use names::names;
pub use names::{name, parse_end};
pub(crate) use plans::Incarnation;
pub use setup::{Setup, Snapshots};
pub use stats::{Check, Stats};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The servers under test. Clones are the same cluster.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    make: MakeMember,
    setup: Setup,
    net: Network,
    slots: Mutex<Vec<Slot>>,
    /// No lock of the simulation: whoever asks for it yields nowhere.
    links: parking_lot::Mutex<Links>,
    hiccups: parking_lot::Mutex<Option<Hiccups>>,
    /// What each server said last of its term and role.
    states: parking_lot::Mutex<BTreeMap<usize, (u64, bool)>>,
    /// Whether a crash was ever planned.
    planned: AtomicBool,
    /// No lock of the simulation, either.
    check: parking_lot::Mutex<Check>,
    ledger: Arc<Mutex<Ledger>>,
    watch: Watch,
    draws: Arc<Stream>,
    /// Readers of apply channels. They end when their server lets go of the channel, or when `stop` is dropped.
    readers: Mutex<Vec<JoinHandle<()>>>,
    stop: Mutex<Option<Sender<()>>>,
    stopped: Receiver<()>,
}

/// The place of one server, whether it runs or not.
struct Slot {
    raft: Option<Arc<Incarnation<dyn Raft>>>,
    connected: bool,
    /// On which side of a partition it is.
    side: u8,
    /// Which incarnation this is, from 1.
    life: u64,
    group: Group,
    persister: Persister,
    /// The names of its ends, by peer.
    ends: Vec<String>,
    /// Whether its service takes no message for now.
    service_waits: Arc<AtomicBool>,
    /// What is left of crashed incarnations, in real mode.
    remains: Vec<Group>,
}

impl Cluster {
    /// Makes and connects all servers. Calls on the network have long delays, as in the Go lab: a server that
    /// sends to one peer after another would stall.
    pub fn new(make: Make, setup: Setup) -> Cluster {
        Cluster::watched(make, setup, Watch::blind(setup.servers))
    }

    /// As [`Cluster::new`], with somebody watching.
    pub fn watched(make: Make, setup: Setup, watch: Watch) -> Cluster {
        Cluster::with_members(all_members(make), setup, watch)
    }

    /// The same where not all servers need be members.
    pub fn with_members(make: MakeMember, setup: Setup, watch: Watch) -> Cluster {
        let net = Network::new();
        net.reliable(setup.reliable);
        net.long_delays(true);
        let slots = (0..setup.servers).map(|i| Slot {
            raft: None,
            connected: false,
            side: 0,
            life: 0,
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

    /// What it was made of.
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

    /// The tester's random draws.
    pub fn draws(&self) -> &Stream {
        &self.0.draws
    }

    /// What the servers have applied.
    pub fn ledger(&self) -> &Mutex<Ledger> {
        &self.0.ledger
    }

    /// A server, if it is running.
    pub fn raft(&self, i: usize) -> Option<Arc<dyn Raft>> {
        self.0.slots.lock()[i].raft.as_ref().map(|life| life.server().clone())
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

    /// Gives a command to server `i`. A server that is down refuses as one that is stopped.
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
            trace::tester(|| {
                let who = name(i);
                format!("gave {} to {who}: index {index}, term {term}", show(command))
            });
        }
        result
    }

    /// The term and belief of server `i`; `None` if it is down.
    pub fn state(&self, i: usize) -> Option<(u64, bool)> {
        let (raft, group) = self.running(i)?;
        let look = self.0.watch.look(i);
        let inspecting = || group.enter(|| raft.inspect());
        let what = move || format!("inspect() on {}", name(i));
        let inspection = run::calling_briefly(what, inspecting)?;
        let calling = || group.enter(|| raft.get_state());
        let state = run::calling_briefly(move || format!("get_state() on {}", name(i)), calling)?;
        self.0.watch.saw(look, state, inspection);
        if self.0.states.lock().insert(i, state) != Some(state) {
            run::note_progress();
        }
        Some(state)
    }

    /// A server and its group, which threads that it makes while we call it belong to.
    fn running(&self, i: usize) -> Option<(Arc<Incarnation<dyn Raft>>, Group)> {
        let slot = &self.0.slots.lock()[i];
        let raft = slot.raft.clone().filter(|_| !slot.group.has_crashed())?;
        Some((raft, slot.group.clone()))
    }

    /// Lets server `i` talk to all connected ones.
    pub fn connect(&self, i: usize) {
        trace::tester(|| format!("connects {}", name(i)));
        self.set_connected(i, true);
    }

    /// Connects all servers, each with all others.
    pub fn connect_all(&self) {
        self.0.slots.lock().iter_mut().for_each(|slot| slot.side = 0);
        (0..self.n()).for_each(|i| self.connect(i));
    }

    /// Connects all servers, but these only among themselves and the others only among themselves.
    pub fn partition(&self, side: &[usize]) {
        trace::tester(|| {
            let (these, others): (Vec<_>, Vec<_>) = (0..self.n()).partition(|i| side.contains(i));
            format!("parts {} from {}", names(&these), names(&others))
        });
        for (i, slot) in self.0.slots.lock().iter_mut().enumerate() {
            slot.side = u8::from(side.contains(&i));
        }
        (0..self.n()).for_each(|i| self.set_connected(i, true));
    }

    /// Cuts server `i` off from all others.
    pub fn disconnect(&self, i: usize) {
        trace::tester(|| format!("disconnects {}", name(i)));
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

    /// Whether the service of server `i` takes nothing from its apply channel for now, in this life and the next.
    pub fn service_waits(&self, i: usize, yes: bool) {
        let verb = if yes { "stops" } else { "wakes" };
        trace::tester(|| format!("{verb} the service of {}", name(i)));
        run::excuse_for_good();
        self.0.slots.lock()[i].service_waits.store(yes, Relaxed);
    }

    /// Lets the service of server `i` make a snapshot of what it has applied up to `index`.
    pub fn make_snapshot(&self, i: usize, index: u64) {
        let Some((raft, group)) = self.running(i) else { return };
        let snapshot = self.0.ledger.lock().snapshot_of(i, index);
        reader::hand_over(i, &raft, &group, &self.0.watch, index, snapshot);
    }

    /// Whether the servers' threads stop now and then, also those of servers that are yet to start.
    pub fn hiccups(&self, hiccups: Option<Hiccups>) {
        trace::tester(|| format!("makes threads slow: {hiccups:?}"));
        self.0.slots.lock().iter().for_each(|slot| slot.group.hiccups(hiccups.clone()));
        *self.0.hiccups.lock() = hiccups;
    }

    /// The test has established the situation that it is for, and is about to look at what must hold there. A test that gives up
    /// before has checked nothing: see [`Report::check`](crate::runner::Report::check).
    pub fn reached_check(&self) {
        *self.0.check.lock() = Check::Reached;
    }

    /// The test has found what breaks no rule, and yet could be better: it passes with a warning, which should have a number in it.
    pub fn advise(&self, advice: String) {
        trace::tester(|| format!("warns: {advice}"));
        run::warn(FailureKind::Advice, advice);
    }

    /// The situation can't be on this Raft, though that breaks no rule.
    pub fn does_not_fit(&self, why: &'static str) {
        let mut check = self.0.check.lock();
        if *check == Check::Missed {
            *check = Check::DoesNotFit(why);
        }
    }

    /// What is odd about the elections of late, among the servers that are connected: a line for each thing.
    pub fn elections(&self) -> Vec<String> {
        let connected: Vec<_> = (0..self.n()).filter(|&i| self.is_connected(i)).collect();
        trace::tester(|| "looks at the elections".into()); // and so the watch knows what time it is
        self.0.watch.elections(&connected)
    }

    /// Sleeps, on the run's clock.
    pub fn sleep(&self, duration: Duration) {
        sleep(duration);
    }
}
