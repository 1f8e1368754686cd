//! The simulation: threads that are real, time that isn't.
//!
//! Threads made through [`thread`](crate::thread) inside [`run`] are tasks, of which exactly one holds the
//! *baton* and runs: OS threads or coroutines, see [`Backend`](crate::run::Backend). Everything that blocks goes through one primitive, *park*, which hands the baton on:
//! when nobody is ready, virtual time jumps to the next timer. Who runs next is decided by the seed, so a run
//! is a function of its seed, and ten virtual seconds take as long as the work in them.
//!
//! - `sched`: who runs next. In it `park` (the one primitive), `timers` (what is due when) and `tasks` (how they
//!   begin, crash and end).
//! - `baton`: how a task is suspended and resumed, apart from who is next; `coroutines`: tasks that share one OS thread.
//! - `report`: what to say when threads wait for each other.
//! - `cpu`: all threads of a simulation on one CPU, for a wake across CPUs costs ten times as much.

mod baton;
pub(crate) mod coroutines;
pub(crate) mod cpu;
pub(crate) mod report;
pub(crate) mod sched;

use crate::run::{Outcome, Run};

/// Runs `body` in a simulation with this seed: the same seed, the same run.
///
/// ```
/// use labrpc::{sim, thread, time};
/// use std::time::Duration;
///
/// let outcome = sim::run(7, || {
///     let sleeper = thread::spawn(|| time::sleep(Duration::from_secs(3600)));
///     sleeper.join().unwrap();
///     "an hour later"
/// });
/// assert_eq!(outcome.result, Ok("an hour later"));
/// assert!(outcome.lab_time >= Duration::from_secs(3600));
/// ```
pub fn run<R, F>(seed: u64, body: F) -> Outcome<R>
where
    R: Send + 'static,
    F: FnOnce() -> R + Send + 'static,
{
    Run::simulated(seed).run(body)
}
