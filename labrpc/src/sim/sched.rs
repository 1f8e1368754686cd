//! Who runs next: the seeded scheduler, the virtual clock, park and unpark.
//!
//! A *task* is one thread of the simulation. Exactly one task runs at a time, the one that holds the baton, and
//! only it changes [`Core`]. So nothing happens between two statements of a task unless it parks or reaches a
//! [`Here::point`]; in particular, nothing happens between its last look at a condition and its park.

use super::baton::{Baton, Job, Worker};
use super::cpu::Claim;
use super::report;
use crate::run::{self, Crash, FailureKind, Here, World, mix, set_here};
use crate::thread::Group;
use parking_lot::{Condvar, Mutex, MutexGuard};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::cmp::Ordering as Order;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt;
use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a parked task waits for. Never shown and never iterated, so addresses are harmless here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A lock or condition variable, by where it is.
    Address(usize),
    /// A channel, by its number.
    Channel(u64),
    /// A receiver that waits, by its channel's number.
    Receiver(u64),
    /// The end of a task.
    Task(u64),
    /// A change in who is alive in a group.
    Group(u64),
}

/// Why and where a task parks, for reports.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    what: &'static str,
    place: &'static Location<'static>,
    lock: Option<usize>,
}

impl Wait {
    #[track_caller]
    pub fn new(what: &'static str) -> Wait {
        Wait::at(what, Location::caller())
    }

    pub fn at(what: &'static str, place: &'static Location<'static>) -> Wait {
        Wait { what, place, lock: None }
    }

    /// A wait for the lock at this address.
    #[track_caller]
    pub fn lock(address: usize) -> Wait {
        Wait::lock_at(address, Location::caller())
    }

    pub fn lock_at(address: usize, place: &'static Location<'static>) -> Wait {
        Wait { what: "lock", place, lock: Some(address) }
    }
}

/// A line of a report: who waits for what.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub thread: String,
    what: &'static str,
    place: &'static Location<'static>,
    pub since: Duration,
    pub holder: Option<String>,
}

impl Waiting {
    /// Whether two waits differ only in which of several threads of a name it is, and since when.
    pub fn is_like(&self, other: &Waiting) -> bool {
        let of = |w: &Waiting| (w.thread.clone(), w.what, w.place, w.holder.clone());
        of(self) == of(other)
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.as_secs_f64();
        write!(f, "{} waits since {since:.6} s: {} at {}", self.thread, self.what, self.place)?;
        match &self.holder {
            Some(holder) => write!(f, ", held by {holder}"),
            None => Ok(()),
        }
    }
}

/// What runs between two steps of the tasks, at a time set in advance. It must not park.
pub(crate) type Action = Box<dyn FnOnce() + Send>;

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
    ended: Condvar,
}

struct Core {
    now: Duration,
    rng: Pcg64,
    /// Points to pass before one yields.
    until_yield: u32,
    tasks: BTreeMap<u64, Slot>,
    running: u64,
    ready: Vec<u64>,
    waiters: BTreeMap<Key, Vec<u64>>,
    timers: BinaryHeap<Timer>,
    /// Who holds each lock that somebody waits for.
    holders: BTreeMap<usize, u64>,
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
    /// The watchdog's last look: how many steps, and how many looks in a row saw hardly any.
    last_look: (u64, u32),
}

/// What the scheduler knows of a task.
struct Slot {
    task: Arc<Task>,
    title: String,
    group: u64,
    parked: Option<Parked>,
    /// Counts parks, so that a timer of an earlier one wakes nobody.
    parks: u64,
    /// How often it ran since virtual time last jumped, and which jump that was.
    ran: (u64, u64),
}

struct Parked {
    keys: Vec<Key>,
    wait: Wait,
    since: Duration,
}

struct Timer {
    at: Duration,
    seq: u64,
    what: Due,
}

enum Due {
    Wake { task: u64, park: u64 },
    Act(Action),
}

