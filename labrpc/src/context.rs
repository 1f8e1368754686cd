//! Which run the current thread belongs to, and what all threads of a run share. The threads, locks, channels and clocks of
//! labrpc ask this. It knows the scheduler; the scheduler does not know it.

pub(crate) mod events;
pub(crate) mod group;
mod park;
pub(crate) mod stream;
mod tasks;
pub(crate) mod told;
pub(crate) mod unwind;
pub(crate) mod wall;
pub(crate) mod world;

pub use group::{Group, Hiccups};
pub(crate) use world::World;

use crate::sched::Task;
use crate::sched::coroutines::{Kept, ThreadLocals};
use std::any::Any;
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

/// The thread-local values of a task, for the scheduler, which keeps them while the task is suspended.
pub(crate) const THREAD_LOCALS: ThreadLocals = ThreadLocals { take: take_locals, put_back };

/// Takes the values out of the current thread.
///
/// # Panics
/// If the task is suspended while code of this crate borrows the values (see [`with_here`]). Such code must not suspend.
fn take_locals() -> Kept {
    let here = HERE.take().map(|here| here as Arc<dyn Any + Send + Sync>);
    let note = unwind::set_last(None).map(|note| Box::new(note) as Box<dyn Any + Send>);
    Kept(here, note)
}

fn put_back(Kept(here, note): Kept) {
    HERE.set(here.and_then(|here| here.downcast().ok()));
    unwind::set_last(note.and_then(|note| note.downcast().ok()).map(|note| *note));
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
