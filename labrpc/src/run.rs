//! The run of one test, simulated or real: its seed, its failure, its trace and its threads.
//!
//! [`Run::simulated`] and [`Run::real`] run the same closure; only the scheduler differs. Every thread that is made through
//! [`thread`](crate::thread) inside the run belongs to it.

mod drive;
mod panics;
mod verdict;

pub use crate::context::told::{
    calling, calling_briefly, excuse, excuse_for_good, note_progress, suspect_the_clock,
    timekeeping,
};
pub use crate::context::world::Logs;
pub use crate::context::{in_simulation, seed};
pub use crate::failure::{Failure, FailureKind};
pub use verdict::{condemn, fail, give_up, has_failed, warn};

use crate::context::events::Sink;
use crate::context::{Group, THREAD_LOCALS, World, here};
use crate::sched::coroutines::{self, Carrier};
use crate::sched::{Sched, mix};
use crate::tape::{Deck, Tape};
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
    tape: Option<Arc<Deck>>,
}

/// What a simulation uses as threads. The same seed gives the same run with either backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// OS threads, of which only one runs at a time. Code that uses thread-locals or [`std::thread::current`] works as usual, and
    /// so do debuggers.
    #[default]
    Threads,
    /// Coroutines on one OS thread, which take a fraction of the time. All of them share the thread-locals,
    /// [`std::thread::current`] and [`std::thread::panicking`] of that thread. A run that is not possible on coroutines ends as
    /// [`FailureKind::Unfit`].
    Coroutines,
}

impl Backend {
    /// Whether this process has no room for more runs on this backend. If a run on coroutines can't be brought to its end, its
    /// stacks are never freed.
    pub fn is_spent(self) -> bool {
        self == Backend::Coroutines && coroutines::are_spent()
    }

    fn of_env() -> Backend {
        match std::env::var("LABRPC_BACKEND").as_deref() {
            Ok("coroutines") => Backend::Coroutines,
            Ok("threads") | Err(_) => Backend::Threads,
            Ok(other) => panic!("LABRPC_BACKEND must be threads or coroutines, not {other:?}"),
        }
    }
}

/// The outcome of a [`Run`].
#[derive(Debug)]
pub struct Outcome<R> {
    /// What the body returned, or the first failure in any thread.
    pub result: Result<R, Failure>,
    /// How long the run took on its own clock: virtual time in a simulation.
    pub lab_time: Duration,
    /// A hash of all scheduling decisions until the run ends or fails, and of all random numbers that were consumed. Two
    /// simulations with the same seed have the same fingerprint. In real mode it means nothing.
    pub fingerprint: u64,
    /// How many scheduling decisions the simulation made; 0 in real mode.
    pub steps: u64,
    /// The warnings that were given with [`warn`].
    pub warnings: Vec<Failure>,
    /// The random choices up to the end of the run or to its failure, if the run was [recorded](Run::record) or done from a
    /// [tape](Run::tape).
    pub tape: Option<Tape>,
}

impl Run {
    /// A run under the seeded scheduler in virtual time. It uses OS threads unless the environment has
    /// `LABRPC_BACKEND=coroutines`.
    pub fn simulated(seed: u64) -> Run {
        let logs = Logs::default();
        let backend = Backend::of_env();
        let (time_limit, patience, sink, tape) = (DAY, None, None, None);
        Run { seed, simulated: true, backend, time_limit, patience, logs, sink, tape }
    }

    /// A run on the system's threads and the wall clock. The seed decides the random numbers of the network and of the tester, but
    /// not the order in which threads run.
    pub fn real(seed: u64) -> Run {
        Run { simulated: false, ..Run::simulated(seed) }
    }

    /// Sets what a simulation uses as threads.
    pub fn backend(mut self, backend: Backend) -> Run {
        self.backend = backend;
        self
    }

    fn sched(&self) -> Sched {
        let on_coroutines = self.backend == Backend::Coroutines;
        let carrier = on_coroutines.then(|| Arc::new(Carrier::new(THREAD_LOCALS)));
        Sched::new(self.seed, self.time_limit, self.patience, carrier, self.tape.clone())
    }

    /// Fails the run when its own clock passes `limit`. The default is one day.
    pub fn time_limit(mut self, limit: Duration) -> Run {
        self.time_limit = limit;
        self
    }

    /// Ends a simulation that makes no progress for `patience` of virtual time, as [`FailureKind::Stuck`]. That is one of two
    /// cases:
    /// - Three things were true for that time: nobody called [`note_progress`]; the test held nobody back on purpose
    ///   ([`excuse`]); and either the main thread waited without a deadline, or some thread waited for a lock.
    /// - A call that should return soon ([`calling_briefly`]) has lasted that long, even if the test holds somebody back.
    ///
    /// Without this setting, and in real mode, a run ends only at the [time limit](Run::time_limit).
    pub fn patience(mut self, patience: Duration) -> Run {
        self.patience = Some(patience);
        self
    }

    /// Sets where log lines go.
    pub fn logs(mut self, logs: Logs) -> Run {
        self.logs = logs;
        self
    }

    /// Sends the run's events to `sink`. A simulation runs in the same way with and without a sink.
    pub fn trace(mut self, sink: impl Sink) -> Run {
        self.sink = Some(Box::new(sink));
        self
    }

    /// Records the random choices of a simulation, see [`Outcome::tape`]. A simulation runs in the same way with and without this.
    pub fn record(mut self) -> Run {
        self.tape = Some(Arc::new(Deck::recording(self.seed)));
        self
    }

    /// Takes the random choices of a simulation from a tape, and records which of them it uses. The run's seed should be the one
    /// that the tape was recorded with: it is part of the fingerprint.
    ///
    /// # Panics
    /// If the parts of the tape don't form a tree, see [`Tape::check`].
    pub fn tape(mut self, tape: Tape) -> Run {
        if let Err(wrong) = tape.check() {
            panic!("a damaged tape: {wrong}");
        }
        self.tape = Some(Arc::new(Deck::playing(tape)));
        self
    }

    /// Runs `body` to its end, or to the first failure in any thread.
    ///
    /// In a simulation, every thread of the run has ended when this returns, except after [`FailureKind::Stall`], because a thread
    /// that spins can't be stopped. In real mode, `body` must stop the threads that it starts.
    pub fn run<R, F>(mut self, body: F) -> Outcome<R>
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        panics::install_hook();
        let limit = self.time_limit;
        let sched = self.simulated.then(|| self.sched());
        let tape = self.tape.take().filter(|_| self.simulated);
        let world = World::new(self.seed, self.sink.take(), self.logs, sched, tape);
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
                (None, None) => unreachable!("a body that did not return has recorded a failure"),
            },
            lab_time: world.now(),
            fingerprint: streams.iter().fold(fold, |f, s| mix(f, s.fingerprint())),
            steps,
            warnings,
            tape: world.tape.as_ref().map(|deck| deck.tape()),
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
