//! What a step of a simulation costs: two tasks that yield to each other, on coroutines and on threads.
//!
//! ```sh
//! cargo bench -p labrpc --bench steps
//! ```

use labrpc::run::{Backend, Outcome, Run};
use labrpc::thread;
use std::time::{Duration, Instant};

const TRIES: usize = 10;

fn main() {
    for (backend, steps) in [(Backend::Coroutines, 10_000_000), (Backend::Threads, 500_000)] {
        let best = (0..TRIES).map(|_| a_step(backend, steps)).min().unwrap_or_default();
        println!("{backend:?}: {best:?} a step, the best of {TRIES} times {steps}");
    }
}

#[expect(clippy::disallowed_methods, reason = "what it costs is measured on the wall clock")]
fn a_step(backend: Backend, steps: u32) -> Duration {
    let yields = move || (0..steps / 2).for_each(|_| thread::yield_now());
    let began = Instant::now();
    let outcome: Outcome<()> = Run::simulated(1).backend(backend).run(move || {
        let other = thread::spawn(yields);
        yields();
        other.join().expect("it only yields");
    });
    let took = began.elapsed();
    outcome.result.expect("they only yield");
    took / u32::try_from(outcome.steps).unwrap_or(u32::MAX)
}
