//! Threads in both worlds, with the interface of `std::thread`, and groups of threads that crash together.
//!
//! In a simulation on OS threads, a thread with a name gets an OS thread of its own. A thread without a name uses one from a pool,
//! so it may find thread-locals that another thread left behind.

mod crash;
mod hiccup;

use crate::context::group::Alive;
use crate::context::wall::WallClock;
use crate::context::{self, Here, World, set_here};
pub use crate::context::{Group, Hiccups};
use crate::realm::Realm;
pub use crate::sched::Straggler;
use crate::sched::cpu::OsThread;
use crate::sched::{Key, Wait};
use crate::time::Instant;
pub use crate::time::sleep;

pub use crash::bury;
pub(crate) use crash::crashed_here;
use parking_lot::Mutex;
use std::io;
use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::Arc;
use std::time::Duration;

pub use std::thread::Result;

/// Starts a thread without a name.
///
/// # Panics
/// If the system can't start another thread.
#[track_caller]
pub fn spawn<T, F>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(f).expect("the system could not start another thread")
}

/// Lets other threads run.
#[track_caller]
pub fn yield_now() {
    match context::simulated() {
        Some(here) => here.yield_now(),
        None => std::thread::yield_now(),
    }
}

/// Makes a thread, like `std::thread::Builder`.
#[derive(Debug, Default)]
pub struct Builder {
    name: Option<String>,
}

impl Builder {
    /// A builder without a name for the thread.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Sets the thread's name for reports and logs.
    pub fn name(self, name: impl Into<String>) -> Builder {
        Builder { name: Some(name.into()) }
    }

    /// Starts the thread. It belongs to the caller's run and [`Group`].
    ///
    /// # Errors
    /// In real mode, if the system can't start another thread.
    #[track_caller]
    pub fn spawn<T, F>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let spawned = Some(Location::caller());
        let packet = Arc::new(Mutex::new(None));
        let result = packet.clone();
        let here = context::here();
        let body = move || {
            let value = panic::catch_unwind(AssertUnwindSafe(f));
            let value = value.map_err(|payload| match context::here() {
                Some(here) => {
                    here.world.caught(&here, &*payload);
                    payload
                }
                None => payload,
            });
            *result.lock() = Some(value);
        };
        let name = self.name.as_deref();
        let ended = match &here {
            Some(here) if here.task.is_some() => {
                here.point();
                let task = here.world.spawn(&here.group, name, spawned, Box::new(body));
                Ended::Simulated(task.expect("a task has a scheduler"))
            }
            _ => Ended::Real(try_spawn_real(here.as_deref(), name, spawned, Box::new(body))?),
        };
        Ok(JoinHandle { ended, packet, realm: Realm::current() })
    }
}

/// Waits for the end of a thread, and returns the thread's result.
pub struct JoinHandle<T> {
    ended: Ended,
    packet: Arc<Mutex<Option<Result<T>>>>,
    realm: Realm,
}

enum Ended {
    Simulated(u64),
    Real(std::thread::JoinHandle<()>),
}

impl<T> JoinHandle<T> {
    /// Waits for the end of the thread.
    ///
    /// # Errors
    /// The thread panicked; the error is the panic's payload. Inside a run, that panic has already failed the run.
    #[track_caller]
    pub fn join(self) -> Result<T> {
        match self.ended {
            Ended::Real(handle) => handle.join()?,
            Ended::Simulated(id) => {
                if let Some(here) = self.realm.enter("thread")
                    && let Some(sched) = &here.world.sched
                {
                    while sched.is_alive(id) {
                        let let_go = here.park(&[Key::Task(id)], None, Wait::new("join"));
                        if let_go && here.is_crashed() {
                            break;
                        }
                    }
                }
            }
        }
        self.packet.lock().take().unwrap_or_else(|| Err(Box::new("the thread was crashed")))
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        match &self.ended {
            Ended::Real(handle) => handle.is_finished(),
            Ended::Simulated(id) => match context::simulated() {
                Some(here) => here.world.sched.as_ref().is_none_or(|s| !s.is_alive(*id)),
                None => true,
            },
        }
    }
}