impl Ord for Timer {
    /// The earliest is the greatest, as the heap wants it.
    fn cmp(&self, other: &Timer) -> Order {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Timer) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Timer) -> bool {
        self.cmp(other) == Order::Equal
    }
}

impl Eq for Timer {}

/// What is due later than this is never due.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A step takes this long, so that time passes even where nobody sleeps.
const STEP: Duration = Duration::from_micros(1);

/// One in this many points yields, on average.
const YIELD_ONE_IN: u32 = 16;

/// So many steps without a jump of virtual time mean that some task is always ready: it spins.
const SPIN_LIMIT: u64 = 1_000_000;

/// With fewer steps than this between two looks of the watchdog, a simulation is as good as stalled; a healthy one
/// takes hundreds of thousands.
const HARDLY_ANY: u64 = 50;

/// A crashed task that has caught its unwinding this often is suspended for good.
const UNWOUND_LIMIT: u32 = 100;

/// Destructors that wait for what will never come are let go this often before they are given up.
const STUCK_LIMIT: u32 = 100;

impl Here {
    fn sched(&self) -> Option<(&Sched, &Arc<Task>)> {
        self.world.sched.as_ref().zip(self.task.as_ref())
    }

    /// A place where another task may take over, if the seed says so.
    #[track_caller]
    pub fn point(&self) {
        let Some((sched, task)) = self.sched() else {
            return;
        };
        self.unwind_if_crashed();
        let mut core = sched.core.lock();
        if core.until_yield > 0 {
            core.until_yield -= 1;
            return;
        }
        core.until_yield = core.rng.random_range(0..2 * YIELD_ONE_IN);
        core.ready.push(task.id);
        sched.switch(core, task);
        self.unwind_if_crashed();
    }

    /// Lets every other task that is ready go first, perhaps.
    pub fn yield_now(&self) {
        let Some((sched, task)) = self.sched() else {
            return;
        };
        self.unwind_if_crashed();
        let mut core = sched.core.lock();
        core.ready.push(task.id);
        sched.switch(core, task);
        self.unwind_if_crashed();
    }

    /// Waits until somebody unparks one of `keys`, or until `deadline`: then the answer is true.
    /// May also return for no reason, so callers look again.
    pub fn park(&self, keys: &[Key], deadline: Option<Duration>, wait: Wait) -> bool {
        self.unwind_if_crashed();
        let timed_out = self.park_through_crash(keys, deadline, wait);
        self.unwind_if_crashed();
        timed_out
    }

    /// As [`park`](Here::park), but doesn't unwind a crashed task: for destructors.
    pub fn park_through_crash(&self, keys: &[Key], deadline: Option<Duration>, wait: Wait) -> bool {
        let Some((sched, task)) = self.sched() else {
            return false;
        };
        let mut core = sched.core.lock();
        core.suspend(task.id, keys, deadline, wait);
        if let Some(circle) = wait.lock.and_then(|_| core.lock_circle(task.id)) {
            drop(core);
            if !std::thread::panicking() {
                let text = report::lock_circle(&circle);
                self.world.fail(FailureKind::Deadlock, text, Some(self));
            }
            core = sched.core.lock();
        }
        sched.switch(core, task);
        task.timed_out.load(Ordering::Relaxed)
    }

    /// A crashed task is only resumed to unwind; its destructors may still wait.
    pub fn unwind_if_crashed(&self) {
        let Some((sched, task)) = self.sched() else {
            return;
        };
        if self.is_crashed() && !std::thread::panicking() {
            if task.unwound.fetch_add(1, Ordering::Relaxed) >= UNWOUND_LIMIT {
                let text = format!("{} catches the unwinding that is to end it", self.title());
                self.world.fail(FailureKind::Leak, text, Some(self));
                sched.abandon(task, &self.group);
            }
            run::unwind();
        }
    }

    /// Wakes one task that waits for `key`.
    pub fn unpark_one(&self, key: Key) {
        if let Some((sched, _)) = self.sched() {
            sched.unpark_one(key);
        }
    }

