//! How the threads of a run report a failure or a warning.

use crate::context::here;
use crate::context::unwind::{PanicNote, unwind};
use crate::failure::FailureKind;

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
