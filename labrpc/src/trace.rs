//! What happened, when and where: events written by the network, the persisters and the tester.
//!
//! User code writes none (it may add a [`note`]), so the trace tells of anybody's Raft. Nobody pays for events
//! that nobody listens to.

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
    /// When, on the run's own clock.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum What {
    /// A call was made. The other events of the same call bear its number.
    Called {
        /// Numbers calls from 1.
        call: u64,
        /// The end it was made on, such as `S0->S1`.
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
    /// The handler has answered, whether its caller still waits for that or not.
    Answered {
        /// Which call.
        call: u64,
        /// See [`What::Called`].
        end: Arc<str>,
        /// What it answered.
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
        /// Why, in the network's own knowledge.
        why: &'static str,
    },
    /// A server has saved something.
    Saved {
        /// Whose persister.
        who: Arc<str>,
        /// State, record or snapshot.
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
    /// A line of the crate `log`, where the run [traces](crate::run::Logs::Traced) them.
    Logged {
        /// Which thread.
        who: String,
        /// How important it is, and its text.
        line: String,
    },
    /// A note of user code.
    Note {
        /// Which thread.
        who: String,
        /// Its text.
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

/// Whoever listens to a run's events.
pub trait Sink: Send + 'static {
    /// Takes an event. It may be called from any thread of the run, one at a time, and must not wait.
    fn event(&mut self, event: &Event);

    /// Whether it reads what is written for people: what the tester does, and what services are given. Otherwise that is left empty, for
    /// it takes time.
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
    /// Asked often, so it is no lock.
    listening: AtomicBool,
    /// Whether the sink reads what is written for people.
    words: bool,
    /// How many networks have a rule, which sees messages described.
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

    /// Whether somebody listens, or a rule looks at messages.
    fn wants_messages(&self) -> bool {
        self.listening() || self.rules.load(Ordering::Relaxed) > 0
    }

    /// What happens from now on concerns nobody.
    pub fn mute(&self) {
        self.listening.store(false, Ordering::Relaxed);
    }

    pub fn close(&self) {
        self.sink.lock().take();
    }
}

/// Whether somebody listens to the events of the current thread's run.
pub fn listening() -> bool {
    run::with_here(|here| here.world.trace.listening()).unwrap_or(false)
}

/// Writes an event, made only if somebody listens.
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

/// Writes an event that is written for people.
fn emit_words(words: impl FnOnce() -> String, what: impl FnOnce(String) -> What) {
    let read = run::with_here(|here| here.world.trace.words) == Some(true);
    emit(|| what(if read { words() } else { String::new() }));
}

/// Writes an event of the tester: what it does to the cluster, what it checks.
pub fn tester(text: impl FnOnce() -> String) {
    emit_words(text, What::Tester);
}

/// Ends the trace: what happens from now on, while a test clears up, concerns nobody.
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

/// Describes a message, which is encoded as `bytes`, if somebody listens, or if a rule of the network is going to look at it.
pub(crate) fn describe<T: Serialize + ?Sized>(message: &T, bytes: &[u8]) -> Option<Arc<Value>> {
    let here = run::here().filter(|here| here.world.trace.wants_messages())?;
    let lately = &here.world.trace.lately;
    let kind = std::any::type_name::<T>();
    let known = lately.lock().find(kind, bytes);
    // Without the lock: how a value is serialized is its own affair.
    Some(known.unwrap_or_else(|| {
        let value = Arc::new(Value::of(message));
        lately.lock().add(kind, bytes, &value);
        value
    }))
}

/// The messages that were described last. Most are said more than once: to every follower, and in each heartbeat.
#[derive(Default)]
struct Lately(VecDeque<Said>);

/// A message. What is of one type and encoded as the same bytes is the same.
struct Said {
    kind: &'static str,
    bytes: Vec<u8>,
    value: Arc<Value>,
}

impl Lately {
    /// How many are kept.
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
            // Of another type, though its bytes are the same.
            assert_eq!(*told(&Other { index: 1 }), Value::of(&Other { index: 1 }));
            (0..20).for_each(|index| drop(told(&Other { index })));
            assert_eq!(*told(&Ask { term: 1 }), *first);
        });
        assert_eq!(outcome.result.map_err(|failure| failure.message), Ok(()));
    }
}
