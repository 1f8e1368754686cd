//! Events, and the sink that a run writes them to.

use crate::describe::Value;
use parking_lot::Mutex;
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
    /// A rule of the network holds the request or the reply back. It may go on later.
    Held {
        /// Which call.
        call: u64,
        /// See [`What::Called`].
        end: Arc<str>,
    },
    /// A server's service got a message from the apply channel.
    Applied {
        /// Which server.
        who: Arc<str>,
        /// The index up to which the service has applied everything, now that it has this message; and the term of that entry.
        last: (u64, u64),
        /// The message, in words.
        what: String,
    },
    /// A client's operation on a service has returned.
    Operated(Operated),
    /// Something larger that belongs to the run, for programs, as JSON.
    Attached {
        /// What it is.
        what: &'static str,
        /// The JSON.
        data: String,
    },
    /// The tester did something, or found something.
    Tester(Deed),
    /// A line of the crate `log`, if the run [traces](crate::run::Logs::Traced) such lines.
    Logged {
        /// Which thread.
        who: String,
        /// The line's level and text.
        line: String,
    },
    /// A [`note`](crate::trace::note) of user code.
    Note {
        /// Which thread.
        who: String,
        /// The text of the note.
        text: String,
    },
}

/// An operation of a client, with its answer.
#[derive(Clone, Debug, Default)]
pub struct Operated {
    /// The number of the client.
    pub client: u64,
    /// How long it took.
    pub took: Duration,
    /// The key that it is about. Services without keys have the key "".
    pub key: String,
    /// The request, in words.
    pub operation: String,
    /// The answer, in words.
    pub answer: String,
}

/// Something that the tester did or found.
#[derive(Clone, Debug, Default)]
pub struct Deed {
    /// Which kind of deed it is.
    pub act: Act,
    /// The servers that it is about. Empty: all servers, or none in particular.
    pub who: Vec<Arc<str>>,
    /// The log entry that it is about, by index and term.
    pub entry: Option<(u64, u64)>,
    /// The deed in words.
    pub text: String,
}

/// The kinds of deeds that a reader of events may want to tell apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Act {
    /// Any other deed.
    #[default]
    Other,
    /// A server starts, or starts again.
    Start,
    /// A server has crashed.
    Crash,
    /// A server is connected with the others.
    Connect,
    /// A server is cut off from all others.
    Disconnect,
    /// Links between servers get a fault, or lose it.
    Links,
    /// A server lost everything that it had saved.
    LoseDisk,
    /// A server accepted a command as the leader of a term.
    Command,
    /// A client calls an operation of a store.
    Operation,
    /// The tester asked a server for its term and whether it leads: it leads.
    Leads,
    /// The same, but it does not lead.
    Follows,
    /// A service gives a snapshot to its server.
    Snapshot,
    /// The server has taken the snapshot that its service gave it.
    SnapshotDone,
    /// The test says what it does next.
    Caption,
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
            What::Held { call, end } => write!(f, "{end:<10} #{call} is held back"),
            What::Saved { who, what, value } => write!(f, "{who:<10} saves {what} {value}"),
            What::Applied { who, what, .. } => write!(f, "{who:<10} applies {what}"),
            What::Operated(Operated { client, operation, answer, .. }) => {
                write!(f, "{:<10} {operation}: {answer}", format!("C{client}"))
            }
            What::Attached { what, .. } => write!(f, "{:<10} has {what}", "tester"),
            What::Tester(deed) => write!(f, "{:<10} {}", "tester", deed.text),
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
    pub words: bool,
    /// How many networks have a rule. A rule needs messages in readable form.
    pub rules: AtomicUsize,
    pub sink: Mutex<Option<Box<dyn Sink>>>,
    pub lately: Mutex<Lately>,
}

impl Trace {
    pub fn new(sink: Option<Box<dyn Sink>>) -> Trace {
        let listening = AtomicBool::new(sink.is_some());
        let words = sink.as_ref().is_some_and(|sink| sink.reads_words());
        let (rules, sink, lately) = (AtomicUsize::new(0), Mutex::new(sink), Mutex::default());
        Trace { listening, words, rules, sink, lately }
    }

    pub fn listening(&self) -> bool {
        self.listening.load(Ordering::Relaxed)
    }

    /// Whether there is a listener, or a rule that reads messages.
    pub fn wants_messages(&self) -> bool {
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

/// The messages that were described last. Most messages are sent more than once: to every follower, and in each heartbeat.
#[derive(Default)]
pub(crate) struct Lately(VecDeque<Said>);

/// A message. Two messages are equal if they have the same type and the same encoded bytes.
struct Said {
    kind: &'static str,
    bytes: Vec<u8>,
    value: Arc<Value>,
}

impl Lately {
    /// How many messages are kept.
    const KEPT: usize = 8;

    pub fn find(&self, kind: &str, bytes: &[u8]) -> Option<Arc<Value>> {
        let is_it = |said: &&Said| said.bytes == bytes && said.kind == kind;
        self.0.iter().rev().find(is_it).map(|said| said.value.clone())
    }

    pub fn add(&mut self, kind: &'static str, bytes: &[u8], value: &Arc<Value>) {
        if self.0.len() == Lately::KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Said { kind, bytes: bytes.to_vec(), value: value.clone() });
    }
}
