//! Which run the current thread belongs to.

use super::panics::{self, PanicNote};
use super::world::World;
use crate::sim::sched::Task;
use crate::thread::Group;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a thread belongs to. There is one value per thread (or per task of a pooled thread).
pub(crate) struct Here {
    pub world: Arc<World>,
    pub group: Group,
    pub name: Arc<str>,
    /// Present in a simulation.
    pub task: Option<Arc<Task>>,
}

impl Here {
    /// How reports call the thread: `S1/ticker`.
    pub fn title(&self) -> String {
        format!("{}/{}", self.group.name(), self.name)
    }

    /// Counts a sleep, if the thread is a server's.
    pub fn note_sleep(&self) {
        if !self.group.is_test() {
            self.world.timekeeping.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a reading of the clock, if the thread is a server's.
    pub fn note_clock(&self) {
        if !self.group.is_test() {
            self.world.timekeeping.1.fetch_add(1, Ordering::Relaxed);
        }
    }
}

thread_local! {
    static HERE: RefCell<Option<Arc<Here>>> = const { RefCell::new(None) };
}

/// The thread-local values of a task that is suspended.
pub(crate) struct PerThread {
    here: Option<Arc<Here>>,
    last_panic: Option<PanicNote>,
}

impl PerThread {
    /// Takes the values out of the current thread.
    ///
    /// # Panics
    /// If the task is suspended while code of this crate borrows the values (see [`with_here`]). Such code must not suspend.
    pub fn take() -> PerThread {
        PerThread { here: HERE.take(), last_panic: panics::set_last(None) }
    }

    /// Puts the values back into the current thread.
    pub fn put_back(self) {
        HERE.set(self.here);
        panics::set_last(self.last_panic);
    }
}

/// What the current thread belongs to, if it belongs to a run.
pub(crate) fn here() -> Option<Arc<Here>> {
    HERE.try_with(|here| here.borrow().clone()).ok().flatten()
}

/// Calls `f` with what the current thread belongs to. Unlike [`here`], this does not clone the `Arc`.
pub(crate) fn with_here<R>(f: impl FnOnce(&Here) -> R) -> Option<R> {
    HERE.try_with(|here| here.borrow().as_deref().map(f)).ok().flatten()
}

/// Like [`here`], but only in a simulation.
pub(crate) fn simulated() -> Option<Arc<Here>> {
    HERE.try_with(|here| here.borrow().as_ref().filter(|here| here.task.is_some()).cloned())
        .ok()
        .flatten()
}

/// Sets what the current thread belongs to. Returns what it belonged to before.
pub(crate) fn set_here(here: Option<Arc<Here>>) -> Option<Arc<Here>> {
    HERE.with(|slot| slot.replace(here))
}

/// Whether the current thread runs inside a simulation.
pub fn in_simulation() -> bool {
    simulated().is_some()
}

/// The seed of the run that the current thread belongs to.
pub fn seed() -> Option<u64> {
    here().map(|here| here.world.seed)
}
