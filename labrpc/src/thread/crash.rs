//! How a group crashes: at once, or at a point in the future that nobody has chosen for its looks.

use super::Group;
use crate::run::{self, Crash, Here, set_here};
use crate::sim::sched::{Key, Wait};
use crate::time::{Instant, WallClock};
use crate::trace;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// When a group crashes: after so many more points, or never, or it has.
///
/// Only a simulation counts, and there only one thread runs at a time.
pub(super) struct Fuse(AtomicU64);

const UNLIT: u64 = u64::MAX;
const BURNT: u64 = 0;

impl Fuse {
    pub fn new() -> Fuse {
        Fuse(AtomicU64::new(UNLIT))
    }

    fn is_lit(&self) -> bool {
        !matches!(self.0.load(Relaxed), UNLIT | BURNT)
    }

    fn is_burnt(&self) -> bool {
        self.0.load(Relaxed) == BURNT
    }
}

impl Group {
    /// Stops every thread of the group where it stands, as a crash of the machine would: none runs another
    /// statement of its body; only destructors run. Returns when all are gone. Threads that are inside
    /// [`enter`](Group::enter) leave it.
    ///
    /// Only a simulation can stop threads; in real mode [`Raft::kill`](crate::api::Raft::kill) has to stop a server.
    /// In both worlds a group that has crashed is off the network at once: what its threads send or answer from now on
    /// goes nowhere, and what they save through a [`Persister`](crate::Persister) isn't seen.
    #[track_caller]
    pub fn crash(&self) {
        self.stop();
        let Some(here) = run::simulated() else { return };
        here.unwind_if_crashed(); // the caller may be one of them
        self.wait_ended_simulated(None);
    }

    /// Marks the group as crashed, and tells its threads and those who wait for this.
    fn stop(&self) {
        match run::here().as_ref().and_then(|here| here.world.sched.as_ref()) {
            Some(sched) => {
                self.0.fuse.0.store(BURNT, Relaxed);
                sched.crash_group(self.0.id);
            }
            None => {
                let alive = self.0.alive.lock(); // whom `wait_crashed` looks under
                self.0.fuse.0.store(BURNT, Relaxed);
                drop(alive);
                self.0.changed.notify_all();
            }
        }
    }

    /// Crashes the group when its threads, together, pass their `points`th point from now: a place where the scheduler
    /// may let another thread go first (locks, channel operations, clock readings), or where they wait. A thread
    /// inside [`enter`](Group::enter) counts as one of them. Replaces the plan before.
    ///
    /// [`wait_crashed`](Group::wait_crashed) tells when it has happened. In real mode nobody counts, and nothing happens.
    pub fn crash_after(&self, points: u64) {
        run::excuse_for_good();
        if !self.has_crashed() {
            self.0.fuse.0.store(points.clamp(1, UNLIT - 1), Relaxed);
        }
    }

    /// Makes nothing of a planned crash that has not happened yet.
    pub fn call_off_crash(&self) {
        if self.0.fuse.is_lit() {
            self.0.fuse.0.store(UNLIT, Relaxed);
        }
    }

    /// Whether it has crashed.
    pub fn has_crashed(&self) -> bool {
        self.0.fuse.is_burnt()
    }

    /// Waits until the group crashes, for `timeout` at most; says whether it has.
    #[track_caller]
    pub fn wait_crashed(&self, timeout: Duration) -> bool {
        if let Some(here) = run::simulated() {
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

    /// Runs `f` on the current thread as if it were one of this group: threads that it makes belong to the group, and
    /// if the group crashes, it ends. `None`: the group has crashed, before or meanwhile.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        let Some(before) = run::here() else {
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

/// Drops what a crash has left behind, as a thread that the crash unwinds would. A thread may have been stopped in the
/// middle of anything, so destructors that check what they find do so only where
/// [`panicking`](std::thread::panicking) says no.
pub fn bury<T>(remains: T) {
    let unwound: Result<(), _> = panic::catch_unwind(AssertUnwindSafe(|| {
        let _remains = remains;
        run::unwind()
    }));
    drop(unwound);
}

/// Whether the current thread is of a group that has crashed, so that what it does concerns nobody.
pub(crate) fn crashed_here() -> bool {
    run::with_here(|here| here.group.has_crashed()).unwrap_or(false)
}

/// A thread inside another group.
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
    /// Counts a point that the thread's group passes, if somebody has planned its crash.
    pub(crate) fn pass_point(&self) {
        if self.group.0.fuse.is_lit() && !std::thread::panicking() {
            let before = self.group.0.fuse.0.fetch_sub(1, Relaxed);
            if before == BURNT + 1 {
                trace::tester(|| format!("{} crashes, in {}", self.group.name(), self.title()));
                self.group.stop();
            }
        }
    }
}
