//! Locks and condition variables in both worlds, with the interface of parking_lot: locks are not poisoned, and a condition
//! variable takes `&mut guard`.
//!
//! The data stays in a parking_lot mutex. In a simulation, a thread does not block on it: it tries to lock, and parks if that
//! fails.

use crate::context::{self, Here};
use crate::realm::Realm;
use crate::sched::{Key, Wait};
use crate::time::Instant;
pub use std::sync::{Arc, Weak};

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// A mutual-exclusion lock.
///
/// In a simulation, the run fails at once if a thread takes a lock that it already holds, or if threads wait for each other's
/// locks in a circle. The failure names each of these threads and where it waits.
///
/// ```
/// let total = labrpc::sync::Mutex::new(1);
/// *total.lock() += 1;
/// assert_eq!(total.into_inner(), 2);
/// ```
pub struct Mutex<T: ?Sized> {
    realm: Realm,
    /// How many tasks are parked until they get the lock.
    waiting: AtomicU32,
    /// The task that holds the lock. 0 outside a simulation, and while the lock is free.
    holder: AtomicU64,
    /// Where the holder took the lock.
    taken_at: parking_lot::Mutex<Option<&'static Location<'static>>>,
    inner: parking_lot::Mutex<T>,
}

/// The right to use the value that a [`Mutex`] guards.
#[must_use = "the lock is released at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// Empty only while the thread waits on a condition variable.
    inner: Option<parking_lot::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    /// A free lock around `value`.
    pub fn new(value: T) -> Mutex<T> {
        Mutex {
            realm: Realm::current(),
            waiting: AtomicU32::new(0),
            holder: AtomicU64::new(0),
            taken_at: parking_lot::Mutex::new(None),
            inner: parking_lot::Mutex::new(value),
        }
    }

    /// Returns the guarded value.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock and takes it.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let inner = match self.realm.enter("mutex") {
            None => self.inner.lock(),
            Some(here) => {
                here.point();
                self.lock_simulated(&here, Wait::lock(self.address()), true)
            }
        };
        MutexGuard { mutex: self, inner: Some(inner) }
    }

    /// Takes the lock if it is free.
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let here = self.realm.enter("mutex");
        if let Some(here) = &here {
            here.point();
        }
        let inner = self.inner.try_lock()?;
        if let Some(here) = here {
            self.taken(&here, Location::caller());
        }
        Some(MutexGuard { mutex: self, inner: Some(inner) })
    }

    /// The guarded value. No lock is needed, because `&mut self` shows that nobody else has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    fn lock_simulated(
        &self,
        here: &Here,
        wait: Wait,
        unwinds: bool,
    ) -> parking_lot::MutexGuard<'_, T> {
        loop {
            if let Some(inner) = self.inner.try_lock() {
                self.taken(here, wait.place());
                return inner;
            }
            let holder = self.holder.load(Ordering::Relaxed);
            let taken_at = *self.taken_at.lock();
            here.note_holder(self.address(), (holder != 0).then_some((holder, taken_at)));
            let counted = Counted::new(&self.waiting);
            here.park_through_crash(&[Key::Address(self.address())], None, wait);
            drop(counted);
            if unwinds && here.is_crashed() {
                self.pass_on(here);
                here.unwind_if_crashed();
            }
        }
    }

    /// If this task crashes after it was woken to take the lock, another task must be woken in its place.
    fn pass_on(&self, here: &Here) {
        if !self.inner.is_locked() && self.waiting.load(Ordering::Relaxed) > 0 {
            here.unpark_one(Key::Address(self.address()));
        }
    }

    fn taken(&self, here: &Here, place: &'static Location<'static>) {
        self.holder.store(here.task_id(), Ordering::Relaxed);
        *self.taken_at.lock() = Some(place);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            here.note_holder(self.address(), Some((here.task_id(), Some(place))));
        }
    }

    /// The lock has just become free: wakes a task that waits for it.
    fn released(&self) {
        if self.holder.swap(0, Ordering::Relaxed) == 0 {
            return;
        }
        if self.waiting.load(Ordering::Relaxed) > 0
            && let Some(here) = self.realm.leave()
        {
            here.note_holder(self.address(), None);
            here.unpark_one(Key::Address(self.address()));
        }
    }

    /// The address of one of this lock's fields, because no other lock or condition variable has this address. The lock's own
    /// address may be shared: an object and its first field have the same address.
    fn address(&self) -> usize {
        std::ptr::from_ref(&self.waiting).addr()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.inner.as_ref().expect("a guard is empty only while a condition variable waits")
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("a guard is empty only while a condition variable waits")
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.inner.take().is_none() {
            return;
        }
        self.mutex.released();
        let slow = || context::with_here(|here| here.group.is_slow()) == Some(true);
        if slow()
            && !std::thread::panicking()
            && let Some(here) = self.mutex.realm.leave()
        {
            here.let_go();
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Adds one to a counter, and subtracts it again when dropped, also during unwinding.
struct Counted<'a>(&'a AtomicU32);

impl Counted<'_> {
    fn new(count: &AtomicU32) -> Counted<'_> {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A condition variable: threads wait until they are notified about a value that a [`Mutex`] guards. A wait may also end for no
/// reason.
pub struct Condvar {
    realm: Realm,
    waiting: AtomicU32,
    inner: parking_lot::Condvar,
}

/// Tells whether a wait ended because its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// True if the time was up.
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    /// A condition variable that nobody waits on.
    pub fn new() -> Condvar {
        Condvar {
            realm: Realm::current(),
            waiting: AtomicU32::new(0),
            inner: parking_lot::Condvar::new(),
        }
    }

    /// Releases the lock, waits for a notification, and takes the lock again.
    #[track_caller]
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        self.wait_or(guard, None);
    }

    /// Like [`wait`](Condvar::wait), but at most for `timeout`.
    #[track_caller]
    pub fn wait_for<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        self.wait_or(guard, Some(Instant::now() + timeout))
    }

    /// Like [`wait`](Condvar::wait), but at most until `deadline`.
    #[track_caller]
    pub fn wait_until<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        self.wait_or(guard, Some(deadline))
    }

    /// Waits while `condition` holds.
    #[track_caller]
    pub fn wait_while<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) {
        while condition(&mut **guard) {
            self.wait_or(guard, None);
        }
    }

    #[track_caller]
    fn wait_or<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Option<Instant>,
    ) -> WaitTimeoutResult {
        match self.realm.enter("condition variable") {
            Some(here) => self.wait_simulated(guard, deadline, &here, Location::caller()),
            None => {
                let inner = guard.inner.as_mut().expect("the guard holds its lock");
                match deadline.and_then(Instant::to_std) {
                    None => self.inner.wait(inner),
                    Some(at) => {
                        let result = self.inner.wait_until(inner, at);
                        return WaitTimeoutResult(result.timed_out());
                    }
                }
                WaitTimeoutResult(false)
            }
        }
    }

    fn wait_simulated<'a, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'a, T>,
        deadline: Option<Instant>,
        here: &Here,
        place: &'static Location<'static>,
    ) -> WaitTimeoutResult {
        here.may_crash();
        guard.inner = None;
        guard.mutex.released();
        let counted = Counted::new(&self.waiting);
        let wait = Wait::at("condition variable", place);
        let deadline = deadline.map(Instant::since_start);
        let timed_out = here.park_through_crash(&[Key::Address(self.address())], deadline, wait);
        drop(counted);
        // Takes the lock before anything can end this thread, because the caller's destructors expect that the lock is held.
        let relock = Wait::lock_at(guard.mutex.address(), place);
        guard.inner = Some(guard.mutex.lock_simulated(here, relock, false));
        here.unwind_if_crashed();
        WaitTimeoutResult(timed_out)
    }

    /// Wakes one thread that waits.
    #[track_caller]
    pub fn notify_one(&self) {
        self.notify(false);
    }

    /// Wakes every thread that waits.
    #[track_caller]
    pub fn notify_all(&self) {
        self.notify(true);
    }

    #[track_caller]
    fn notify(&self, all: bool) {
        match self.realm.enter("condition variable") {
            None if all => _ = self.inner.notify_all(),
            None => _ = self.inner.notify_one(),
            Some(here) => {
                if self.waiting.load(Ordering::Relaxed) == 0 {
                    return;
                }
                let key = Key::Address(self.address());
                if all { here.unpark_all(key) } else { here.unpark_one(key) }
            }
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(&self.waiting).addr()
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar")
    }
}
