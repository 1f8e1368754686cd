//! What simulations run on: coroutines, which are fast, as long as threads bear them out.
//!
//! Whether code can do without threads of its own can't be seen by looking at it: it may keep something in a thread-local. So
//! some runs are had on both, and if these are not one and the same run, the rest is had on threads. A failure is told as
//! threads show it, always.

use super::Report;
use crate::suites::LabTest;
use labrpc::run::{Backend, Failure, FailureKind};
use labrpc::time::Duration;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The first run is had on both, and then each that has a multiple of this as its number.
const COMPARED: u64 = 100;

/// With more runs in a hundred that coroutines can't do, they save nothing. Not before so many runs are done.
const MOST_UNFIT: u64 = 5;
const SOME: u64 = 100;

/// What the runs of a lab are had on. Clones share what they have learnt.
#[derive(Clone, Debug)]
pub struct Backends {
    first: Backend,
    learnt: Arc<Learnt>,
}

#[derive(Debug, Default)]
struct Learnt {
    runs: AtomicU64,
    compared: AtomicU64,
    unfit: AtomicU64,
    /// From now on there are threads only.
    threads_only: AtomicBool,
    why: Mutex<Option<String>>,
    /// All runs under this seed are had on both.
    compared_seed: Mutex<Option<u64>>,
}

impl Default for Backends {
    fn default() -> Backends {
        Backends::new(Backend::Coroutines)
    }
}

impl Backends {
    /// Coroutines as long as that is right; or threads.
    pub fn new(first: Backend) -> Backends {
        Backends { first, learnt: Arc::default() }
    }

    /// All runs under this seed are had on both: the first of a sweep.
    pub fn compare(&self, seed: u64) {
        *self.learnt.compared_seed.lock() = Some(seed);
    }

    /// How many runs were had on both, and how many coroutines could not do.
    pub fn counts(&self) -> (u64, u64) {
        (self.learnt.compared.load(Relaxed), self.learnt.unfit.load(Relaxed))
    }

    /// Why there are threads only, if that isn't what was asked for.
    pub fn why_threads(&self) -> Option<String> {
        self.learnt.why.lock().clone()
    }

    /// What a run is had on first.
    pub(super) fn now(&self) -> Backend {
        if self.learnt.threads_only.load(Relaxed) { Backend::Threads } else { self.first }
    }

    /// A run, by `simulate`: on coroutines if that is right, and then again on threads if it fails, or may not be trusted.
    pub(super) fn run(
        &self,
        test: &'static LabTest,
        seed: u64,
        simulate: impl Fn(Backend, Before) -> Report,
    ) -> Report {
        let learnt = &self.learnt;
        if self.first.is_spent() {
            let text = "many runs could not be brought to their end and left their stacks behind";
            self.threads_from_now_on(text.into());
        }
        if self.now() == Backend::Threads {
            return simulate(Backend::Threads, Before::Nothing);
        }
        let number = learnt.runs.fetch_add(1, Relaxed);
        let quick = simulate(Backend::Coroutines, Before::Nothing);
        let Some(failure) = quick.result.as_ref().err() else {
            let compared =
                number.is_multiple_of(COMPARED) || *learnt.compared_seed.lock() == Some(seed);
            return if compared { self.bear_out(test, quick, &simulate) } else { quick };
        };
        if failure.kind == FailureKind::Unfit {
            let unfit = learnt.unfit.fetch_add(1, Relaxed) + 1;
            let runs = learnt.runs.load(Relaxed);
            if runs > SOME && unfit * 100 > runs * MOST_UNFIT {
                self.threads_from_now_on(format!(
                    "{unfit} of {runs} runs can't be had on coroutines: {}",
                    failure.message
                ));
            }
            return simulate(Backend::Threads, Before::Nothing);
        }
        if to_tell_of(failure) == Backend::Coroutines {
            return quick;
        }
        self.bear_out(test, quick, &simulate)
    }

    /// The same run on threads, which is what counts.
    fn bear_out(
        &self,
        test: &LabTest,
        quick: Report,
        simulate: &impl Fn(Backend, Before) -> Report,
    ) -> Report {
        self.learnt.compared.fetch_add(1, Relaxed);
        let before = match &quick.result {
            Ok(_) => Before::Passed,
            Err(failure) => Before::Failed(failure.since),
        };
        let threads = simulate(Backend::Threads, before);
        let by_the_clock = |report: &Report| matches!(&report.result, Err(failure) if failure.kind == FailureKind::Stall);
        if !by_the_clock(&quick) && !by_the_clock(&threads) && !is_same(&quick, &threads) {
            self.threads_from_now_on(format!(
                "{}, seed {}, was another run on coroutines than on threads. Thread-locals, std::thread::current and locks that \
                 a thread may take twice are not for coroutines",
                test.name, threads.seed
            ));
        }
        threads
    }

    fn threads_from_now_on(&self, because: String) {
        self.learnt.threads_only.store(true, Relaxed);
        self.learnt.why.lock().get_or_insert_with(|| {
            format!(
                "simulated on threads, which takes longer: {because}. --backend threads doesn't try coroutines"
            )
        });
    }
}

/// On what a run is repeated that failed like this. Threads show what anybody would see; but an overflow of one of their stacks ends the
/// process.
pub(super) fn to_tell_of(failure: &Failure) -> Backend {
    match failure.kind {
        FailureKind::Overflow => Backend::Coroutines,
        _ => Backend::Threads,
    }
}

/// What was run before, for the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing of this run has been seen.
    Nothing,
    /// The same run, which passed.
    Passed,
    /// The same run, which failed, of something that began then.
    Failed(Option<Duration>),
}

fn is_same(one: &Report, other: &Report) -> bool {
    let verdict = |report: &Report| report.result.as_ref().map(|_| ()).map_err(|f| f.kind);
    one.fingerprint == other.fingerprint && verdict(one) == verdict(other)
}