    /// Wakes every task that waits for `key`.
    pub fn unpark_all(&self, key: Key) {
        if let Some((sched, _)) = self.sched() {
            sched.unpark_all(key);
        }
    }

    /// Notes which task holds the contended lock at `address` (`None`: it is free), for reports.
    pub fn note_holder(&self, address: usize, holder: Option<u64>) {
        let Some((sched, _)) = self.sched() else {
            return;
        };
        let mut core = sched.core.lock();
        match holder {
            Some(holder) => core.holders.insert(address, holder),
            None => core.holders.remove(&address),
        };
    }

    /// Whether the current task is being unwound by the run; its destructors must not wait for others for ever.
    pub fn is_crashed(&self) -> bool {
        self.task.as_ref().is_some_and(|task| task.crashed.load(Ordering::Relaxed))
    }

    /// One of `n`, as the seed says.
    pub fn choose(&self, n: usize) -> usize {
        self.sched().map_or(0, |(sched, _)| sched.core.lock().rng.random_range(0..n))
    }

    pub fn task_id(&self) -> u64 {
        self.task.as_ref().map_or(0, |task| task.id)
    }
}

impl Core {
    fn suspend(&mut self, id: u64, keys: &[Key], deadline: Option<Duration>, wait: Wait) {
        let since = self.now;
        let Some(slot) = self.tasks.get_mut(&id) else {
            return;
        };
        slot.parks += 1;
        slot.parked = Some(Parked { keys: keys.to_vec(), wait, since });
        let park = slot.parks;
        for key in keys {
            self.waiters.entry(*key).or_default().push(id);
        }
        if let Some(at) = deadline {
            self.add_timer(at, Due::Wake { task: id, park });
        }
    }

    fn add_timer(&mut self, at: Duration, what: Due) {
        if at > FAR {
            return;
        }
        let seq = self.fresh_id();
        self.timers.push(Timer { at: at.max(self.now), seq, what });
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Makes a parked task ready.
    fn wake(&mut self, id: u64, timed_out: bool) {
        let Some(slot) = self.tasks.get_mut(&id) else {
            return;
        };
        let Some(parked) = slot.parked.take() else {
            return;
        };
        slot.task.timed_out.store(timed_out, Ordering::Relaxed);
        for key in parked.keys {
            if let Some(list) = self.waiters.get_mut(&key) {
                list.retain(|waiter| *waiter != id);
                if list.is_empty() {
                    self.waiters.remove(&key);
                }
            }
        }
        self.ready.push(id);
    }

    fn unpark_all(&mut self, key: Key) {
        while let Some(&first) = self.waiters.get(&key).and_then(|list| list.first()) {
            self.wake(first, false);
        }
    }

    /// The action of a timer that is due, if it has one; wakes whom the timers before it wake.
    fn fire_due(&mut self) -> Option<Action> {
        while self.timers.peek().is_some_and(|timer| timer.at <= self.now) {
            match self.timers.pop()?.what {
                Due::Act(action) => return Some(action),
                Due::Wake { task, park } if self.is_current(task, park) => self.wake(task, true),
                Due::Wake { .. } => {}
            }
        }
        None
    }

    fn is_current(&self, task: u64, park: u64) -> bool {
        self.tasks.get(&task).is_some_and(|slot| slot.parked.is_some() && slot.parks == park)
    }

    /// When the next timer that still means something is due.
    fn next_timer(&mut self) -> Option<Duration> {
        while let Some(timer) = self.timers.peek() {
            match timer.what {
                Due::Wake { task, park } if !self.is_current(task, park) => self.timers.pop(),
                _ => return Some(timer.at),
            };
        }
        None
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
        busy.max_by_key(|slot| slot.ran.1).map(|slot| slot.title.clone())
    }

    fn take_ready(&mut self) -> Option<u64> {
        let which = match self.ready.len() {
            0 => return None,
            1 => 0,
            n => self.rng.random_range(0..n),
        };
        Some(self.ready.swap_remove(which))
    }

    fn waits(&self) -> Vec<Waiting> {
        self.tasks.values().filter_map(|slot| self.waiting(slot)).collect()
    }

    fn waiting(&self, slot: &Slot) -> Option<Waiting> {
        let parked = slot.parked.as_ref()?;
        let holder = parked.wait.lock.and_then(|address| self.holders.get(&address));
        Some(Waiting {
            thread: slot.title.clone(),
            what: parked.wait.what,
            place: parked.wait.place,
            since: parked.since,
            holder: holder.and_then(|id| self.tasks.get(id)).map(|slot| slot.title.clone()),
        })
    }

    /// Follows who holds the lock that `first` waits for, and what that one waits for, back to `first`.
    fn lock_circle(&self, first: u64) -> Option<Vec<Waiting>> {
        let mut circle = Vec::new();
        let mut id = first;
        while circle.len() <= self.tasks.len() {
            let slot = self.tasks.get(&id)?;
            circle.push(self.waiting(slot)?);
            id = *self.holders.get(&slot.parked.as_ref()?.wait.lock?)?;
            if id == first {
                return Some(circle);
            }
        }
        None
    }

    /// Everything ends: every task is resumed to unwind.
    fn end_all(&mut self) {
        self.ending = true;
        self.crash(|_| true);
    }

    fn crash(&mut self, which: impl Fn(&Slot) -> bool) {
        let ids: Vec<u64> =
            self.tasks.iter().filter(|(_, slot)| which(slot)).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(slot) = self.tasks.get(&id) else {
                continue;
            };
            // A destructor that already waits goes on waiting.
            if !slot.task.crashed.swap(true, Ordering::Relaxed) {
                self.wake(id, false);
            }
        }
    }

