//! Groups of threads.

use super::World;
use crate::sched::Dice;
use crate::sched::cpu::OsThread;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, Ordering::Relaxed};
use std::time::Duration;

/// Threads that crash together, such as the threads of a server. A thread belongs to the group of the thread that made it.
#[derive(Clone)]
pub struct Group(pub(crate) Arc<GroupInner>);

pub(crate) struct GroupInner {
    pub id: u64,
    pub name: Arc<str>,
    pub world: Option<Arc<World>>,
    pub test: bool,
    pub alive: Mutex<BTreeMap<u64, Alive>>,
    pub changed: Condvar,
    pub fuse: Fuse,
    pub slowness: Slowness,
}

/// A thread of a real run.
pub(crate) struct Alive {
    pub name: Arc<str>,
    pub spawned: Option<&'static Location<'static>>,
    /// The OS thread, once it has begun.
    pub os_thread: Option<OsThread>,
}

impl Group {
    pub(crate) fn of_world(name: &str, world: &Arc<World>) -> Group {
        Group::make(name.into(), Some(world.clone()), true)
    }

    pub(crate) fn make(name: Arc<str>, world: Option<Arc<World>>, test: bool) -> Group {
        static REAL_ID: AtomicU64 = AtomicU64::new(1);
        let id = match world.as_ref().and_then(|world| world.sched.as_ref()) {
            Some(sched) => sched.fresh_id(),
            None => REAL_ID.fetch_add(1, Ordering::Relaxed),
        };
        let (alive, changed) = (Mutex::default(), Condvar::new());
        let (fuse, slowness) = (Fuse::new(), Slowness::default());
        Group(Arc::new(GroupInner { id, name, world, test, alive, changed, fuse, slowness }))
    }

    /// The group's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    /// Whether this is the test's group or the network's, and not a server's.
    pub(crate) fn is_test(&self) -> bool {
        self.0.test
    }

    /// Whether the group has crashed.
    pub fn has_crashed(&self) -> bool {
        self.0.fuse.is_burnt()
    }

    /// Whether hiccups are on.
    pub(crate) fn is_slow(&self) -> bool {
        self.0.slowness.on.load(Relaxed)
    }

    /// Decides whether a thread of the group pauses here, and for how long. The chance is one in `one_in * divided_by`.
    pub(crate) fn hiccup(&self, dice: Dice<'_>, divided_by: u32) -> Option<Duration> {
        let slowness = self.0.slowness.hiccups.lock();
        let Hiccups { one_in, lasting } = slowness.as_ref()?;
        dice.pause(one_in.saturating_mul(divided_by), lasting)
    }

    /// Counts a real thread as alive until the returned value is dropped.
    pub(crate) fn enlist(
        &self,
        name: &Arc<str>,
        spawned: Option<&'static Location<'static>>,
    ) -> Enlisted {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let thread = Alive { name: name.clone(), spawned, os_thread: None };
        self.0.alive.lock().insert(number, thread);
        Enlisted { group: self.clone(), number }
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Group({})", self.0.name)
    }
}

/// When a group crashes: the number of yield points until then, or [`UNLIT`] (no crash is planned), or [`BURNT`] (it has crashed).
///
/// Yield points are counted only in a simulation, where only one thread runs at a time.
pub(crate) struct Fuse(pub AtomicU64);

pub(crate) const UNLIT: u64 = u64::MAX;
pub(crate) const BURNT: u64 = 0;

impl Fuse {
    pub fn new() -> Fuse {
        Fuse(AtomicU64::new(UNLIT))
    }

    pub fn is_lit(&self) -> bool {
        !matches!(self.0.load(Relaxed), UNLIT | BURNT)
    }

    pub fn is_burnt(&self) -> bool {
        self.0.load(Relaxed) == BURNT
    }
}

/// How the threads of a group pause now and then (a *hiccup*), as on a busy machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hiccups {
    /// Each time the scheduler makes a thread yield to another, the thread pauses instead in one case of `one_in`. A thread that
    /// has just started, or has just released a lock, pauses more often: see [`Group::hiccups`].
    pub one_in: u32,
    /// How long a pause lasts. The range must not be empty.
    pub lasting: Range<Duration>,
}

/// The hiccups of a group. Off by default; while off, they consume no random numbers.
#[derive(Default)]
pub(crate) struct Slowness {
    pub hiccups: Mutex<Option<Hiccups>>,
    /// Whether hiccups are on. This is read whenever a lock is released, so it is an atomic.
    pub on: AtomicBool,
}

pub(crate) struct Enlisted {
    group: Group,
    number: u64,
}

impl Enlisted {
    /// Notes that the enlisted thread, which is the current one, has begun.
    pub fn began(&self) {
        if let Some(thread) = self.group.0.alive.lock().get_mut(&self.number) {
            thread.os_thread = OsThread::current();
        }
    }
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        self.group.0.alive.lock().remove(&self.number);
        self.group.0.changed.notify_all();
    }
}
