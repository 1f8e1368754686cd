//! How a thread of a run is unwound, and what is noted of a panic.

use std::any::Any;
use std::cell::RefCell;
use std::panic;

/// What the panic hook noted.
pub(crate) struct PanicNote {
    pub place: Option<String>,
    pub backtrace: Option<String>,
}

thread_local! {
    static LAST: RefCell<Option<PanicNote>> = const { RefCell::new(None) };
}

/// Sets the note of the current thread's last panic. Returns the note that was there.
pub(crate) fn set_last(note: Option<PanicNote>) -> Option<PanicNote> {
    LAST.replace(note)
}

/// The payload that unwinds a thread after a crash or after the end of its run. It is not a mistake in the program, so it is not
/// reported.
pub(crate) struct Crash;

/// Unwinds the current thread without a report.
pub(crate) fn unwind() -> ! {
    panic::resume_unwind(Box::new(Crash))
}

/// The text of a panic.
pub(crate) fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(a panic without a text)".into())
}
