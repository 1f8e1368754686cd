//! Records which simulation an object belongs to, to detect threads from outside that use it.

use crate::context::{self, Here, World};
use crate::failure::FailureKind;
use std::panic::Location;
use std::sync::Arc;

/// The simulation in which an object was made, if it was made in one.
#[derive(Clone, Copy)]
pub(crate) struct Realm(Option<u32>);

impl Realm {
    /// The realm of the current thread.
    pub fn current() -> Realm {
        Realm(context::simulated().map(|here| here.world.id))
    }

    /// Checks that the calling thread may use the object. Returns the simulation that the thread is in.
    ///
    /// # Panics
    /// If the object belongs to a running simulation and the thread does not. This also fails the run. Otherwise the run would
    /// only see a thread that waits for ever, or virtual time that passes far too fast.
    #[track_caller]
    pub fn enter(self, what: &str) -> Option<Arc<Here>> {
        self.enter_at(what, Location::caller())
    }

    /// Like [`enter`](Realm::enter), but reports `place` as the place of the call.
    pub fn enter_at(self, what: &str, place: &Location<'_>) -> Option<Arc<Here>> {
        let here = context::simulated();
        if let Some(world) = self.trespassed(here.as_deref()) {
            let thread = std::thread::current();
            let text = format!(
                "thread {:?} is not part of the simulation, but used a {what} of the simulation at {place}. \
                 Make threads with labrpc::thread::spawn, not std::thread::spawn",
                thread.name().unwrap_or("(unnamed)")
            );
            world.fail(FailureKind::Stranger, text.clone(), None);
            panic!("{text}");
        }
        here
    }

    /// Like [`enter`](Realm::enter), but does not panic. For destructors, because a thread from outside may drop objects.
    pub fn leave(self) -> Option<Arc<Here>> {
        let here = context::simulated();
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
