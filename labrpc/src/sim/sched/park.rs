//! Park and unpark: the one primitive that everything blocks through, and who waits for what.

use super::super::report;
use super::{Core, Due, Sched, Slot, Task};
use crate::run::{self, FailureKind, Here};
use rand::RngExt;
use smallvec::SmallVec;
use std::collections::hash_map::Entry;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What a parked task waits for. Never shown and never iterated, so addresses are harmless here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// What one task waits for: mostly one thing, in a `select!` a few.
pub(crate) type Keys = SmallVec<[Key; 3]>;

/// Who waits for each key, the first to come first.
#[expect(clippy::disallowed_types, reason = "is never iterated")]
pub(super) type Waiters =
    std::collections::HashMap<Key, SmallVec<[u64; 4]>, rustc_hash::FxBuildHasher>;

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

    pub fn place(&self) -> &'static Location<'static> {
        self.place
    }

    fn is_receiving(&self) -> bool {
        matches!(self.what, RECEIVE | SELECT)
    }
}

/// What reports call a wait for a message.
pub(crate) const RECEIVE: &str = "receive";
/// The same on several channels.
pub(crate) const SELECT: &str = "select!";
/// A wait for somebody to take a message, or for room for it.
pub(crate) const SEND: &str = "send";

/// Who holds a lock.
#[derive(Clone, Copy)]
pub(super) struct Holder {
    pub task: u64,
    pub taken_at: Option<&'static Location<'static>>,
}

/// A line of a report: who waits for what.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub thread: String,
    what: &'static str,
    place: &'static Location<'static>,
    pub since: Duration,
    /// Who holds the lock that it waits for.
    pub holder: Option<String>,
    /// And where that one took it.
    taken_at: Option<&'static Location<'static>>,
    /// Where a thread without a name was started.
    spawned: Option<&'static Location<'static>>,
}

impl Waiting {
    /// Whether two waits differ only in which of several threads of a name it is, and since when.
    pub fn is_like(&self, other: &Waiting) -> bool {
        let of = |w: &Waiting| (w.thread.clone(), w.what, w.place, w.holder.clone(), w.spawned);
        of(self) == of(other)
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.as_secs_f64();
        write!(f, "{} waits since {since:.6} s: {} at {}", self.thread, self.what, self.place)?;
        if let Some(holder) = &self.holder {
            write!(f, ", held by {holder}")?;
        }
        if let Some(place) = self.taken_at {
            write!(f, ", which took it at {place}")?;
        }
        match self.spawned {
            Some(place) => write!(f, " (a thread without a name, spawned at {place})"),
            None => Ok(()),
        }
    }
}

pub(super) struct Parked {
    pub keys: Keys,
    wait: Wait,
    pub since: Duration,
    /// Whether it ends by itself.
    pub has_deadline: bool,
}

impl Parked {
    /// The lock that is waited for.
    pub(super) fn lock(&self) -> Option<usize> {
        self.wait.lock
    }

    pub(super) fn is_sending(&self) -> bool {
        self.wait.what == SEND
    }

    /// The wait and its place, for reports: `sleep at src/raft.rs:7`.
    pub(super) fn describe(&self) -> String {
        format!("{} at {}", self.wait.what, self.wait.place)
    }

    pub(super) fn is_for_lock(&self) -> bool {
        self.wait.lock.is_some()
    }
}

/// One in this many points yields, on average.
pub(super) const YIELD_ONE_IN: u32 = 16;

/// How much seldomer than one in [`Hiccups::one_in`](crate::thread::Hiccups::one_in) a thread of a slow group stops when it has
/// just been started. At other places it is [`YIELD_ONE_IN`].
const HICCUP_AT_START: u32 = 2;

/// The same when it has just let go of a lock. There are more of these.
const HICCUP_AFTER_LOCK: u32 = 4;

/// A crashed task that has caught its unwinding this often is suspended for good.
const UNWOUND_LIMIT: u32 = 100;

impl Here {
    pub(super) fn sched(&self) -> Option<(&Sched, &Arc<Task>)> {
        self.world.sched.as_ref().zip(self.task.as_ref())
    }

    /// A place where another task may take over, if the seed says so.
    #[track_caller]
    pub fn point(&self) {
        let Some((sched, task)) = self.sched() else {
            return;
        };
        self.may_crash();
        if std::thread::panicking() {
            return; // a thread unwinds in one go, unless its destructors wait
        }
        let mut core = sched.core.lock();
        if core.until_yield > 0 {
            core.until_yield -= 1;
            return;
        }
        core.until_yield = core.rng.random_range(0..2 * YIELD_ONE_IN);
        core.note_place(task.id, Location::caller());
        match self.group.hiccup(&mut core.rng, 1) {
            None => core.ready.push(task.id),
            Some(pause) => core.slow_down(task.id, pause),
        }
        sched.switch(core, task);
        self.unwind_if_crashed();
    }

    /// A thread has just been started: it may stop before its first statement, if its group is [slow](crate::thread::Hiccups).
    pub fn started(&self) {
        self.hiccup(HICCUP_AT_START);
    }

    /// A thread has just let go of a lock, and may stop there.
    pub fn let_go(&self) {
        self.hiccup(HICCUP_AFTER_LOCK);
    }

    /// Stops for a while, perhaps. Nothing is drawn unless hiccups are on, so that the seeds of other runs stay what they are.
    #[track_caller]
    fn hiccup(&self, divided_by: u32) {
        let Some((sched, task)) = self.sched().filter(|_| self.group.is_slow()) else { return };
        let mut core = sched.core.lock();
        let Some(pause) = self.group.hiccup(&mut core.rng, divided_by) else { return };
        core.slow_down(task.id, pause);
        sched.switch(core, task);
        self.unwind_if_crashed();
    }

