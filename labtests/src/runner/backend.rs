//! What simulations run on: coroutines, which are fast, as long as threads confirm their results.
//!
//! Whether code can do without threads of its own is not visible from outside; for example, it may keep something in a
//! thread-local. So some runs are done on both backends. If the two runs differ, all later runs use threads. A failure is
//! always reported as it happens on threads.

use crate::backends::Backends;
use crate::outcome::Report;
use crate::suites::LabTest;
use labrpc::run::{Backend, Failure, FailureKind};
use labrpc::time::Duration;
use std::sync::atomic::Ordering::Relaxed;

/// The first run is done on both backends, and then every run whose number is a multiple of this.
const COMPARED: u64 = 100;

/// If more runs than this in a hundred can't run on coroutines, coroutines save nothing. This is judged only after `SOME` runs.
const MOST_UNFIT: u64 = 5;
const SOME: u64 = 100;

impl Backends {
    /// The backend that a run is tried on first.
    pub(super) fn now(&self) -> Backend {
        if self.learnt.threads_only.load(Relaxed) { Backend::Threads } else { self.first }
    }

    /// Does a run with `simulate`. It uses coroutines if they are suitable, and then repeats the run on threads if it fails or
    /// is due for a comparison.
    pub(super) fn run(
        &self,
        test: &'static LabTest,
        seed: u64,
        simulate: impl Fn(Backend, Before) -> Report,
    ) -> Report {
        let learnt = &self.learnt;
        if self.first.is_spent() {
            let text = "many runs could not be unwound and left their stacks behind";
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
                    "{unfit} of {runs} runs can't run on coroutines: {}",
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

    /// Does the same run on threads. The result on threads is the one that counts.
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
                "{}, seed {}, ran differently on coroutines than on threads. Coroutines can't run code with thread-locals, \
                 std::thread::current or locks that a thread may take twice",
                test.name, threads.seed
            ));
        }
        threads
    }
}

/// The backend on which a run with this failure is repeated. Threads show what anybody would see. But an overflow of a thread's
/// stack ends the process, so overflows are repeated on coroutines.
pub(super) fn to_tell_of(failure: &Failure) -> Backend {
    match failure.kind {
        FailureKind::Overflow => Backend::Coroutines,
        _ => Backend::Threads,
    }
}

/// What was run before; this decides whether log lines are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// This run was not done before.
    Nothing,
    /// The same run was done and passed.
    Passed,
    /// The same run was done and failed. What it failed for began at this time.
    Failed(Option<Duration>),
}

fn is_same(one: &Report, other: &Report) -> bool {
    let verdict = |report: &Report| report.result.as_ref().map(|_| ()).map_err(|f| f.kind);
    one.fingerprint == other.fingerprint && verdict(one) == verdict(other)
}
