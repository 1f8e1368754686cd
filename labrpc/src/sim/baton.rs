//! How a thread of the simulation is suspended: it waits for its baton.
//!
//! Nothing here knows who is next. Another way to suspend (a coroutine) would replace this file.

use super::cpu::OsThread;
use parking_lot::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;

/// The right of one OS thread to run.
#[derive(Default)]
pub(crate) struct Baton {
    passed: AtomicBool,
    thread: OnceLock<Thread>,
    /// The thread, as the system knows it, where that is of use.
    os_thread: OnceLock<Option<OsThread>>,
}

impl Baton {
    /// Lets the thread that waits, or is going to wait, run.
    pub fn pass(&self) {
        self.passed.store(true, Ordering::Release);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// The thread that waits for it, or has it, if the system tells of its threads.
    pub fn os_thread(&self) -> Option<OsThread> {
        self.os_thread.get().copied().flatten()
    }

    /// Waits until the baton is passed to this, the calling thread.
    #[expect(clippy::disallowed_methods, reason = "this is where simulated threads stop")]
    pub fn wait(&self) {
        self.os_thread.get_or_init(OsThread::current);
        self.thread.get_or_init(std::thread::current);
        while !self.passed.swap(false, Ordering::Acquire) {
            std::thread::park();
        }
    }
}

/// An OS thread that runs one task after another.
#[derive(Default)]
pub(crate) struct Worker {
    pub baton: std::sync::Arc<Baton>,
    /// The next task; `None` when the thread is resumed means that it should end.
    pub job: Mutex<Option<Job>>,
}

/// A task's code.
pub(crate) type Job = Box<dyn FnOnce() + Send>;