    /// Lets every other task that is ready go first, perhaps.
    #[track_caller]
    pub fn yield_now(&self) {
        let Some((sched, task)) = self.sched() else {
            return;
        };
        self.may_crash();
        if std::thread::panicking() {
            return;
        }
        let mut core = sched.core.lock();
        core.note_place(task.id, Location::caller());
        core.ready.push(task.id);
        sched.switch(core, task);
        self.unwind_if_crashed();
    }

    /// Waits until somebody unparks one of `keys`, or until `deadline`: then the answer is true.
    /// May also return for no reason, so callers look again.
    pub fn park(&self, keys: &[Key], deadline: Option<Duration>, wait: Wait) -> bool {
        self.may_crash();
        let timed_out = self.park_through_crash(keys, deadline, wait);
        self.unwind_if_crashed();
        timed_out
    }

    /// A place where the task's group may crash, and the task with it.
    pub fn may_crash(&self) {
        self.pass_point();
        self.unwind_if_crashed();
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

    /// Notes which task holds the contended lock at `address` (`None`: it is free), and where it took it, for reports.
    pub fn note_holder(
        &self,
        address: usize,
        holder: Option<(u64, Option<&'static Location<'static>>)>,
    ) {
        let Some((sched, _)) = self.sched() else {
            return;
        };
        let mut core = sched.core.lock();
        match holder {
            Some((task, taken_at)) => core.holders.insert(address, Holder { task, taken_at }),
            None => core.holders.remove(&address),
        };
    }

    /// Whether the current task is being unwound by the run, or out of a group that it visits; its destructors must not
    /// wait for others for ever.
    pub fn is_crashed(&self) -> bool {
        let crashed = |task: &Task| task.crashed.load(Ordering::Relaxed);
        self.task.as_deref().is_some_and(|task| crashed(task) || self.group.has_crashed())
    }

    /// Notes which group the current task is inside of, other than its own; gives back the one before.
    pub fn visit(&self, group: Option<u64>) -> Option<u64> {
        let (sched, task) = self.sched()?;
        let mut core = sched.core.lock();
        std::mem::replace(&mut core.tasks.get_mut(&task.id)?.visits, group)
    }

    /// The current task was unwound, but only out of a group that it visited.
    pub fn was_unwound_for_another(&self) {
        if let Some(task) = &self.task {
            task.unwound.store(0, Ordering::Relaxed);
        }
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
    fn slow_down(&mut self, id: u64, pause: Duration) {
        self.suspend(id, &[], Some(self.now + pause), Wait::new("nothing: it is slow"));
    }

    pub(super) fn suspend(
        &mut self,
        id: u64,
        keys: &[Key],
        deadline: Option<Duration>,
        wait: Wait,
    ) {
        let since = self.now;
        let Some(slot) = self.tasks.get_mut(&id) else {
            return;
        };
        slot.parks += 1;
        let has_deadline = deadline.is_some();
        slot.parked = Some(Parked { keys: keys.into(), wait, since, has_deadline });
        let park = slot.parks;
        for key in keys {
            self.waiters.entry(*key).or_default().push(id);
        }
        if let Some(at) = deadline {
            self.add_timer(at, Due::Wake { task: id, park });
        }
    }

    /// Makes a parked task ready.
    pub(super) fn wake(&mut self, id: u64, timed_out: bool) {
        let Some(slot) = self.tasks.get_mut(&id) else {
            return;
        };
        let Some(parked) = slot.parked.take() else {
            return;
        };
        slot.task.timed_out.store(timed_out, Ordering::Relaxed);
        for key in &parked.keys {
            if let Entry::Occupied(mut list) = self.waiters.entry(*key) {
                list.get_mut().retain(|waiter| *waiter != id);
                if list.get().is_empty() {
                    list.remove();
                }
            }
        }
        if parked.wait.is_receiving() {
            slot.reads = parked.keys;
        }
        self.ready.push(id);
    }

    pub(super) fn unpark_all(&mut self, key: Key) {
        for id in self.waiters.remove(&key).unwrap_or_default() {
            self.wake(id, false);
        }
    }

    pub(super) fn waits(&self) -> Vec<Waiting> {
        self.tasks.values().filter_map(|slot| self.waiting(slot)).collect()
    }

    pub(super) fn waiting(&self, slot: &Slot) -> Option<Waiting> {
        let parked = slot.parked.as_ref()?;
        let holder = parked.lock().and_then(|address| self.holders.get(&address));
        Some(Waiting {
            thread: slot.title.clone(),
            what: parked.wait.what,
            place: parked.wait.place,
            since: parked.since,
            holder: holder
                .and_then(|holder| self.tasks.get(&holder.task))
                .map(|slot| slot.title.clone()),
            taken_at: holder.and_then(|holder| holder.taken_at),
            spawned: slot.spawned.filter(|_| !slot.has_name),
        })
    }

    /// Follows who holds the lock that `first` waits for, and what that one waits for, back to `first`.
    pub(super) fn lock_circle(&self, first: u64) -> Option<Vec<Waiting>> {
        let mut circle = Vec::new();
        let mut id = first;
        while circle.len() <= self.tasks.len() {
            let slot = self.tasks.get(&id)?;
            circle.push(self.waiting(slot)?);
            id = self.holders.get(&slot.parked.as_ref()?.lock()?)?.task;
            if id == first {
                return Some(circle);
            }
        }
        None
    }
}

impl Sched {
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

    pub fn waits(&self) -> Vec<Waiting> {
        self.core.lock().waits()
    }
}
