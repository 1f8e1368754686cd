//! Why a run failed.

use std::fmt;
use std::time::Duration;

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of the failure.
    pub kind: FailureKind,
    /// What went wrong, in words. It may have several lines.
    pub message: String,
    /// The thread in which it happened, with its group, such as `S1/ticker`. Empty if several threads are concerned.
    pub thread: String,
    /// When it happened, on the run's own clock.
    pub at: Duration,
    /// Since when the run could not succeed any more, if that is known and was earlier than `at`.
    pub since: Option<Duration>,
    /// The seed of the run.
    pub seed: u64,
    /// The file and line, if the failure has one.
    pub place: Option<String>,
    /// The backtrace of a panic, if `RUST_BACKTRACE` asks for it. It differs between machines.
    pub backtrace: Option<String>,
    /// Whether the run was simulated. Then its seed replays it exactly.
    pub simulated: bool,
}

/// The kinds of [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The test's own verdict, see [`fail`](crate::run::fail).
    Test,
    /// A thread panicked.
    Panic,
    /// Every thread waits and no timer is left, or threads wait for each other in a circle.
    Deadlock,
    /// A thread has overflowed its stack. Only a run on [coroutines](crate::run::Backend::Coroutines) can report this; on OS threads
    /// the process dies.
    Overflow,
    /// A thread runs for long without reaching any operation that the scheduler sees.
    Stall,
    /// The run's clock passed its limit.
    TimeLimit,
    /// The clock goes on, but the run makes no progress: see [`Run::patience`](crate::run::Run::patience).
    Stuck,
    /// A thread from outside the simulation used an object of the simulation.
    Stranger,
    /// A thread was still running when all threads should have ended.
    Leak,
    /// No rule is broken, but something could be better.
    Advice,
    /// The test can't go on, but the code under test has not failed: see [`give_up`](crate::run::give_up).
    GivenUp(&'static str),
    /// The run is not possible on [coroutines](crate::run::Backend::Coroutines) and must be repeated on OS threads. The code under
    /// test has not failed.
    Unfit,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            FailureKind::Panic => "panicked: ",
            FailureKind::Deadlock => "deadlock: ",
            FailureKind::Stall => "stalled: ",
            FailureKind::TimeLimit => "out of time: ",
            FailureKind::Stuck => "stuck: ",
            FailureKind::Leak => "left running: ",
            FailureKind::Overflow => "stack overflow: ",
            FailureKind::Unfit => "can't be run on coroutines: ",
            FailureKind::GivenUp(_) => "given up: ",
            FailureKind::Test | FailureKind::Stranger | FailureKind::Advice => "",
        };
        writeln!(f, "{what}{}", self.message)?;
        if let Some(place) = &self.place {
            writeln!(f, "  at {place}")?;
        }
        let world = if self.simulated { "virtual time" } else { "lab time" };
        let secs = self.at.as_secs_f64();
        f.write_str("  ")?;
        if !self.thread.is_empty() {
            write!(f, "in thread {}, ", self.thread)?;
        }
        write!(f, "{world} {secs:.6} s, seed {}", self.seed)
    }
}

impl std::error::Error for Failure {}
