//! The tester's threads.

use labrpc::run;
use labrpc::thread::{Builder, JoinHandle};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A flag that tells threads to stop.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether the threads are to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Tells the threads to stop.
    pub fn set(&self) {
        self.0.store(true, Relaxed);
    }
}

/// Starts a thread of the tester.
pub fn spawn<R: Send + 'static>(
    name: &str,
    f: impl FnOnce() -> R + Send + 'static,
) -> JoinHandle<R> {
    Builder::new().name(name).spawn(f).expect("the system refuses another thread")
}

/// Waits for a thread of the tester and returns its result. If the thread has panicked, the run fails.
pub fn joined<R>(thread: JoinHandle<R>) -> R {
    thread.join().unwrap_or_else(|_| run::fail("a client's thread has panicked"))
}
