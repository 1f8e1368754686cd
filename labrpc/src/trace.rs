//! What happened, when and where: events that the network, the persisters and the tester write.
//!
//! User code need not write any (it may add a [`note`]), so the trace works with any Raft. Events cost nothing if there is no
//! listener.

use crate::describe::Value;
use crate::run;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it happened, on the run's own clock.
    pub at: Duration,
    /// What happened.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum What {
    /// A call was made. The other events of the same call have the same number.
    Called {
        /// The number of the call. The first call is 1.
        call: u64,
        /// The end on which the call was made, such as `S0->S1`.
        end: Arc<str>,
        /// `Service.Method`.
        method: &'static str,
        /// The arguments.
        args: Arc<Value>,
    },
    /// A call reached the server and its handler starts.
    Delivered {
        /// Which call.
        call: u64,
        /// See [`What::Called`].
        end: Arc<str>,
        /// See [`What::Called`].
        method: &'static str,
    },
    /// The handler has replied. Its caller may have stopped waiting for the reply.
    Answered {
        /// Which call.
        call: u64,
        /// See [`What::Called`].
        end: Arc<str>,
        /// The reply.
        reply: Arc<Value>,
    },
    /// The reply is back at the caller.
    Returned {
        /// Which call.
        call: u64,
        /// See [`What::Called`].
        end: Arc<str>,
    },
    /// There will be no reply.
    Lost {
        /// Which call.
        call: u64,
        /// See [`What::Called`].
        end: Arc<str>,
        /// Why, as the network knows it.
        why: &'static str,
    },
    /// A server has saved something.
    Saved {
        /// The owner of the persister.
        who: Arc<str>,
        /// Whether it is the state, a record, or the state with a snapshot.
        what: &'static str,
        /// What was saved.
        value: Value,
    },
    /// A server's service got a message from the apply channel.
    Applied {
        /// Which server.
        who: Arc<str>,
        /// The message, in words.
        what: String,
    },
    /// The tester did something, or found something.
    Tester(String),
    /// A line of the crate `log`, if the run [traces](crate::run::Logs::Traced) such lines.
    Logged {
        /// Which thread.
        who: String,
        /// The line's level and text.
        line: String,
    },
    /// A [`note`] of user code.
    Note {
        /// Which thread.
        who: String,
        /// The text of the note.
        text: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>14.6} ms  ", self.at.as_secs_f64() * 1e3)?;
        match &self.what {
            What::Called { call, end, method, args } => {
                write!(f, "{end:<10} #{call} calls {method} {args}")
            }
            What::Delivered { call, end, .. } => write!(f, "{end:<10} #{call} arrives"),
            What::Answered { call, end, reply } => {
                write!(f, "{end:<10} #{call} is answered {reply}")
            }
            What::Returned { call, end } => write!(f, "{end:<10} #{call} returns"),
            What::Lost { call, end, why } => write!(f, "{end:<10} #{call} is lost: {why}"),
            What::Saved { who, what, value } => write!(f, "{who:<10} saves {what} {value}"),
            What::Applied { who, what } => write!(f, "{who:<10} applies {what}"),
            What::Tester(text) => write!(f, "{:<10} {text}", "tester"),
            What::Logged { who, line } => write!(f, "{who:<10} {line}"),
            What::Note { who, text } => write!(f, "{who:<10} notes {text}"),
        }
    }
}

/// A listener to a run's events.
pub trait Sink: Send + 'static {
    /// Receives an event. Any thread of the run may call this, but only one at a time. This must not wait.
    fn event(&mut self, event: &Event);

    /// Whether the sink reads the texts for people: what the tester does, and what services get from the apply channel. If not,
    /// these texts are left empty, because it takes time to make them.
    fn reads_words(&self) -> bool {
        true
    }
}

impl<F: FnMut(&Event) + Send + 'static> Sink for F {
    fn event(&mut self, event: &Event) {
        self(event);
    }
}

/// A run's trace: the sink, if there is one.
pub(crate) struct Trace {
    /// Whether events go to the sink. This is read often, so it is an atomic and not a lock.
    listening: AtomicBool,
    /// Whether the sink reads the texts for people.
    words: bool,
    /// How many networks have a rule. A rule needs messages in readable form.
    rules: AtomicUsize,
    sink: Mutex<Option<Box<dyn Sink>>>,
    lately: Mutex<Lately>,
}