    /// While ending, all that is left are destructors that wait. Lets those go that wait for no lock.
    fn unstick(&mut self) -> bool {
        self.stuck += 1;
        let ids: Vec<u64> = self.tasks.keys().copied().collect();
        for id in ids {
            let lock = self.tasks[&id].parked.as_ref().is_some_and(|p| p.wait.lock.is_some());
            if !lock {
                self.wake(id, true);
            }
        }
        self.stuck < STUCK_LIMIT && !self.ready.is_empty()
    }
}

impl Sched {
    pub fn new(seed: u64, limit: Duration) -> Sched {
        let mut rng = Pcg64::seed_from_u64(seed);
        Sched {
            core: Mutex::new(Core {
                now: Duration::ZERO,
                until_yield: rng.random_range(0..2 * YIELD_ONE_IN),
                rng,
                tasks: BTreeMap::new(),
                running: 0,
                ready: Vec::new(),
                waiters: BTreeMap::new(),
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
                last_look: (0, 0),
            }),
            now_ns: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            limit,
            ended: Condvar::new(),
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

    pub fn waits(&self) -> Vec<Waiting> {
        self.core.lock().waits()
    }

    /// Runs `action` at `at`, between two steps.
    pub fn at(&self, at: Duration, action: Action) {
        let mut core = self.core.lock();
        if !core.over {
            core.add_timer(at, Due::Act(action));
        }
    }

    pub fn unpark_one(&self, key: Key) {
        let mut core = self.core.lock();
        let Some(list) = core.waiters.get(&key) else {
            return;
        };
        let len = list.len();
        let which = if len == 1 { 0 } else { core.rng.random_range(0..len) };
        let id = core.waiters[&key][which];
        core.wake(id, false);
    }

    pub fn unpark_all(&self, key: Key) {
        self.core.lock().unpark_all(key);
    }

    /// Makes every task end, as soon as it would run next.
    pub fn end_all(&self) {
        self.core.lock().end_all();
    }

    /// Makes every task of `group` end; they unwind before anybody else's destructors see them gone.
    pub fn crash_group(&self, group: u64) {
        let mut core = self.core.lock();
        core.crashed.insert(group);
        core.crash(|slot| slot.group == group);
    }

    /// The titles of the tasks of `group`.
    pub fn alive_in(&self, group: u64) -> Vec<String> {
        let core = self.core.lock();
        core.tasks.values().filter(|s| s.group == group).map(|s| s.title.clone()).collect()
    }

    pub fn is_alive(&self, task: u64) -> bool {
        self.core.lock().tasks.contains_key(&task)
    }

    pub fn begin(&self, claim: Option<Claim>) {
        self.core.lock().claim = claim.map(Arc::new);
    }

    /// Makes a task. A named one gets a fresh OS thread; the others share a pool (and so thread-locals).
    pub fn spawn(&self, world: &Arc<World>, group: &Group, name: Option<&str>, body: Job) -> u64 {
        self.spawn_as(world, group, name.unwrap_or("unnamed"), name.is_none(), body)
    }

    /// As [`spawn`](Sched::spawn), on a pooled thread under a name for reports.
    pub fn spawn_pooled(&self, world: &Arc<World>, group: &Group, name: &str, body: Job) -> u64 {
        self.spawn_as(world, group, name, true, body)
    }

    fn spawn_as(
        &self,
        world: &Arc<World>,
        group: &Group,
        name: &str,
        pooled: bool,
        body: Job,
    ) -> u64 {
        let mut core = self.core.lock();
        let reaped = (!pooled).then(|| core.reap());
        let id = core.fresh_id();
        let worker = if pooled { core.idle.pop() } else { None };
        let fresh = worker.is_none();
        let worker = worker.unwrap_or_default();
        let task = Arc::new(Task {
            id,
            crashed: AtomicBool::new(core.ending || core.crashed.contains(&group.id())),
            unwound: AtomicU32::new(0),
            timed_out: AtomicBool::new(false),
            baton: worker.baton.clone(),
        });
        let here = Arc::new(Here {
            world: world.clone(),
            group: group.clone(),
            name: name.into(),
            task: Some(task.clone()),
        });
        let title = here.title();
        core.tasks.insert(
            id,
            Slot { task, title, group: group.id(), parked: None, parks: 0, ran: (0, 0) },
        );
        core.ready.push(id);
        let claim = core.claim.clone();
        drop(core);
        let back = pooled.then(|| worker.clone());
        *worker.job.lock() = Some(Box::new(move || run_task(&here, body, back)));
        if fresh {
            let handle = start_os_thread(name, worker, claim, pooled);
            self.core.lock().os_threads.push(handle);
        }
        for handle in reaped.into_iter().flatten() {
            let _ = handle.join();
        }
        id
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
                core.fingerprint = mix(core.fingerprint, id ^ now.as_nanos() as u64);
                self.steps.fetch_add(1, Ordering::Relaxed);
                if let Some(spinner) = core.note_step(id) {
                    let text = report::spin(&spinner, SPIN_LIMIT);
                    core = self.fail(core, FailureKind::Stall, text);
                }
                return Some((core, id));
            } else if core.tasks.is_empty() {
                return None;
            } else if let Some(at) = core.next_timer() {
                let until = if core.ending { at } else { at.min(self.limit) };
                let now = core.now.max(until);
                self.set_now(&mut core, now);
                core.jumps += 1;
                core.since_jump = 0;
                if until < at {
                    let text = report::time_limit(self.limit, &core.waits());
                    core = self.fail(core, FailureKind::TimeLimit, text);
                }
            } else if !core.ending {
                let text = report::deadlock(&core.waits());
                core = self.fail(core, FailureKind::Deadlock, text);
            } else if !core.unstick() {
                return None;
            }
        }
    }