fn try_spawn_real(
    here: Option<&Here>,
    name: Option<&str>,
    spawned: Option<&'static Location<'static>>,
    body: Box<dyn FnOnce() + Send>,
) -> io::Result<std::thread::JoinHandle<()>> {
    let mut builder = std::thread::Builder::new();
    if let Some(name) = name {
        builder = builder.name(name.to_string());
    }
    let registered = here.map(|here| {
        let name: Arc<str> = name.unwrap_or("unnamed").into();
        let (world, group) = (here.world.clone(), here.group.clone());
        let alive = group.enlist(&name, spawned);
        (alive, Arc::new(Here { world, group, name, task: None }))
    });
    #[expect(
        clippy::disallowed_methods,
        reason = "outside a simulation the system's threads are used"
    )]
    builder.spawn(move || {
        let (alive, here) = registered.unzip();
        if let Some(alive) = &alive {
            alive.began();
        }
        set_here(here);
        body();
    })
}

/// Starts the first thread of a real run.
pub(crate) fn spawn_real(
    world: &Arc<World>,
    group: &Group,
    name: &str,
    body: Box<dyn FnOnce() + Send>,
) -> std::thread::JoinHandle<()> {
    let (world, group) = (world.clone(), group.clone());
    let here = Here { world, group, name: name.into(), task: None };
    try_spawn_real(Some(&here), Some(name), None, body)
        .expect("the system could not start another thread")
}

impl Group {
    /// A group without threads. Reports show the group's name before the thread's: `S1/ticker`.
    pub fn new(name: impl Into<Arc<str>>) -> Group {
        Group::make(name.into(), context::here().map(|here| here.world.clone()), false)
    }

    /// The group of the current thread; `None` outside a run.
    pub fn current() -> Option<Group> {
        context::here().map(|here| here.group.clone())
    }

    /// The names of the group's threads that have not ended.
    pub fn alive(&self) -> Vec<String> {
        match self.0.world.as_ref().and_then(|world| world.sched.as_ref()) {
            Some(sched) => sched.alive_in(self.0.id),
            None => {
                let alive = self.0.alive.lock();
                alive.values().map(|thread| format!("{}/{}", self.0.name, thread.name)).collect()
            }
        }
    }

    /// The group's threads that have not ended, and where each of them waits.
    pub fn stragglers(&self) -> Vec<Straggler> {
        if let Some(sched) = self.0.world.as_ref().and_then(|world| world.sched.as_ref()) {
            return sched.stragglers_in(self.0.id);
        }
        let alive = self.0.alive.lock();
        let straggler = |thread: &Alive| Straggler {
            thread: format!("{}/{}", self.0.name, thread.name),
            stands: None,
            spawned: thread.spawned.map(ToString::to_string),
            cpu: thread.os_thread.and_then(OsThread::need).map(|(_, ran)| ran),
        };
        alive.values().map(straggler).collect()
    }

    /// Waits until all threads of the group have ended, at most for `timeout`. Returns the names of the threads that have not
    /// ended.
    pub fn wait_ended(&self, timeout: Duration) -> Vec<String> {
        if context::in_simulation() {
            let deadline = Instant::now() + timeout;
            self.wait_ended_simulated(Some(deadline));
        } else {
            let clock = WallClock::start();
            let mut alive = self.0.alive.lock();
            while !alive.is_empty() && clock.elapsed() < timeout {
                self.0.changed.wait_for(&mut alive, timeout.saturating_sub(clock.elapsed()));
            }
        }
        self.alive()
    }

    #[track_caller]
    fn wait_ended_simulated(&self, deadline: Option<Instant>) {
        let Some(here) = context::simulated() else { return };
        let deadline = deadline.map(Instant::since_start);
        let wait = Wait::new("the threads of a group to end");
        while !self.alive().is_empty() {
            if here.park(&[Key::Group(self.0.id)], deadline, wait) {
                return;
            }
        }
    }
}
