//! The servers under test and the network between them: what the Go lab calls `config`.
//!
//! A [`Cluster`] makes servers, connects and cuts them off, crashes and restarts them, and reads their apply
//! channels. What they apply goes into the [ledger](crate::ledger), which fails the test at once when something is wrong.

mod beyond;
mod leaks;
mod links;
mod plans;
mod reader;

use crate::invariants::Watch;
use crate::lab::all_members;
use crate::ledger::{Ledger, show};
use crate::reading::Reading;
use labrpc::api::{ApplyMsg, Command, Make, MakeMember, Raft, Refused, Started};
use labrpc::channel::{self, Receiver, Sender, select};
use labrpc::rand::{self, Stream};
use labrpc::run::FailureKind;
use labrpc::sync::{Arc, Mutex};
use labrpc::thread::{Builder, Group, Hiccups, JoinHandle};
use labrpc::time::{Duration, Instant, sleep};
use labrpc::{Network, Persister, Server, run, trace};
use links::Links;
pub use links::way_of;
pub(crate) use plans::Incarnation;
use reader::Reader;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// How a test wants its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// How many servers.
    pub servers: usize,
    /// How many of them are members at first; the others are spare.
    pub members: usize,
    /// Whether the network begins reliable.
    pub reliable: bool,
    /// Whether and how the service makes snapshots.
    pub snapshots: Snapshots,
}

impl Setup {
    /// What a service of its own gets as `max_raft_state`.
    pub fn max_raft_state(&self) -> Option<usize> {
        match self.snapshots {
            Snapshots::Own(max) => max,
            _ => None,
        }
    }
}

/// How the service that a test puts above each server makes snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snapshots {
    /// It doesn't.
    Never,
    /// After every tenth command.
    EveryTenth,
    /// After every fourth, and some are handed over late, twice, or after newer ones. It takes its time, too.
    Sloppy,
    /// The service is not the tester's: it reads the apply channel itself, and makes a snapshot when the saved Raft state nears
    /// this size, in bytes; `None`: it doesn't.
    Own(Option<usize>),
}

impl Snapshots {
    /// After how many commands one is made.
    fn every(self) -> Option<u64> {
        match self {
            Snapshots::Never | Snapshots::Own(_) => None,
            Snapshots::EveryTenth => Some(10),
            Snapshots::Sloppy => Some(4),
        }
    }
}

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

/// What a test's run amounted to, as the Go lab prints it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many servers there were.
    pub servers: usize,
    /// How many calls they made.
    pub rpcs: u64,
    /// How many bytes went over the network.
    pub bytes: u64,
    /// How many commands were agreed on.
    pub commands: u64,
    /// Whether the test came to what it is for.
    pub check: Check,
}

impl Stats {
    /// Of a test that was given up: it doesn't fit.
    pub(crate) fn of_none(servers: usize, why: &'static str) -> Stats {
        Stats { servers, check: Check::DoesNotFit(why), ..Stats::default() }
    }
}

/// Whether a test came to what it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// It gave up before.
    #[default]
    Missed,
    /// It did.
    Reached,
    /// It can't on such a Raft, which is right nevertheless: why.
    DoesNotFit(&'static str),
}

/// How often a service that waits looks whether it still has to.
const LOOKS_EVERY: Duration = Duration::from_millis(5);

/// How long a killed server may take to end its threads.
const PATIENCE: Duration = Duration::from_secs(10);

/// The name of server `i` in reports.
pub fn name(i: usize) -> Arc<str> {
    static NAMES: LazyLock<[Arc<str>; 9]> =
        LazyLock::new(|| std::array::from_fn(|i| format!("S{i}").into()));
    NAMES.get(i).cloned().unwrap_or_else(|| format!("S{i}").into())
}

/// How server `i` calls itself in its life number `life`: `S0`, then `S0.2`.
fn name_in_life(i: usize, life: u64) -> String {
    if life == 1 { format!("S{i}") } else { format!("S{i}.{life}") }
}

/// The names of servers, for reports.
pub(crate) fn names(servers: &[usize]) -> String {
    servers.iter().map(|&i| name(i).to_string()).collect::<Vec<_>>().join(", ")
}

