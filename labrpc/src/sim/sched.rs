//! Who runs next: the seeded scheduler, the virtual clock, park and unpark.
//!
//! A *task* is one thread of the simulation. Exactly one task runs at a time, the one that holds the baton, and
//! only it changes [`Core`]. So nothing happens between two statements of a task unless it parks or reaches a
//! `Here::point`; in particular, nothing happens between its last look at a condition and its park.

mod park;
mod stuck;
mod tasks;
mod timers;

pub(crate) use park::{Key, RECEIVE, SELECT, SEND, Wait, Waiting};

use super::baton::{Baton, Worker};
use super::coroutines::Carrier;
use super::cpu::{Claim, OsThread};
use super::report;
use crate::run::{self, FailureKind, mix};
use park::{Holder, Keys, Parked, Waiters, YIELD_ONE_IN};
use parking_lot::{Condvar, Mutex, MutexGuard};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use stuck::Calm;
use timers::{Due, Timer};

/// The part of a task that others see.
pub(crate) struct Task {
    pub id: u64,
    crashed: AtomicBool,
    /// How often it was unwound since it crashed: more than once if its own code stops the unwinding.
    unwound: AtomicU32,
    timed_out: AtomicBool,
    baton: Arc<Baton>,
}

pub(crate) struct Sched {
    core: Mutex<Core>,
    /// A copy of the clock that is read without the lock.
    now_ns: AtomicU64,
    /// Decisions so far; what the watchdog watches.
    steps: AtomicU64,
    limit: Duration,
    calm: Calm,
    ended: Condvar,
    /// Who carries the tasks, if they are coroutines.
    pub carrier: Option<Arc<Carrier>>,
}

struct Core {
    now: Duration,
    rng: Pcg64,
    /// Points to pass before one yields.
    until_yield: u32,
    tasks: BTreeMap<u64, Box<Slot>>,
    running: u64,
    ready: Vec<u64>,
    waiters: Waiters,
    timers: BinaryHeap<Timer>,
    /// Who holds each lock that somebody waits for.
    holders: BTreeMap<usize, Holder>,
    next_id: u64,
    ending: bool,
    /// Groups that have crashed: what starts in them doesn't.
    crashed: BTreeSet<u64>,
    /// Whether there are OS threads that can't be joined, ever.
    lost: bool,
    /// How often everything was stuck while ending.
    stuck: u32,
    over: bool,
    fingerprint: u64,
    claim: Option<Arc<Claim>>,
    idle: Vec<Arc<Worker>>,
    os_threads: Vec<JoinHandle<()>>,
    /// Steps since virtual time last jumped, and how often it did.
    since_jump: u64,
    jumps: u64,
    last_look: Look,
    /// Channels that ever had several receivers.
    shared: BTreeSet<Key>,
    /// When to look next whether threads are stuck.
    next_look: Duration,
}

/// What the watchdog saw last.
#[derive(Default)]
struct Look {
    steps: u64,
    /// How many looks in a row saw hardly any, though there was a CPU for them.
    stalled: u32,
    /// Who was to run, and how long it had run before.
    thread: Option<(OsThread, Duration)>,
}

/// What the scheduler knows of a task.
struct Slot {
    task: Arc<Task>,
    title: String,
    has_name: bool,
    /// Where it was started, if user code did that.
    spawned: Option<&'static Location<'static>>,
    /// The channels that it last waited on for a message.
    reads: Keys,
    /// Where it last let another task go first.
    place: Option<&'static Location<'static>>,
    group: u64,
    /// The group that it is inside of as a guest.
    visits: Option<u64>,
    parked: Option<Parked>,
    /// Counts parks, so that a timer of an earlier one wakes nobody.
    parks: u64,
    /// How often it ran since virtual time last jumped, and which jump that was.
    ran: (u64, u64),
}

/// A step takes this long, so that time passes even where nobody sleeps.
const STEP: Duration = Duration::from_micros(1);

/// So many steps without a jump of virtual time mean that some task is always ready: it spins.
const SPIN_LIMIT: u64 = 1_000_000;

/// With fewer steps than this between two looks of the watchdog, a simulation is as good as stalled; a healthy one
/// takes hundreds of thousands.
const HARDLY_ANY: u64 = 50;

