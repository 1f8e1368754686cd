//! The simulation: real threads in virtual time.
//!
//! A thread that is made through [`thread`](crate::thread) inside [`run`] is a *task*. A task is an OS thread or a coroutine, see
//! [`Backend`](crate::run::Backend). Exactly one task holds the *baton* and runs. Every operation that blocks uses one primitive,
//! *park*, which passes the baton on. When no task is ready, virtual time jumps to the next timer. The seed decides which task
//! runs next, so a run is a function of its seed. Ten virtual seconds take only as long as the work that is done in them.
//!
//! - `sched` decides which task runs next. Its parts are `park` (the one primitive), `timers` (what is due at which time), `tasks`
//!   (how tasks begin, crash and end) and `stuck` (whether the run makes progress).
//! - `baton` suspends and resumes a task. It does not decide which task is next.
//! - `coroutines` runs the tasks on one OS thread.
//! - `report` writes the failure messages about threads that wait for each other.
//! - `cpu` binds all threads of a simulation to one CPU, because waking a thread on another CPU takes ten times as long.

mod baton;
pub(crate) mod coroutines;
pub(crate) mod cpu;
pub(crate) mod report;
pub(crate) mod sched;

use crate::run::{Outcome, Run};

/// Runs `body` in a simulation with this seed. The same seed gives the same run.
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
