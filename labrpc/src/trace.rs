//! What happened, when and where: events that the network, the persisters and the tester write.
//!
//! User code need not write any (it may add a [`note`]), so the trace works with any Raft. Events cost nothing if there is no
//! listener.

use crate::context;
pub use crate::context::events::{Act, Deed, Event, Operated, Sink, What};
use crate::describe::Value;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Whether the current thread's run has a listener to its events.
pub fn listening() -> bool {
    context::with_here(|here| here.world.trace.listening()).unwrap_or(false)
}

/// Writes an event. Calls `what` only if there is a listener.
pub(crate) fn emit(what: impl FnOnce() -> What) {
    context::with_here(|here| {
        if !here.world.trace.listening() {
            return;
        }
        let event = Event { at: here.world.now(), what: what() };
        if let Some(sink) = &mut *here.world.trace.sink.lock() {
            sink.event(&event);
        }
    });
}

/// Whether the listener reads the texts for people.
fn reads_words() -> bool {
    context::with_here(|here| here.world.trace.words) == Some(true)
}

/// Writes an event of the tester: what it does to the cluster, what it checks.
pub fn tester(text: impl FnOnce() -> String) {
    deed(|| Deed { text: text(), ..Deed::default() });
}

/// Writes an event of the tester that its readers can understand without reading its text.
pub fn deed(deed: impl FnOnce() -> Deed) {
    let read = reads_words();
    emit(|| What::Tester(if read { deed() } else { Deed::default() }));
}

/// Ends the trace: what happens from now on, while a test cleans up, is not part of it.
pub fn end() {
    context::with_here(|here| here.world.trace.mute());
}

/// Writes that a client's operation has returned.
pub fn operated(operated: impl FnOnce() -> Operated) {
    if reads_words() {
        emit(|| What::Operated(operated()));
    }
}

/// Writes something larger that belongs to the run, as JSON. `what` says what it is.
pub fn attach(what: &'static str, data: impl FnOnce() -> String) {
    if reads_words() {
        emit(|| What::Attached { what, data: data() });
    }
}

/// Writes that `who`'s service got a message from the apply channel. `last` is the index that the service has applied then, and
/// the term of that entry.
pub fn applied(who: &Arc<str>, last: (u64, u64), what: impl FnOnce() -> String) {
    let read = reads_words();
    emit(|| What::Applied {
        who: who.clone(),
        last,
        what: if read { what() } else { String::new() },
    });
}

/// Adds a note of your own to the trace; `raftlab replay` shows it among the events.
pub fn note(text: impl fmt::Display) {
    emit(|| What::Note {
        who: context::here().map_or(String::new(), |here| here.title()),
        text: text.to_string(),
    });
}

/// Writes a line of the crate `log`.
pub(crate) fn logged(line: String) {
    emit(|| What::Logged { who: context::here().map_or(String::new(), |here| here.title()), line });
}

/// Describes a message, which is encoded as `bytes`, if there is a listener or a rule of the network that reads it.
pub(crate) fn describe<T: Serialize + ?Sized>(message: &T, bytes: &[u8]) -> Option<Arc<Value>> {
    let here = context::here().filter(|here| here.world.trace.wants_messages())?;
    let lately = &here.world.trace.lately;
    let kind = std::any::type_name::<T>();
    let known = lately.lock().find(kind, bytes);
    // The lock is not held here, because serializing a value runs user code.
    Some(known.unwrap_or_else(|| {
        let value = Arc::new(Value::of(message));
        lately.lock().add(kind, bytes, &value);
        value
    }))
}

/// Notes that a network has a rule from now on, or no longer.
pub(crate) fn describe_for_rules(yes: bool) {
    context::with_here(|here| {
        let rules = &here.world.trace.rules;
        if yes {
            rules.fetch_add(1, Ordering::Relaxed)
        } else {
            rules.fetch_sub(1, Ordering::Relaxed)
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::run::Run;

    #[derive(Serialize)]
    struct Ask {
        term: u64,
    }

    #[derive(Serialize)]
    struct Other {
        index: u64,
    }

    #[test]
    fn what_is_said_again_is_described_once() {
        fn told<T: Serialize>(message: &T) -> Arc<Value> {
            describe(message, &codec::encode(message)).expect("somebody listens")
        }
        let run = Run::simulated(1).trace(|_: &Event| {});
        let outcome = run.run(|| {
            let first = told(&Ask { term: 1 });
            assert!(Arc::ptr_eq(&first, &told(&Ask { term: 1 })));
            assert_eq!(*told(&Ask { term: 2 }), Value::of(&Ask { term: 2 }));
            // This message has another type, but the same bytes.
            assert_eq!(*told(&Other { index: 1 }), Value::of(&Other { index: 1 }));
            (0..20).for_each(|index| drop(told(&Other { index })));
            assert_eq!(*told(&Ask { term: 1 }), *first);
        });
        assert_eq!(outcome.result.map_err(|failure| failure.message), Ok(()));
    }
}
