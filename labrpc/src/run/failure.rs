//! Why a run failed, and how its threads say so.

use super::here::here;
use super::panics::{PanicNote, unwind};
use std::fmt;
use std::time::Duration;

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of thing went wrong.
    pub kind: FailureKind,
    /// What went wrong, in words; several lines where there is much to say.
    pub message: String,
    /// The thread that it happened in, with its group, such as `S1/ticker`; empty if it concerns several.
    pub thread: String,
    /// When, on the run's own clock.
    pub at: Duration,
    /// Since when nothing could have gone right any more, if that is known and was before.
    pub since: Option<Duration>,
    /// The seed of the run.
    pub seed: u64,
    /// Which file and line, where there is one.
    pub place: Option<String>,
    /// The backtrace of a panic, if `RUST_BACKTRACE` asks for it. Differs between machines.
    pub backtrace: Option<String>,
    /// Whether the run was simulated, so that its seed replays it exactly.
    pub simulated: bool,
}

/// The kinds of [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The test's own verdict, see [`fail`].
    Test,
    /// A thread panicked.
    Panic,
    /// Every thread waits and no timer is left, or locks are taken in a circle.
    Deadlock,
    /// A thread has used up its stack. Only [coroutines](super::Backend::Coroutines) live to tell of it.
    Overflow,
    /// A thread runs on and on without reaching anything that the scheduler sees.
    Stall,
    /// The run's clock passed its limit.
    TimeLimit,
    /// The clock goes on, but the run does not: see [`Run::patience`](super::Run::patience).
    Stuck,
    /// A thread from outside touched an object of the simulation.
    Stranger,
    /// Something was still running when all should have ended.
    Leak,
    /// It breaks no rule, and could be better.
    Advice,
    /// It is no failure of what was tested: the test can't go on, see [`give_up`].
    GivenUp(&'static str),
    /// It says nothing of the run, which [coroutines](super::Backend::Coroutines) can't do: it is to be run on threads.
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
/// Always; outside a run as an ordinary panic.
#[track_caller]
pub fn fail(message: impl Into<String>) -> ! {
    let message = message.into();
    let Some(here) = here() else { panic!("{message}") };
    here.world.fail(FailureKind::Test, message, Some(&here));
    unwind()
}

/// Ends the run as [`fail`] does, and says that it shows nothing: what the test is for can't be had here, and nobody is to blame.
///
/// # Panics
/// Always; outside a run as an ordinary panic.
#[track_caller]
pub fn give_up(why: &'static str) -> ! {
    let Some(here) = here() else { panic!("{why}") };
    here.world.fail(FailureKind::GivenUp(why), why.into(), Some(&here));
    unwind()
}

/// As [`fail`], but the current thread goes on until it next waits: for code that can't be unwound, such as a
/// [`Sink`](crate::trace::Sink).
pub fn condemn(message: impl Into<String>) {
    if let Some(here) = here() {
        let note = PanicNote { place: None, backtrace: None };
        let world = &here.world;
        world.record(world.failure(FailureKind::Test, message.into(), here.title(), note));
    }
}

/// Says something about the run that is no failure of it: it goes on, and [`Outcome::warnings`](super::Outcome::warnings) has this.
pub fn warn(kind: FailureKind, message: impl Into<String>) {
    if let Some(here) = here() {
        let note = PanicNote { place: None, backtrace: None };
        let warning = here.world.failure(kind, message.into(), here.title(), note);
        here.world.state.lock().warnings.push(warning);
    }
}

/// Whether the run of the current thread has already failed: a test that goes on in real mode asks now and then.
pub fn has_failed() -> bool {
    here().is_some_and(|here| here.world.failed())
}
