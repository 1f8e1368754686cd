//! One test's run, in either world: its seed, its failure, its trace, and what belongs to it.
//!
//! [`Run::simulated`] and [`Run::real`] run the same closure; only the scheduler behind it differs.
//! Every thread made through [`thread`](crate::thread) inside belongs to the run.

mod drive;
mod failure;
mod here;
mod panics;
mod told;
mod world;

pub use failure::{Failure, FailureKind, condemn, fail, give_up, has_failed, warn};
pub(crate) use here::{Here, PerThread, here, set_here, simulated, with_here};
pub use here::{in_simulation, seed};
pub(crate) use panics::{Crash, unwind};
pub use told::{
    calling, calling_briefly, excuse, excuse_for_good, note_progress, suspect_the_clock,
    timekeeping,
};
pub(crate) use world::World;

use crate::sim::coroutines::Carrier;
use crate::sim::sched::Sched;
use crate::thread::Group;
use crate::trace::Sink;
use parking_lot::Mutex;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

/// How to run a test. See the [module](self).
pub struct Run {
    seed: u64,
    simulated: bool,
    backend: Backend,
    time_limit: Duration,
    patience: Option<Duration>,
    logs: Logs,
    sink: Option<Box<dyn Sink>>,
}

/// What the threads of a simulation are. The same seed gives the same run on either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// OS threads, of which one runs at a time: what code expects that has thread-locals, or asks for its thread, and what
    /// debuggers know.
    #[default]
    Threads,
    /// Coroutines on one OS thread, which take a fraction of the time. Thread-locals, [`std::thread::current`] and
    /// [`std::thread::panicking`] are of that thread. A run that can't be had like this ends as [`FailureKind::Unfit`].
    Coroutines,
}

impl Backend {
    /// Whether this process has room for no more runs on it: a run on coroutines that can't be brought to its end leaves its stacks behind.
    pub fn is_spent(self) -> bool {
        self == Backend::Coroutines && crate::sim::coroutines::are_spent()
    }

    fn of_env() -> Backend {
        match std::env::var("LABRPC_BACKEND").as_deref() {
            Ok("coroutines") => Backend::Coroutines,
            Ok("threads") | Err(_) => Backend::Threads,
            Ok(other) => panic!("LABRPC_BACKEND={other:?} is neither threads nor coroutines"),
        }
    }
}

/// What becomes of the lines that a run's threads write with the crate `log`. See [`logging::init`](crate::logging::init).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Logs {
    /// They go to standard error as they come.
    #[default]
    Printed,
    /// They are events of the trace, between the others.
    Traced,
    /// Nothing: this run repeats one whose lines have been seen.
    Dropped,
}

/// What came of a [`Run`].
#[derive(Debug)]
pub struct Outcome<R> {
    /// What the body returned, or the first thing that failed, in whatever thread.
    pub result: Result<R, Failure>,
    /// How long the run took on its own clock: virtual time in a simulation.
    pub lab_time: Duration,
    /// A hash of every scheduling decision, until the run ends or fails, and of every random draw. Equal for two simulations of one seed.
    /// In real mode it means nothing.
    pub fingerprint: u64,
    /// How many scheduling decisions the simulation took; 0 in real mode.
    pub steps: u64,
    /// What was said with [`warn`].
    pub warnings: Vec<Failure>,
}

impl Run {
    /// A run under the seeded scheduler, in virtual time; on threads, unless `LABRPC_BACKEND=coroutines` says otherwise.
    pub fn simulated(seed: u64) -> Run {
        let logs = Logs::default();
        let backend = Backend::of_env();
        Run { seed, simulated: true, backend, time_limit: DAY, patience: None, logs, sink: None }
    }

    /// A run on free threads and the wall clock. The seed decides the network's and the tester's draws, but not
    /// the order in which threads run.
    pub fn real(seed: u64) -> Run {
        Run { simulated: false, ..Run::simulated(seed) }
    }

    /// What the threads of a simulation are.
    pub fn backend(mut self, backend: Backend) -> Run {
        self.backend = backend;
        self
    }

    fn sched(&self) -> Sched {
        let carrier = (self.backend == Backend::Coroutines).then(Arc::<Carrier>::default);
        Sched::new(self.seed, self.time_limit, self.patience, carrier)
    }

    /// Fails the run when its own clock passes `limit`: a day, if not set.
    pub fn time_limit(mut self, limit: Duration) -> Run {
        self.time_limit = limit;
        self
    }

    /// Ends a simulation as [`FailureKind::Stuck`] when for so long nothing has happened that its main thread could wait for
    /// (nobody called [`note_progress`]) and nobody was held back on purpose ([`excuse`]): if then the main thread waits
    /// without a deadline, or anybody for a lock, all this time. A call that is to return soon ([`calling_briefly`]) ends
    /// it, too, whoever is held back. Without this, and in real mode, nothing ends it before the [time limit](Run::time_limit).
    pub fn patience(mut self, patience: Duration) -> Run {
        self.patience = Some(patience);
        self
    }

    /// What becomes of log lines.
    pub fn logs(mut self, logs: Logs) -> Run {
        self.logs = logs;
        self
    }

    /// Sends the run's events to `sink`. A simulation takes the same course whether anybody listens or not.
    pub fn trace(mut self, sink: impl Sink) -> Run {
        self.sink = Some(Box::new(sink));
        self
    }

    /// Runs `body` to its end, or to the first failure in any thread.
    ///
    /// In a simulation every thread of the run has ended when this returns, except after
    /// [`FailureKind::Stall`] (nobody can stop a thread that spins). In real mode the body is to stop its threads.
    pub fn run<R, F>(mut self, body: F) -> Outcome<R>
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        panics::install_hook();
        let limit = self.time_limit;
        let world = World::new(&mut self);
        let slot = Arc::new(Mutex::new(None));
        let (at_end, result) = (world.clone(), slot.clone());
        let body = move || {
            let value = panic::catch_unwind(AssertUnwindSafe(body));
            let value = value.map_err(|payload| {
                if let Some(here) = here() {
                    at_end.caught(&here, &*payload);
                }
            });
            *result.lock() = value.ok();
            at_end.state.lock().body_ended = true;
            at_end.changed.notify_all();
        };
        let group = Group::of_world("test", &world);
        match &world.sched {
            Some(sched) => sched.drive(&world, group, Box::new(body)),
            None => world.drive_real(group, Box::new(body), limit),
        }
        world.trace.close();
        world.retire();
        let mut state = world.state.lock();
        let (failure, warnings) = (state.failure.take(), std::mem::take(&mut state.warnings));
        drop(state);
        let value = slot.lock().take();
        let (fold, steps) = world.sched.as_ref().map_or((0, 0), Sched::fingerprint);
        let streams = [&world.network, &world.tester, &world.user];
        Outcome {
            result: match (failure, value) {
                (Some(failure), _) => Err(failure),
                (None, Some(value)) => Ok(value),
                (None, None) => unreachable!("a body that did not return has failed"),
            },
            lab_time: world.now(),
            fingerprint: streams.iter().fold(fold, |f, s| mix(f, s.fingerprint())),
            steps,
            warnings,
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One step of a hash that is the same on every machine.
pub(crate) fn mix(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23)
}