impl Trace {
    pub fn new(sink: Option<Box<dyn Sink>>) -> Trace {
        let listening = AtomicBool::new(sink.is_some());
        let words = sink.as_ref().is_some_and(|sink| sink.reads_words());
        let (rules, sink, lately) = (AtomicUsize::new(0), Mutex::new(sink), Mutex::default());
        Trace { listening, words, rules, sink, lately }
    }

    fn listening(&self) -> bool {
        self.listening.load(Ordering::Relaxed)
    }

    /// Whether there is a listener, or a rule that reads messages.
    fn wants_messages(&self) -> bool {
        self.listening() || self.rules.load(Ordering::Relaxed) > 0
    }

    /// From now on no event goes to the sink.
    pub fn mute(&self) {
        self.listening.store(false, Ordering::Relaxed);
    }

    pub fn close(&self) {
        self.sink.lock().take();
    }
}

/// Whether the current thread's run has a listener to its events.
pub fn listening() -> bool {
    run::with_here(|here| here.world.trace.listening()).unwrap_or(false)
}

/// Writes an event. Calls `what` only if there is a listener.
pub(crate) fn emit(what: impl FnOnce() -> What) {
    run::with_here(|here| {
        if !here.world.trace.listening() {
            return;
        }
        let event = Event { at: here.world.now(), what: what() };
        if let Some(sink) = &mut *here.world.trace.sink.lock() {
            sink.event(&event);
        }
    });
}

/// Writes an event with a text for people.
fn emit_words(words: impl FnOnce() -> String, what: impl FnOnce(String) -> What) {
    let read = run::with_here(|here| here.world.trace.words) == Some(true);
    emit(|| what(if read { words() } else { String::new() }));
}

/// Writes an event of the tester: what it does to the cluster, what it checks.
pub fn tester(text: impl FnOnce() -> String) {
    emit_words(text, What::Tester);
}

/// Ends the trace: what happens from now on, while a test cleans up, is not part of it.
pub fn end() {
    run::with_here(|here| here.world.trace.mute());
}

/// Writes that `who`'s service got a message from the apply channel.
pub fn applied(who: &Arc<str>, what: impl FnOnce() -> String) {
    emit_words(what, |what| What::Applied { who: who.clone(), what });
}

/// Adds a note of your own to the trace; `raftlab replay` shows it among the events.
pub fn note(text: impl fmt::Display) {
    emit(|| What::Note {
        who: run::here().map_or(String::new(), |here| here.title()),
        text: text.to_string(),
    });
}

/// Writes a line of the crate `log`.
pub(crate) fn logged(line: String) {
    emit(|| What::Logged { who: run::here().map_or(String::new(), |here| here.title()), line });
}

/// Describes a message, which is encoded as `bytes`, if there is a listener or a rule of the network that reads it.
pub(crate) fn describe<T: Serialize + ?Sized>(message: &T, bytes: &[u8]) -> Option<Arc<Value>> {
    let here = run::here().filter(|here| here.world.trace.wants_messages())?;
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

/// The messages that were described last. Most messages are sent more than once: to every follower, and in each heartbeat.
#[derive(Default)]
struct Lately(VecDeque<Said>);

/// A message. Two messages are equal if they have the same type and the same encoded bytes.
struct Said {
    kind: &'static str,
    bytes: Vec<u8>,
    value: Arc<Value>,
}

impl Lately {
    /// How many messages are kept.
    const KEPT: usize = 8;

    fn find(&self, kind: &str, bytes: &[u8]) -> Option<Arc<Value>> {
        let is_it = |said: &&Said| said.bytes == bytes && said.kind == kind;
        self.0.iter().rev().find(is_it).map(|said| said.value.clone())
    }

    fn add(&mut self, kind: &'static str, bytes: &[u8], value: &Arc<Value>) {
        if self.0.len() == Lately::KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Said { kind, bytes: bytes.to_vec(), value: value.clone() });
    }
}

/// Notes that a network has a rule from now on, or no longer.
pub(crate) fn describe_for_rules(yes: bool) {
    run::with_here(|here| {
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
