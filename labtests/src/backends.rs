//! What the runs of a lab are done on, and what earlier runs have shown of it.

use labrpc::run::Backend;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What the runs of a lab are done on. Clones share what they have learnt.
#[derive(Clone, Debug)]
pub struct Backends {
    pub(crate) first: Backend,
    pub(crate) learnt: Arc<Learnt>,
}

#[derive(Debug, Default)]
pub(crate) struct Learnt {
    pub runs: AtomicU64,
    pub compared: AtomicU64,
    pub unfit: AtomicU64,
    /// From now on only threads are used.
    pub threads_only: AtomicBool,
    why: Mutex<Option<String>>,
    /// All runs under this seed are done on both backends.
    pub compared_seed: Mutex<Option<u64>>,
}

impl Default for Backends {
    fn default() -> Backends {
        Backends::new(Backend::Coroutines)
    }
}

impl Backends {
    /// Starts with this backend: coroutines until they turn out to be unsuitable, or only threads.
    pub fn new(first: Backend) -> Backends {
        Backends { first, learnt: Arc::default() }
    }

    /// All runs under this seed, the first of a sweep, are done on both backends.
    pub fn compare(&self, seed: u64) {
        *self.learnt.compared_seed.lock() = Some(seed);
    }

    /// How many runs were done on both backends, and how many could not run on coroutines.
    pub fn counts(&self) -> (u64, u64) {
        (self.learnt.compared.load(Relaxed), self.learnt.unfit.load(Relaxed))
    }

    /// Why only threads are used, if that was not requested.
    pub fn why_threads(&self) -> Option<String> {
        self.learnt.why.lock().clone()
    }

    pub(crate) fn threads_from_now_on(&self, because: String) {
        self.learnt.threads_only.store(true, Relaxed);
        self.learnt.why.lock().get_or_insert_with(|| {
            format!(
                "simulated on threads, which takes longer: {because}. With --backend threads, coroutines are not tried"
            )
        });
    }
}
