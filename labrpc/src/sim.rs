//! The simulation: real threads in virtual time.
//!
//! A thread that is made through [`thread`](crate::thread) inside [`run`] is a *task*. A task is an OS thread or a coroutine, see
//! [`Backend`](crate::run::Backend). Exactly one task holds the *baton* and runs. Every operation that blocks uses one primitive,
//! *park*, which passes the baton on. When no task is ready, virtual time jumps to the next timer. The seed decides which task
//! runs next, so a run is a function of its seed. Ten virtual seconds take only as long as the work that is done in them.
//!
//! `sched` is the scheduler: which task runs next, how a task is suspended, what is due at which time. It knows nothing of a run.
//! `context` says which run a thread belongs to. It is what [`thread`](crate::thread), [`time`](crate::time), [`sync`](crate::sync),
//! [`channel`](crate::channel) and the network ask. [`run`](mod@crate::run) brings a run to its end.

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
