//! The story of a run: what each server said, did and knew, in order.
//!
//! A [`Teller`] reads the events of a run, as the network, the persisters and the tester write them, and tells them in the words
//! of the paper. It works for anybody's Raft: it knows a server's role, term, vote, log and commit index only from what the
//! server [says](crate::reading), saves and applies. What a server never said is unknown.
//!
//! - [`Told`] is one thing that happened, with what [changed](Change) in the servers' states.
//! - [`Filter`] chooses what to show; [`columns`] shows it on a terminal, and [`json`] gives it to programs.

mod around;
pub mod book;
mod call;
pub mod columns;
mod concerns;
pub mod filter;
pub mod json;
mod legs;
mod logs;
mod reasons;
mod roles;
mod standing;
mod teller;
mod view;

pub use around::Recent;
pub use book::{Book, Contradiction, Operation};
pub use concerns::Concerns;
pub use filter::Filter;
pub use teller::Teller;
pub use view::{Change, LogChange, Role, View, Vote};

use labrpc::time::Duration;
use serde::Serialize;

/// One thing that happened in a run.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its number in the run, counted from 0.
    pub n: u64,
    /// When it happened, on the run's clock.
    pub at: Duration,
    /// What it is about.
    pub kind: Kind,
    /// What happened, in one word.
    pub what: &'static str,
    /// The server that did it, or that it was done to.
    pub server: Option<usize>,
    /// For messages: which message it is.
    pub message: Option<Message>,
    /// The term that it is about.
    pub term: Option<u64>,
    /// The log indices that it is about: the first and the last.
    pub indices: Option<(u64, u64)>,
    /// What happened, in a sentence.
    pub text: String,
    /// The message, the saved value or the like, as its Raft writes it.
    pub detail: Option<String>,
    /// Why it happened, if that could be read.
    pub why: Option<String>,
    /// Whether it belongs to a heartbeat without entries to which its receiver agreed, or the tester only asks for a state.
    pub idle: bool,
    /// Whether a reader can do without it: a message arrives soon after it was sent, or a request repeats one that is still
    /// unanswered.
    pub minor: bool,
    /// What changed in the servers' states.
    pub changes: Vec<Change>,
    /// An operation of a client that has returned.
    pub operation: Option<Box<Operation>>,
    /// Why the operations of all clients are not linearizable.
    pub contradiction: Option<Box<Contradiction>>,
}

/// A message between two servers, or between a client and a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The number of the call.
    pub call: u64,
    /// The server that made the call; `None`: a client did.
    pub from: Option<usize>,
    /// The client that made the call.
    pub client: Option<String>,
    /// The server that was called.
    pub to: usize,
    /// `Service.Method`.
    pub method: &'static str,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A request for a vote, or its reply.
    Vote,
    /// AppendEntries: entries or a heartbeat, or its reply.
    Append,
    /// A snapshot: InstallSnapshot, or a service gives one to its server.
    Snapshot,
    /// Any other message between servers.
    Message,
    /// A message or an operation of a client.
    Client,
    /// A server saves something.
    Save,
    /// A service gets something from the apply channel.
    Apply,
    /// The role or the term of a server changes.
    Role,
    /// A commit index moves.
    Commit,
    /// A crash, a restart, or a fault of the network.
    Fault,
    /// Anything else that the tester does or finds.
    Tester,
    /// A line of the log, or a note of user code.
    Log,
}

impl Told {
    /// Whether it is about this server: the server does it, sends it, or gets it.
    pub fn is_about(&self, server: usize) -> bool {
        let of_message =
            self.message.as_ref().is_some_and(|m| m.from == Some(server) || m.to == server);
        self.server == Some(server) || of_message
    }

    /// Whether it is about this log index.
    pub fn is_about_index(&self, index: u64) -> bool {
        self.indices.is_some_and(|(first, last)| (first..=last).contains(&index))
    }
}