/// A thread that wants to run and got less than this between two looks has no CPU: others have it.
const NO_CPU: Duration = Duration::from_millis(10);

impl Core {
    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Counts a step of task `id`; names the task that spins, when one must.
    fn note_step(&mut self, id: u64) -> Option<String> {
        let jumps = self.jumps;
        let slot = self.tasks.get_mut(&id)?;
        slot.ran = if slot.ran.0 == jumps { (jumps, slot.ran.1 + 1) } else { (jumps, 1) };
        self.since_jump += 1;
        if self.since_jump != SPIN_LIMIT || self.ending {
            return None;
        }
        let busy = self.tasks.values().filter(|slot| slot.ran.0 == jumps);
        busy.max_by_key(|slot| slot.ran.1).map(|slot| slot.name_and_place())
    }

    /// Where a task that is about to let others go first stands.
    fn note_place(&mut self, id: u64, place: &'static Location<'static>) {
        if let Some(slot) = self.tasks.get_mut(&id) {
            slot.place = Some(place);
        }
    }

    fn take_ready(&mut self) -> Option<u64> {
        let which = match self.ready.len() {
            0 => return None,
            1 => 0,
            // A server's threads are older than the tester's thread that drops the server last, and may join them.
            n if self.ending => (0..n).min_by_key(|&at| self.ready[at])?,
            n => self.rng.random_range(0..n),
        };
        Some(self.ready.swap_remove(which))
    }
}

impl Slot {
    /// Its title; of a thread without a name also where it was started.
    fn full_title(&self) -> String {
        match self.spawned.filter(|_| !self.has_name) {
            Some(place) => format!("{} (spawned at {place})", self.title),
            None => self.title.clone(),
        }
    }

    fn name_and_place(&self) -> String {
        match self.place {
            Some(place) => format!("{}, last seen at {place},", self.full_title()),
            None => self.full_title(),
        }
    }
}