/// Whose end that is, from 0; in which life, from 1; and whom it leads to: `S0.2->S1`.
pub fn parse_end(end: &str) -> Option<(usize, u64, usize)> {
    let (from, to) = end.split_once("->")?;
    let (from, life) = from.split_once('.').unwrap_or((from, "1"));
    let number = |name: &str| name.strip_prefix('S')?.parse().ok();
    Some((number(from)?, life.parse().ok()?, number(to)?))
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

    /// Crashes server `i`, if it is running. What it had saved stays.
    ///
    /// In a simulation its threads stop where they stand; in real mode it is killed, and given time to notice.
    pub fn crash(&self, i: usize) {
        trace::tester(|| format!("crashes {}", name(i)));
        self.set_connected(i, false);
        self.0.net.delete_server(&name(i));
        // From now on it promises nothing to anybody, and what it saves will soon be nothing.
        self.0.watch.ends_life(i);
        let mut slots = self.0.slots.lock();
        let slot = &mut slots[i];
        slot.group.call_off_crash();
        slot.persister.call_off_crash();
        slot.persister = slot.persister.succeed();
        let ends = std::mem::take(&mut slot.ends);
        let raft = slot.raft.take();
        let group = slot.group.clone();
        if !run::in_simulation() {
            slot.remains.push(group.clone());
        }
        drop(slots);
        self.0.ledger.lock().end_life(i);
        for end in ends {
            self.0.net.delete_end(&end);
        }
        if run::in_simulation() {
            group.crash();
        } else if let Some(raft) = &raft {
            run::calling(|| format!("kill() on {}", name(i)), || raft.kill());
        }
    }

    /// Starts server `i`, after a crash of the life before; it finds what that had saved. It isn't connected yet.
    pub fn start_server(&self, i: usize) {
        self.crash_if_up(i);
        trace::tester(|| format!("starts {}", name(i)));
        let mut slots = self.0.slots.lock();
        let slot = &mut slots[i];
        slot.life += 1;
        slot.group = Group::new(name(i));
        slot.group.hiccups(self.0.hiccups.lock().clone());
        let owner = name_in_life(i, slot.life);
        self.0.watch.begins_life(i);
        let names: Vec<_> = (0..self.n()).map(|j| format!("{owner}->S{j}")).collect();
        slot.ends.clone_from(&names);
        let (group, persister) = (slot.group.clone(), slot.persister.clone());
        drop(slots);
        let peers = names.iter().enumerate().map(|(j, end)| {
            let peer = self.0.net.make_end(end.clone());
            self.0.net.connect(end, &name(j));
            peer
        });
        let peers = peers.collect();
        self.set_links(i);
        let ours = !matches!(self.0.setup.snapshots, Snapshots::Own(_));
        let snapshot = persister.snapshot().filter(|_| ours);
        let life = self.0.ledger.lock().begin_life(i, snapshot.as_ref());
        let life = life.unwrap_or_else(|wrong| run::fail(wrong));
        let (apply, applied) = channel::bounded(0);
        let raft = group.enter(|| {
            let members = (0..self.0.setup.members).collect();
            let making = || (self.0.make)(peers, i, persister, apply, members);
            let what = move || format!("make() of {}", name(i));
            let (raft, services) = run::calling_briefly(what, making);
            self.0.net.add_server(name(i), Server::new(services));
            raft
        });
        let raft = raft.unwrap_or_else(|| run::fail(format!("{} crashed as it was made", name(i))));
        let raft = Arc::new(Incarnation::new(raft, group.clone()));
        self.0.slots.lock()[i].raft = Some(raft.clone());
        self.read(i, life, raft, group, applied);
    }

    fn crash_if_up(&self, i: usize) {
        let up = self.0.slots.lock()[i].raft.is_some();
        if up {
            self.crash(i);
        }
    }

    /// A thread that reads the apply channel of server `i`, as its service would.
    fn read(
        &self,
        i: usize,
        life: u64,
        raft: Arc<Incarnation<dyn Raft>>,
        group: Group,
        applied: Receiver<ApplyMsg>,
    ) {
        let stopped = self.0.stopped.clone();
        let waits = self.0.slots.lock()[i].service_waits.clone();
        let mut reader = Reader {
            i,
            life,
            raft,
            group,
            ledger: self.0.ledger.clone(),
            watch: self.0.watch.clone(),
            snapshots: self.0.setup.snapshots,
            draws: self.0.draws.clone(),
            late: Vec::new(),
        };
        let read = move || loop {
            while waits.load(Relaxed) {
                select! {
                    recv(stopped) -> _ => return,
                    default(LOOKS_EVERY) => {}
                }
            }
            let message = select! {
                recv(applied) -> message => message,
                recv(stopped) -> _ => return,
            };
            let Ok(message) = message else { return };
            reader.take(message);
        };
        let thread = Builder::new().name(format!("reader of {}", name(i))).spawn(read);
        self.0.readers.lock().push(thread.expect("the system refuses another thread"));
    }

    /// Ends a test that has passed: kills every server, and [warns](run::warn) of threads that are left.
    pub fn finish(self) -> Stats {
        let stats = self.stats();
        if let Some(left) = self.stop() {
            run::warn(FailureKind::Leak, left);
        }
        stats
    }

    fn stats(&self) -> Stats {
        Stats {
            servers: self.n(),
            rpcs: self.0.net.total_count(),
            bytes: self.0.net.total_bytes(),
            commands: self.0.ledger.lock().max_index(),
            check: *self.0.check.lock(),
        }
    }

    /// Stops everything; says which threads go on nevertheless.
    fn stop(&self) -> Option<String> {
        trace::tester(|| "stops all servers".into());
        trace::end();
        self.0.watch.end();
        self.settle_plans();
        self.0.net.no_intercept();
        self.0.net.discard(|_| true); // nobody is to wait for these when it is killed
        let mut slots = std::mem::take(&mut *self.0.slots.lock());
        for (i, slot) in slots.iter_mut().enumerate() {
            if let Some(raft) = slot.raft.take() {
                run::calling_briefly(move || format!("kill() on {}", name(i)), || raft.kill());
                drop(raft);
            }
        }
        let deadline = Instant::now() + PATIENCE;
        let patience = || deadline.saturating_duration_since(Instant::now());
        let handlers = self.0.net.shutdown(patience());
        let groups: Vec<_> = slots
            .iter()
            .flat_map(|slot| slot.remains.iter().chain([&slot.group]).cloned())
            .collect();
        groups.iter().for_each(|group| _ = group.wait_ended(patience()));
        let left = leaks::describe(&groups, &handlers);
        self.0.stop.lock().take();
        for reader in std::mem::take(&mut *self.0.readers.lock()) {
            let _ = reader.join();
        }
        left
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

impl Drop for Inner {
    /// In real mode nobody else stops the servers of a test that has failed.
    fn drop(&mut self) {
        if run::in_simulation() {
            return;
        }
        for slot in self.slots.get_mut() {
            if let Some(raft) = slot.raft.take() {
                raft.kill();
            }
        }
        self.stop.get_mut().take();
        self.net.shutdown(PATIENCE);
    }
}
