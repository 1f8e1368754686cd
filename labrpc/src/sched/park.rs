//! Park and unpark: the primitive that all blocking operations use.

use super::report;
use super::waiting::{Holder, Key, Parked, Wait, Waiting};
use super::{Core, Dice, Due, Sched, Slot, Task};
use crate::failure::FailureKind;
use std::collections::hash_map::Entry;
use std::panic::Location;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Sched {
    /// The current task comes to a yield point: another task may run next, if the seed says so. `pause` may say that the task pauses
    /// instead. Returns whether the task was suspended.
    pub fn point(
        &self,
        task: &Task,
        place: &'static Location<'static>,
        pause: impl FnOnce(Dice<'_>) -> Option<Duration>,
    ) -> bool {
        let mut core = self.core.lock();
        if core.until_yield > 0 {
            core.until_yield -= 1;
            return false;
        }
        core.draw_until_yield();
        core.note_place(task.id, place);
        match core.dice(task.id, pause) {
            None => core.make_ready(task.id),
            Some(pause) => core.slow_down(task.id, pause),
        }
        self.switch(core, task);
        true
    }

    /// Suspends the current task for a while, if `pause` says so. Returns whether it did.
    pub fn pause(&self, task: &Task, pause: impl FnOnce(Dice<'_>) -> Option<Duration>) -> bool {
        let mut core = self.core.lock();
        let Some(pause) = core.dice(task.id, pause) else { return false };
        core.slow_down(task.id, pause);
        self.switch(core, task);
        true
    }

    /// Lets another task that is ready run first. The seed decides which.
    pub fn yield_now(&self, task: &Task, place: &'static Location<'static>) {
        let mut core = self.core.lock();
        core.note_place(task.id, place);
        core.make_ready(task.id);
        self.switch(core, task);
    }

    /// Suspends the current task until another one unparks one of `keys`, or until `deadline`. Returns true if the deadline has
    /// passed. It may also return for no reason.
    pub fn park(&self, task: &Task, keys: &[Key], deadline: Option<Duration>, wait: Wait) -> bool {
        let mut core = self.core.lock();
        core.suspend(task.id, keys, deadline, wait);
        if let Some(circle) = wait.lock.and_then(|_| core.lock_circle(task.id)) {
            drop(core);
            if !std::thread::panicking() {
                self.accuse(FailureKind::Deadlock, report::lock_circle(&circle));
            }
            core = self.core.lock();
        }
        self.switch(core, task);
        task.timed_out.load(Ordering::Relaxed)
    }

    /// Notes which task holds the contended lock at `address` and where it took the lock, for reports. `None`: the lock is free.
    pub fn note_holder(
        &self,
        address: usize,
        holder: Option<(u64, Option<&'static Location<'static>>)>,
    ) {
        let mut core = self.core.lock();
        match holder {
            Some((task, taken_at)) => core.holders.insert(address, Holder { task, taken_at }),
            None => core.holders.remove(&address),
        };
    }

    /// Notes which group the task visits, other than its own. Returns the group that it visited before.
    pub fn visit(&self, task: u64, group: Option<u64>) -> Option<u64> {
        let mut core = self.core.lock();
        std::mem::replace(&mut core.tasks.get_mut(&task)?.visits, group)
    }

    /// A number below `n` that the seed chooses.
    pub fn choose(&self, n: usize) -> usize {
        self.core.lock().any_of("choose", n)
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
        self.make_ready(id);
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
        let which = if len == 1 { 0 } else { core.any_of("wake", len) };
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
