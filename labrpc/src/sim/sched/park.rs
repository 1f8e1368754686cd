//! Park and unpark: the primitive that all blocking operations use, and the record of which task waits for what.

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

/// What a parked task waits for. Keys are never shown and never iterated over, so addresses do not make runs differ here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    /// A lock or condition variable, identified by its address.
    Address(usize),
    /// A channel, identified by its number.
    Channel(u64),
    /// A waiting receiver of a channel, identified by the channel's number.
    Receiver(u64),
    /// The end of a task.
    Task(u64),
    /// The end of a task of a group, or a crash of the group.
    Group(u64),
}

/// The keys that one task waits for: usually one, in a `select!` a few.
pub(crate) type Keys = SmallVec<[Key; 3]>;

/// The tasks that wait for each key, in the order in which they came.
#[expect(clippy::disallowed_types, reason = "it is never iterated over")]
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

/// The name of a wait for a message, in reports.
pub(crate) const RECEIVE: &str = "receive";
/// The name of a wait in a `select!`.
pub(crate) const SELECT: &str = "select!";
/// The name of a wait until a message is received, or until there is room for it.
pub(crate) const SEND: &str = "send";

/// The task that holds a lock.
#[derive(Clone, Copy)]
pub(super) struct Holder {
    pub task: u64,
    pub taken_at: Option<&'static Location<'static>>,
}

/// A line of a report: which thread waits for what.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub thread: String,
    what: &'static str,
    place: &'static Location<'static>,
    pub since: Duration,
    /// The holder of the lock that the thread waits for.
    pub holder: Option<String>,
    /// Where the holder took the lock.
    taken_at: Option<&'static Location<'static>>,
    /// Where the thread was started, if it has no name.
    spawned: Option<&'static Location<'static>>,
}

impl Waiting {
    /// Whether the waits of two threads with the same name differ only in when they began.
    pub fn is_like(&self, other: &Waiting) -> bool {
        let of = |w: &Waiting| (w.thread.clone(), w.what, w.place, w.holder.clone(), w.spawned);
        of(self) == of(other)
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.as_secs_f64();
        write!(
            f,
            "{} has waited since {since:.6} s: {} at {}",
            self.thread, self.what, self.place
        )?;
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
    /// Whether the wait has a deadline, so that it ends by itself.
    pub has_deadline: bool,
}

impl Parked {
    /// The lock that the task waits for, if it waits for one.
    pub(super) fn lock(&self) -> Option<usize> {
        self.wait.lock
    }

    pub(super) fn is_sending(&self) -> bool {
        self.wait.what == SEND
    }

    /// The wait and its place for reports: `sleep at src/raft.rs:7`.
    pub(super) fn describe(&self) -> String {
        format!("{} at {}", self.wait.what, self.wait.place)
    }

    pub(super) fn is_for_lock(&self) -> bool {
        self.wait.lock.is_some()
    }
}

/// On average, one in this many yield points yields.
pub(super) const YIELD_ONE_IN: u32 = 16;

/// A thread of a slow group pauses when it has just been started with a chance of one in
/// [`Hiccups::one_in`](crate::thread::Hiccups::one_in) times this number. At other yield points the number is [`YIELD_ONE_IN`].
const HICCUP_AT_START: u32 = 2;

/// The same number for a thread that has just released a lock. It is larger, because threads release locks more often than they
/// start.
const HICCUP_AFTER_LOCK: u32 = 4;

/// A crashed task that has caught its unwinding this many times is suspended for ever.
const UNWOUND_LIMIT: u32 = 100;

impl Here {
    pub(super) fn sched(&self) -> Option<(&Sched, &Arc<Task>)> {
        self.world.sched.as_ref().zip(self.task.as_ref())
    }