    /// Fails the run on behalf of the scheduler.
    fn fail<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        kind: FailureKind,
        text: String,
    ) -> MutexGuard<'a, Core> {
        core.end_all(); // now, so that this happens once
        drop(core);
        if let Some(here) = run::here() {
            here.world.fail(kind, text, None);
        }
        self.core.lock()
    }

    /// Destructors wait for each other and can't be let go: their threads stay suspended for ever, and say so.
    fn give_up(&self, task: &Task) {
        if let Some(here) = run::here() {
            let text = report::deadlock(&self.waits());
            here.world.fail(FailureKind::Leak, format!("destructors: {text}"), Some(&here));
        }
        self.finish();
        task.baton.wait();
    }

    /// The current task has ended: hands over for good.
    fn exit(&self, id: u64, group: &Group, pool: Option<Arc<Worker>>) {
        let mut core = self.core.lock();
        core.idle.extend(pool);
        core.tasks.remove(&id);
        let group = group.id();
        core.unpark_all(Key::Task(id));
        core.unpark_all(Key::Group(group));
        match self.pick(core) {
            Some((core, next)) => {
                let baton = core.tasks[&next].task.baton.clone();
                drop(core);
                baton.pass();
            }
            None => self.finish(),
        }
    }

    /// As [`exit`](Sched::exit), for a task that can't be brought to an end; its thread waits for ever.
    fn abandon(&self, task: &Task, group: &Group) {
        self.core.lock().lost = true;
        self.exit(task.id, group, None);
        task.baton.wait();
    }

    fn finish(&self) {
        self.core.lock().over = true;
        self.ended.notify_all();
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
        let (before, looks) = core.last_look;
        let stalled = steps - before < HARDLY_ANY;
        core.last_look = (steps, if stalled { looks + 1 } else { 0 });
        let title = core.tasks.get(&core.running).map_or("(nobody)".into(), |s| s.title.clone());
        (core.last_look.1 >= ticks).then_some(title)
    }

    /// After the end: lets the pool go, and waits for every OS thread.
    pub fn clean_up(&self) {
        let mut core = self.core.lock();
        let stuck = core.lost || !core.tasks.is_empty();
        let idle = std::mem::take(&mut core.idle);
        let threads = std::mem::take(&mut core.os_threads);
        let timers = std::mem::take(&mut core.timers);
        core.claim = None;
        drop(core);
        drop(timers);
        for worker in idle {
            worker.baton.pass();
        }
        for thread in threads {
            if !stuck {
                let _ = thread.join();
            }
        }
    }
}

