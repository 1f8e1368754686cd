//! Which simulation an object belongs to, so that a thread from outside that touches it is caught.

use crate::run::{self, FailureKind, Here, World};
use std::panic::Location;
use std::sync::Arc;

/// The simulation in which an object was made, if it was made in one.
#[derive(Clone, Copy)]
pub(crate) struct Realm(Option<u32>);

impl Realm {
    /// The current thread's.
    pub fn current() -> Realm {
        Realm(run::simulated().map(|here| here.world.id))
    }

    /// The simulation that the calling thread is in, after a check that it may touch the object.
    ///
    /// # Panics
    /// If the object belongs to a simulation that is running and the thread doesn't. That also fails the run,
    /// which would otherwise only see a thread that waits for ever, or virtual time that rushes by.
    #[track_caller]
    pub fn enter(self, what: &str) -> Option<Arc<Here>> {
        self.enter_at(what, Location::caller())
    }

    /// As [`enter`](Realm::enter), from a place that the caller knows better.
    pub fn enter_at(self, what: &str, place: &Location<'_>) -> Option<Arc<Here>> {
        let here = run::simulated();
        if let Some(world) = self.trespassed(here.as_deref()) {
            let thread = std::thread::current();
            let text = format!(
                "thread {:?}, which the simulation doesn't know, touched its {what} at {place}. \
                 Make threads with labrpc::thread::spawn, not std::thread::spawn",
                thread.name().unwrap_or("(unnamed)")
            );
            world.fail(FailureKind::Stranger, text.clone(), None);
            panic!("{text}");
        }
        here
    }

    /// As [`enter`](Realm::enter), for destructors: a stranger may let go of things.
    pub fn leave(self) -> Option<Arc<Here>> {
        let here = run::simulated();
        if self.trespassed(here.as_deref()).is_some() { None } else { here }
    }

    fn trespassed(self, here: Option<&Here>) -> Option<Arc<World>> {
        let id = self.0?;
        if here.is_some_and(|here| here.world.id == id) {
            return None;
        }
        World::running(id)
    }
}
