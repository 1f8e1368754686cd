//! How a task of the simulation is suspended: it waits for its baton.
//!
//! This module does not decide which task is next. There are two ways to wait: an OS thread parks, and a
//! [coroutine](super::coroutines) leaves its OS thread to another coroutine.

pub(crate) use super::coroutines::Job;
use super::coroutines::Leg;
use super::cpu::OsThread;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

/// The right of one task to run.
pub(crate) enum Baton {
    Thread(ThreadBaton),
    Coroutine(Leg),
}

impl Baton {
    /// Lets the task of this baton run. The task waits for the baton now, or will do so soon.
    pub fn pass(&self) {
        match self {
            Baton::Thread(thread) => thread.pass(),
            Baton::Coroutine(leg) => leg.pass(),
        }
    }

    /// Waits until the baton is passed. The calling task must be the task of this baton.
    pub fn wait(&self) {
        match self {
            Baton::Thread(thread) => thread.wait(),
            Baton::Coroutine(leg) => leg.wait(),
        }
    }

    /// The OS thread that waits for the baton or has it. `None` if the system has no information about threads.
    pub fn os_thread(&self) -> Option<OsThread> {
        match self {
            Baton::Thread(thread) => thread.os_thread.get().copied().flatten(),
            Baton::Coroutine(leg) => leg.os_thread(),
        }
    }
}

/// The right of one OS thread to run.
#[derive(Default)]
pub(crate) struct ThreadBaton {
    passed: AtomicBool,
    thread: OnceLock<Thread>,
    /// The system's number of the thread, on systems where that is used.
    os_thread: OnceLock<Option<OsThread>>,
}

impl ThreadBaton {
    fn pass(&self) {
        self.passed.store(true, Ordering::Release);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is where simulated threads stop")]
    fn wait(&self) {
        self.os_thread.get_or_init(OsThread::current);
        self.thread.get_or_init(std::thread::current);
        while !self.passed.swap(false, Ordering::Acquire) {
            std::thread::park();
        }
    }
}

/// An OS thread that runs one task after another.
pub(crate) struct Worker {
    pub baton: Arc<Baton>,
    /// The next task. If this is `None` when the thread is resumed, the thread ends.
    pub job: Mutex<Option<Job>>,
}

impl Default for Worker {
    fn default() -> Worker {
        let baton = Arc::new(Baton::Thread(ThreadBaton::default()));
        Worker { baton, job: Mutex::default() }
    }
}