impl Core {
    /// The OS threads that have ended or are about to.
    fn reap(&mut self) -> Vec<JoinHandle<()>> {
        let (ended, alive) = std::mem::take(&mut self.os_threads)
            .into_iter()
            .partition(|thread: &JoinHandle<()>| thread.is_finished());
        self.os_threads = alive;
        ended
    }
}

/// The life of a task, on its OS thread, which goes back to the pool if it is from there.
fn run_task(here: &Arc<Here>, body: Job, pool: Option<Arc<Worker>>) {
    let Some((sched, task)) = here.sched() else {
        return;
    };
    set_here(Some(here.clone()));
    let crashed_unborn = task.crashed.load(Ordering::Relaxed);
    let result =
        panic::catch_unwind(AssertUnwindSafe(
            move || {
                if crashed_unborn { drop(body) } else { body() }
            },
        ));
    if let Err(payload) = result {
        here.world.caught(here, &*payload);
        if !payload.is::<Crash>() {
            // A payload of the user's may have a destructor that panics.
            let _ = panic::catch_unwind(AssertUnwindSafe(move || drop(payload)));
        }
    }
    sched.exit(task.id, &here.group, pool);
    set_here(None);
}

/// Starts an OS thread for `worker`: for one task, or for one after another.
fn start_os_thread(
    name: &str,
    worker: Arc<Worker>,
    claim: Option<Arc<Claim>>,
    pooled: bool,
) -> JoinHandle<()> {
    let name = if pooled { "labrpc pool" } else { name };
    let life = move || {
        if let Some(claim) = claim {
            claim.bind();
        }
        loop {
            worker.baton.wait();
            let Some(job) = worker.job.lock().take() else {
                return;
            };
            job();
            if !pooled {
                return;
            }
        }
    };
    #[expect(clippy::disallowed_methods, reason = "the threads of the simulation come from here")]
    let thread = std::thread::Builder::new().name(name.to_string()).spawn(life);
    thread.expect("the system refuses another thread")
}
