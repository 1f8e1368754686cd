//! How a group of threads crashes: at once, or at an arbitrary later yield point.

use super::Group;
use crate::context::group::{BURNT, UNLIT};
use crate::context::told;
use crate::context::unwind::{Crash, unwind};
use crate::context::wall::WallClock;
use crate::context::{self, Here, set_here};
use crate::sched::{Key, Wait};
use crate::time::Instant;
use crate::trace::{self, Act, Deed};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

impl Group {
    /// Stops every thread of the group where it is, as a crash of the machine would. No thread runs another statement of its
    /// body; only destructors run. Returns when all the threads have ended. Threads that are inside [`enter`](Group::enter) leave
    /// it.
    ///
    /// Only a simulation can stop threads. In real mode, [`Raft::kill`](crate::api::Raft::kill) must stop a server.
    /// In both worlds, a crashed group is off the network at once: the requests and replies that its threads still send are lost,
    /// and what they still save through a [`Persister`](crate::Persister) has no effect.
    #[track_caller]
    pub fn crash(&self) {
        self.stop();
        let Some(here) = context::simulated() else { return };
        here.unwind_if_crashed(); // the caller may be one of them
        self.wait_ended_simulated(None);
    }

    /// Marks the group as crashed. Wakes its threads and the threads that wait for the crash.
    fn stop(&self) {
        match context::here().as_ref().and_then(|here| here.world.sched.as_ref()) {
            Some(sched) => {
                self.0.fuse.0.store(BURNT, Relaxed);
                sched.crash_group(self.0.id);
            }
            None => {
                let alive = self.0.alive.lock(); // `wait_crashed` checks the fuse under this lock
                self.0.fuse.0.store(BURNT, Relaxed);
                drop(alive);
                self.0.changed.notify_all();
            }
        }
    }

    /// Plans a crash of the group at the `points`th yield point from now, counted over all its threads. A yield point is a place
    /// where the scheduler may let another thread run first (locks, channel operations, clock readings), or where a thread waits.
    /// A thread inside [`enter`](Group::enter) counts as one of the group's threads. Replaces any earlier plan.
    ///
    /// [`wait_crashed`](Group::wait_crashed) waits for the crash. In real mode yield points are not counted, so nothing happens.
    pub fn crash_after(&self, points: u64) {
        told::excuse_for_good();
        if !self.has_crashed() {
            self.0.fuse.0.store(points.clamp(1, UNLIT - 1), Relaxed);
        }
    }

    /// Cancels a planned crash that has not happened yet.
    pub fn call_off_crash(&self) {
        if self.0.fuse.is_lit() {
            self.0.fuse.0.store(UNLIT, Relaxed);
        }
    }

    /// Waits until the group crashes, at most for `timeout`. Returns whether it has crashed.
    #[track_caller]
    pub fn wait_crashed(&self, timeout: Duration) -> bool {
        if let Some(here) = context::simulated() {
            let deadline = (Instant::now() + timeout).since_start();
            let wait = Wait::new("a group to crash");
            while !self.has_crashed() && !here.park(&[Key::Group(self.0.id)], Some(deadline), wait)
            {
            }
        } else {
            let clock = WallClock::start();
            let mut alive = self.0.alive.lock();
            while !self.has_crashed() && clock.elapsed() < timeout {
                self.0.changed.wait_for(&mut alive, timeout.saturating_sub(clock.elapsed()));
            }
        }
        self.has_crashed()
    }

    /// Runs `f` on the current thread as if the thread belonged to this group: threads that `f` makes belong to the group, and if
    /// the group crashes, `f` ends. Returns `None` if the group had crashed before, or crashes meanwhile.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        let Some(before) = context::here() else {
            return Some(f());
        };
        if self.has_crashed() {
            return None;
        }
        let inside = Here {
            world: before.world.clone(),
            group: self.clone(),
            name: before.name.clone(),
            task: before.task.clone(),
        };
        let visit = Visit::begin(Arc::new(inside));
        let result = panic::catch_unwind(AssertUnwindSafe(f));
        drop(visit);
        match result {
            Ok(value) => (!self.has_crashed()).then_some(value),
            Err(payload) if self.has_crashed() && payload.is::<Crash>() && !before.is_crashed() => {
                before.was_unwound_for_another();
                None
            }
            Err(payload) => panic::resume_unwind(payload),
        }
    }
}

/// Drops values that a crash has left behind, in the same way as a thread that the crash unwinds. A crash may have stopped a
/// thread in the middle of any operation. So destructors that check invariants should check them only while
/// [`panicking`](std::thread::panicking) returns false.
pub fn bury<T>(remains: T) {
    let unwound: Result<(), _> = panic::catch_unwind(AssertUnwindSafe(|| {
        let _remains = remains;
        unwind()
    }));
    drop(unwound);
}

/// Whether the current thread belongs to a crashed group. Then nothing that it does may have an effect on others.
pub(crate) fn crashed_here() -> bool {
    context::with_here(|here| here.group.has_crashed()).unwrap_or(false)
}

/// A visit of the current thread to another group.
struct Visit {
    before: Option<Arc<Here>>,
    visited: Option<u64>,
}

impl Visit {
    fn begin(inside: Arc<Here>) -> Visit {
        let visited = inside.visit(Some(inside.group.id()));
        Visit { before: set_here(Some(inside)), visited }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            before.visit(self.visited);
        }
        set_here(self.before.take());
    }
}

impl Here {
    /// Counts a yield point of the thread's group, if a crash of the group is planned.
    pub(crate) fn pass_point(&self) {
        if self.group.0.fuse.is_lit() && !std::thread::panicking() {
            let before = self.group.0.fuse.0.fetch_sub(1, Relaxed);
            if before == BURNT + 1 {
                trace::deed(|| Deed {
                    act: Act::Crash,
                    who: vec![self.group.name().into()],
                    text: format!("{} crashes, in {}", self.group.name(), self.title()),
                    ..Deed::default()
                });
                self.group.stop();
            }
        }
    }
}
