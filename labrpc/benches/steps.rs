//! What a step of a simulation costs: two tasks that yield to each other, on coroutines and on threads.
//!
//! ```sh
//! cargo bench -p labrpc --bench steps
//! ```

use labrpc::run::{Backend, Outcome, Run};
use labrpc::thread;
use std::time::{Duration, Instant};

const TRIES: usize = 10;

/// How many steps a run has. A run in which tasks yield a million times without a jump of virtual time counts as stalled.
const STEPS: u32 = 500_000;

fn main() {
    for (backend, runs) in [(Backend::Coroutines, 20), (Backend::Threads, 1)] {
        let best = (0..TRIES).map(|_| a_step(backend, runs)).min().unwrap_or_default();
        println!(
            "{backend:?}: {best:?} a step, the best of {TRIES} times {runs} runs of {STEPS} steps"
        );
    }
}

fn a_step(backend: Backend, runs: u32) -> Duration {
    let all = (0..runs).map(|_| a_run(backend));
    let (took, steps) = all.fold((Duration::ZERO, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
    took / u32::try_from(steps).unwrap_or(u32::MAX)
}

/// How long a run took, and how many steps it had.
#[expect(clippy::disallowed_methods, reason = "what it costs is measured on the wall clock")]
fn a_run(backend: Backend) -> (Duration, u64) {
    let yields = || (0..STEPS / 2).for_each(|_| thread::yield_now());
    let began = Instant::now();
    let outcome: Outcome<()> = Run::simulated(1).backend(backend).run(move || {
        let other = thread::spawn(yields);
        yields();
        other.join().expect("it only yields");
    });
    let took = began.elapsed();
    outcome.result.expect("they only yield");
    (took, outcome.steps)
}