impl Sched {
    pub fn new(
        seed: u64,
        limit: Duration,
        patience: Option<Duration>,
        carrier: Option<Arc<Carrier>>,
    ) -> Sched {
        let mut rng = Pcg64::seed_from_u64(seed);
        Sched {
            core: Mutex::new(Core {
                now: Duration::ZERO,
                until_yield: rng.random_range(0..2 * YIELD_ONE_IN),
                rng,
                tasks: BTreeMap::new(),
                running: 0,
                ready: Vec::new(),
                waiters: Waiters::default(),
                timers: BinaryHeap::new(),
                holders: BTreeMap::new(),
                next_id: 0,
                ending: false,
                crashed: BTreeSet::new(),
                lost: false,
                stuck: 0,
                over: false,
                fingerprint: seed,
                claim: None,
                idle: Vec::new(),
                os_threads: Vec::new(),
                since_jump: 0,
                jumps: 0,
                last_look: Look::default(),
                shared: BTreeSet::new(),
                next_look: stuck::LOOKS_EVERY,
            }),
            now_ns: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            limit,
            calm: Calm::new(patience),
            ended: Condvar::new(),
            carrier,
        }
    }

    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.now_ns.load(Ordering::Relaxed))
    }

    fn set_now(&self, core: &mut Core, now: Duration) {
        core.now = now;
        self.now_ns.store(now.as_nanos() as u64, Ordering::Relaxed);
    }

    pub fn fresh_id(&self) -> u64 {
        self.core.lock().fresh_id()
    }

    pub fn fingerprint(&self) -> (u64, u64) {
        (self.core.lock().fingerprint, self.steps.load(Ordering::Relaxed))
    }

    pub fn begin(&self, claim: Option<Claim>) {
        self.core.lock().claim = claim.map(Arc::new);
    }

    /// Passes the baton to the first task.
    pub fn start(&self) {
        let core = self.core.lock();
        if let Some((core, id)) = self.pick(core) {
            let baton = core.tasks[&id].task.baton.clone();
            drop(core);
            baton.pass();
        }
    }

    /// The current task, already queued or parked, hands over; returns when it is its turn again.
    fn switch<'a>(&'a self, core: MutexGuard<'a, Core>, task: &Task) {
        let Some((core, next)) = self.pick(core) else {
            return self.give_up(task);
        };
        if next == task.id {
            return;
        }
        let baton = core.tasks[&next].task.baton.clone();
        drop(core);
        baton.pass();
        task.baton.wait();
    }

    /// Decides who runs next. `None`: nobody is left, or nobody can be brought to an end.
    fn pick<'a>(&'a self, mut core: MutexGuard<'a, Core>) -> Option<(MutexGuard<'a, Core>, u64)> {
        loop {
            if let Some(action) = core.fire_due() {
                let ending = core.ending;
                drop(core);
                if ending {
                    drop(action)
                } else {
                    action()
                }
                core = self.core.lock();
            } else if let Some(id) = core.take_ready() {
                let now = core.now + STEP;
                self.set_now(&mut core, now);
                core.running = id;
                // The run is over when tasks unwind. Destructors that wait make that differ between threads and coroutines.
                if !core.ending {
                    core.fingerprint = mix(core.fingerprint, id ^ now.as_nanos() as u64);
                }
                self.steps.fetch_add(1, Ordering::Relaxed);
                if let Some(spinner) = core.note_step(id) {
                    let text = report::spin(&spinner, SPIN_LIMIT);
                    core = self.fail(core, FailureKind::Stall, text);
                }
                return Some((core, id));
            } else if core.tasks.is_empty() {
                return None;
            } else if let Some(at) = core.next_timer() {
                let until = if core.ending { at } else { at.min(self.limit).min(core.next_look) };
                let now = core.now.max(until);
                self.set_now(&mut core, now);
                core.jumps += 1;
                core.since_jump = 0;
                if core.ending {
                    continue;
                }
                if core.next_look <= now {
                    core = self.look_for_stuck(core);
                }
                if self.limit <= now && now < at && !core.ending {
                    let text = report::time_limit(self.limit, &core.waits());
                    core = self.fail(core, FailureKind::TimeLimit, text);
                }
            } else if !core.ending {
                core = self.deadlock(core);
            } else if !core.unstick() {
                return None;
            }
        }
    }

    /// Fails the run on behalf of the scheduler.
    fn fail<'a>(
        &'a self,
        core: MutexGuard<'a, Core>,
        kind: FailureKind,
        text: String,
    ) -> MutexGuard<'a, Core> {
        self.fail_since(core, kind, text, None)
    }

    /// The same, of something that began at `since`.
    fn fail_since<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        kind: FailureKind,
        text: String,
        since: Option<Duration>,
    ) -> MutexGuard<'a, Core> {
        core.end_all(); // now, so that this happens once
        drop(core);
        if let Some(here) = run::here() {
            here.world.fail_since(kind, text, None, since);
        }
        self.core.lock()
    }

    /// Waits for the end of the run, at most for `tick`.
    pub fn wait_for_end(&self, tick: Duration) -> bool {
        let mut core = self.core.lock();
        if !core.over {
            self.ended.wait_for(&mut core, tick);
        }
        core.over
    }

    /// The thread that runs, after so many calls of this between which next to nothing happened.
    pub fn stalled_for(&self, ticks: u32) -> Option<String> {
        let steps = self.steps.load(Ordering::Relaxed);
        let mut core = self.core.lock();
        let few = steps - core.last_look.steps < HARDLY_ANY;
        let thread = core.tasks.get(&core.running).and_then(|slot| slot.task.baton.os_thread());
        let starved = few && core.last_look.is_starved(thread);
        let look = &mut core.last_look;
        look.steps = steps;
        look.stalled = match few {
            true => look.stalled + u32::from(!starved),
            false => 0,
        };
        let stalled = look.stalled >= ticks;
        let title =
            core.tasks.get(&core.running).map_or("(nobody)".into(), |slot| slot.full_title());
        stalled.then_some(title)
    }
}

impl Look {
    /// Whether the thread that is to run wants to, and can't, for the machine is busy with other things.
    fn is_starved(&mut self, thread: Option<OsThread>) -> bool {
        let need = thread.and_then(|thread| Some((thread, thread.need()?)));
        let before = self.thread.take();
        let Some((thread, (wants, ran))) = need else { return false };
        self.thread = Some((thread, ran));
        // Another one than before has only just been told to.
        let before = before.filter(|(same, _)| *same == thread);
        wants && before.is_none_or(|(_, before)| ran.saturating_sub(before) < NO_CPU)
    }
}
