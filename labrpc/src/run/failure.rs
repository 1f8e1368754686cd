//! Why a run failed, and how its threads report a failure.

use super::here::here;
use super::panics::{PanicNote, unwind};
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
    /// The test's own verdict, see [`fail`].
    Test,
    /// A thread panicked.
    Panic,
    /// Every thread waits and no timer is left, or threads wait for each other in a circle.
    Deadlock,
    /// A thread has overflowed its stack. Only a run on [coroutines](super::Backend::Coroutines) can report this; on OS threads
    /// the process dies.
    Overflow,
    /// A thread runs for long without reaching any operation that the scheduler sees.
    Stall,
    /// The run's clock passed its limit.
    TimeLimit,
    /// The clock goes on, but the run makes no progress: see [`Run::patience`](super::Run::patience).
    Stuck,
    /// A thread from outside the simulation used an object of the simulation.
    Stranger,
    /// A thread was still running when all threads should have ended.
    Leak,
    /// No rule is broken, but something could be better.
    Advice,
    /// The test can't go on, but the code under test has not failed: see [`give_up`].
    GivenUp(&'static str),
    /// The run is not possible on [coroutines](super::Backend::Coroutines) and must be repeated on OS threads. The code under
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

/// Fails the run with `message` and ends the current thread. Other threads end as soon as they wait for anything.
///
/// # Panics
/// Always. Outside a run it is an ordinary panic.
#[track_caller]
pub fn fail(message: impl Into<String>) -> ! {
    let message = message.into();
    let Some(here) = here() else { panic!("{message}") };
    here.world.fail(FailureKind::Test, message, Some(&here));
    unwind()
}

/// Ends the run like [`fail`], but not as a failure of the code under test: the situation that the test needs can't be reached
/// here, so the run shows nothing.
///
/// # Panics
/// Always. Outside a run it is an ordinary panic.
#[track_caller]
pub fn give_up(why: &'static str) -> ! {
    let Some(here) = here() else { panic!("{why}") };
    here.world.fail(FailureKind::GivenUp(why), why.into(), Some(&here));
    unwind()
}

/// Like [`fail`], but the current thread goes on until it next waits. This is for code that can't be unwound, such as a
/// [`Sink`](crate::trace::Sink).
pub fn condemn(message: impl Into<String>) {
    if let Some(here) = here() {
        let note = PanicNote { place: None, backtrace: None };
        let world = &here.world;
        world.record(world.failure(FailureKind::Test, message.into(), here.title(), note));
    }
}

/// Adds a warning to [`Outcome::warnings`](super::Outcome::warnings). The run goes on and does not fail.
pub fn warn(kind: FailureKind, message: impl Into<String>) {
    if let Some(here) = here() {
        let note = PanicNote { place: None, backtrace: None };
        let warning = here.world.failure(kind, message.into(), here.title(), note);
        here.world.state.lock().warnings.push(warning);
    }
}

/// Whether the run of the current thread has already failed. In real mode, a test that runs for long must check this now and then.
pub fn has_failed() -> bool {
    here().is_some_and(|here| here.world.failed())
}
