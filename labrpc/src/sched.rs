//! The seeded scheduler, which decides which task runs next; the virtual clock; park and unpark.
//!
//! A *task* is one thread of the simulation. Exactly one task runs at a time, the one that holds the baton. Only this task
//! changes [`Core`]. So nothing happens between two statements of a task unless the task parks or reaches a yield point
//! (`Here::point`). In particular, nothing happens between the task's last check of a condition and its park.

pub(crate) mod baton;
pub(crate) mod coroutines;
pub(crate) mod cpu;
mod dice;
mod owner;
mod park;
pub(crate) mod report;
mod stuck;
mod tasks;
mod timers;
pub(crate) mod waiting;
mod watch;

pub(crate) use dice::Dice;
pub(crate) use owner::Owner;
pub(crate) use tasks::NewTask;
pub use waiting::Straggler;
pub(crate) use waiting::{Key, RECEIVE, SELECT, SEND, Wait};

use crate::failure::FailureKind;
use crate::tape::Deck;
use baton::{Baton, Worker};
use coroutines::Carrier;
use cpu::Claim;
use parking_lot::{Condvar, Mutex, MutexGuard};
use rand::SeedableRng;
use rand_pcg::Pcg64;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use stuck::Calm;
use timers::{Due, Timer};
use waiting::{Holder, Keys, Parked, Waiters};
use watch::Look;

/// The part of a task that others see.
pub(crate) struct Task {
    pub id: u64,
    crashed: AtomicBool,
    /// How many times the task was unwound since it crashed. This is more than 1 if its own code catches the unwinding.
    unwound: AtomicU32,
    timed_out: AtomicBool,
    baton: Arc<Baton>,
}

impl Task {
    pub fn is_crashed(&self) -> bool {
        self.crashed.load(Ordering::Relaxed)
    }

    /// Counts that the task is unwound once more. Returns how many times it was unwound before.
    pub fn note_unwound(&self) -> u32 {
        self.unwound.fetch_add(1, Ordering::Relaxed)
    }

    pub fn forget_unwinding(&self) {
        self.unwound.store(0, Ordering::Relaxed);
    }
}

pub(crate) struct Sched {
    core: Mutex<Core>,
    /// The run that the tasks belong to.
    owner: OnceLock<Weak<dyn Owner>>,
    /// A copy of the virtual clock, which can be read without the lock.
    now_ns: AtomicU64,
    /// The number of scheduling decisions so far. The watchdog watches it.
    steps: AtomicU64,
    limit: Duration,
    calm: Calm,
    ended: Condvar,
    /// The carrier of the tasks, if they are coroutines.
    pub carrier: Option<Arc<Carrier>>,
}

struct Core {
    now: Duration,
    rng: Pcg64,
    /// The run's tape, if it is recorded or played.
    tape: Option<Arc<Deck>>,
    /// How many times a task was made ready, if the run has a tape.
    queued: u64,
    /// How many yield points to pass before the next yield.
    until_yield: u32,
    tasks: BTreeMap<u64, Box<Slot>>,
    running: u64,
    ready: Vec<u64>,
    waiters: Waiters,
    timers: BinaryHeap<Timer>,
    /// The holder of each lock that a task waits for.
    holders: BTreeMap<usize, Holder>,
    next_id: u64,
    ending: bool,
    /// Groups that have crashed. A task that starts in such a group does not run its code.
    crashed: BTreeSet<u64>,
    /// Whether there are OS threads that can never be joined.
    lost: bool,
    /// How many times all tasks waited while the run was ending.
    stuck: u32,
    over: bool,
    fingerprint: u64,
    claim: Option<Arc<Claim>>,
    idle: Vec<Arc<Worker>>,
    os_threads: Vec<JoinHandle<()>>,
    /// Steps since virtual time last jumped.
    since_jump: u64,
    /// How many times virtual time has jumped.
    jumps: u64,
    last_look: Look,
    /// Channels that have, or once had, more than one receiver.
    shared: BTreeSet<Key>,
    /// When to check next whether threads are stuck.
    next_look: Duration,
}

/// What the scheduler knows of a task.
struct Slot {
    task: Arc<Task>,
    title: String,
    has_name: bool,
    /// Where the task was started, if user code started it.
    spawned: Option<&'static Location<'static>>,
    /// The channels on which it last waited for a message.
    reads: Keys,
    /// Where it last yielded to another task.
    place: Option<&'static Location<'static>>,
    group: u64,
    /// The group that it visits, if it is inside another group.
    visits: Option<u64>,
    parked: Option<Parked>,
    /// Counts the task's parks, so that the timer of an earlier park does not wake it.
    parks: u64,
    /// When it was made ready last, if the run has a tape: see [`Core::queued`].
    queued: u64,
    /// The number of the last jump of virtual time, and how many steps the task has taken since then.
    ran: (u64, u64),
}

/// A step takes this much virtual time, so that time passes even if no task sleeps.
const STEP: Duration = Duration::from_micros(1);

/// If virtual time does not jump for this many steps, some task is always ready: it spins.
const SPIN_LIMIT: u64 = 1_000_000;

/// One step of a hash that is the same on every machine.
pub(crate) fn mix(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23)
}

impl Core {
    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Counts a step of task `id`. At the [`SPIN_LIMIT`], returns the name of the task that spins.
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

    /// Notes the place of a task that is about to yield.
    fn note_place(&mut self, id: u64, place: &'static Location<'static>) {
        if let Some(slot) = self.tasks.get_mut(&id) {
            slot.place = Some(place);
        }
    }
}

impl Slot {
    /// The task's title. For a thread without a name, also where it was started.
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
        tape: Option<Arc<Deck>>,
    ) -> Sched {
        let mut rng = Pcg64::seed_from_u64(seed);
        let until_yield = dice::until_yield(&mut rng, tape.as_deref());
        Sched {
            core: Mutex::new(Core {
                now: Duration::ZERO,
                until_yield,
                rng,
                tape,
                queued: 0,
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
            owner: OnceLock::new(),
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

    /// The current task, which is already queued or parked, passes the baton on. Returns when the task has the baton again.
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

    /// Decides which task runs next. `None`: no task is left, or the tasks that are left can't be ended.
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
                // Steps after the end of the run are not part of the fingerprint: while tasks unwind, destructors that wait make
                // the steps differ between OS threads and coroutines.
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

    /// The same, for a failure that began at `since`.
    fn fail_since<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        kind: FailureKind,
        text: String,
        since: Option<Duration>,
    ) -> MutexGuard<'a, Core> {
        core.end_all(); // ends the tasks now, so that the scheduler fails the run only once
        drop(core);
        if let Some(owner) = self.owner() {
            owner.fail(kind, text, since);
        }
        self.core.lock()
    }

    /// Fails the run because of what the current task does.
    fn accuse(&self, kind: FailureKind, text: String) {
        if let Some(owner) = self.owner() {
            owner.fail_here(kind, text);
        }
    }

    fn owner(&self) -> Option<Arc<dyn Owner>> {
        self.owner.get()?.upgrade()
    }

    /// Sets the run that the tasks belong to.
    pub fn set_owner(&self, owner: Weak<dyn Owner>) {
        let _ = self.owner.set(owner);
    }

    /// Waits for the end of the run, at most for `tick`. Returns whether the run is over.
    pub fn wait_for_end(&self, tick: Duration) -> bool {
        let mut core = self.core.lock();
        if !core.over {
            self.ended.wait_for(&mut core, tick);
        }
        core.over
    }
}