    /// A yield point: another task may run next, if the seed says so.
    #[track_caller]
    pub fn point(&self) {
        let Some((sched, task)) = self.sched() else {
            return;
        };
        self.may_crash();
        if std::thread::panicking() {
            return; // a thread unwinds without a yield, unless its destructors wait
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

    /// A thread has just been started. If its group is [slow](crate::thread::Hiccups), it may pause before its first statement.
    pub fn started(&self) {
        self.hiccup(HICCUP_AT_START);
    }

    /// A thread has just released a lock. If its group is slow, it may pause here.
    pub fn let_go(&self) {
        self.hiccup(HICCUP_AFTER_LOCK);
    }

    /// Pauses for a while, if the seed says so. Consumes no random number unless hiccups are on, so a seed still gives the same
    /// run as before in runs without hiccups.
    #[track_caller]
    fn hiccup(&self, divided_by: u32) {
        let Some((sched, task)) = self.sched().filter(|_| self.group.is_slow()) else { return };
        let mut core = sched.core.lock();
        let Some(pause) = self.group.hiccup(&mut core.rng, divided_by) else { return };
        core.slow_down(task.id, pause);
        sched.switch(core, task);
        self.unwind_if_crashed();
    }

    /// Yields: another task that is ready may run first. The seed decides.
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

    /// Waits until another task unparks one of `keys`, or until `deadline`. Returns true if the deadline has passed.
    /// May also return for no reason, so callers must check their condition again.
    pub fn park(&self, keys: &[Key], deadline: Option<Duration>, wait: Wait) -> bool {
        self.may_crash();
        let timed_out = self.park_through_crash(keys, deadline, wait);
        self.unwind_if_crashed();
        timed_out
    }

    /// A place where the task's group, and so the task, may crash.
    pub fn may_crash(&self) {
        self.pass_point();
        self.unwind_if_crashed();
    }

    /// Like [`park`](Here::park), but does not unwind a crashed task. The caller can first restore what destructors need.
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

    /// Unwinds the current task if it has crashed. A crashed task is resumed only to unwind; its destructors may still wait.
    pub fn unwind_if_crashed(&self) {
        let Some((sched, task)) = self.sched() else {
            return;
        };
        if self.is_crashed() && !std::thread::panicking() {
            if task.unwound.fetch_add(1, Ordering::Relaxed) >= UNWOUND_LIMIT {
                let text = format!(
                    "{} can't be ended: again and again it catches the unwinding that should end it",
                    self.title()
                );
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

    /// Notes which task holds the contended lock at `address` and where it took the lock, for reports. `None`: the lock is free.
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

    /// Whether the current task must unwind: the run or its group ends it, or a group that it visits has crashed. Its destructors
    /// must not wait for others for ever.
    pub fn is_crashed(&self) -> bool {
        let crashed = |task: &Task| task.crashed.load(Ordering::Relaxed);
        self.task.as_deref().is_some_and(|task| crashed(task) || self.group.has_crashed())
    }

    /// Notes which group the current task visits, other than its own. Returns the group that it visited before.
    pub fn visit(&self, group: Option<u64>) -> Option<u64> {
        let (sched, task) = self.sched()?;
        let mut core = sched.core.lock();
        std::mem::replace(&mut core.tasks.get_mut(&task.id)?.visits, group)
    }

    /// The current task was unwound, but only out of a group that it visited. So this does not count as unwinding of the task
    /// itself.
    pub fn was_unwound_for_another(&self) {
        if let Some(task) = &self.task {
            task.unwound.store(0, Ordering::Relaxed);
        }
    }

    /// A number below `n` that the seed chooses.
    pub fn choose(&self, n: usize) -> usize {
        self.sched().map_or(0, |(sched, _)| sched.core.lock().rng.random_range(0..n))
    }

    pub fn task_id(&self) -> u64 {
        self.task.as_ref().map_or(0, |task| task.id)
    }
}

impl Core {
    fn slow_down(&mut self, id: u64, pause: Duration) {
        self.suspend(
            id,
            &[],
            Some(self.now + pause),
            Wait::new("a pause that the test ordered (hiccup)"),
        );
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

    /// Looks for a circle: follows the task that holds the lock that `first` waits for, the holder of the lock that this task
    /// waits for, and so on. Returns the circle if it leads back to `first`.
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
