//! A call between two servers, or of a client, and the words for it.

use super::logs::Entries;
use super::{Kind, Message};
use crate::names::name;
use crate::reading::{Part, Place};
use labrpc::time::Duration;

/// A call that was made.
pub struct Call {
    pub message: Message,
    pub kind: Kind,
    pub term: Option<u64>,
    pub what: Asked,
    /// What the request says: "sends S1 entry 3, ..".
    pub words: String,
    /// What the request is, in a few words: "entry 3".
    pub about: String,
    /// Whether it repeats a request that is still unanswered.
    pub repeats: bool,
    pub indices: Option<(u64, u64)>,
    pub idle: bool,
    pub made: Duration,
    pub answered: Option<Duration>,
    /// Whether the receiver said yes, and whether that was read.
    pub yes: Option<bool>,
}

/// What the call asks, as far as it changes something.
pub enum Asked {
    Vote { last: Option<Place> },
    Append { sent: Option<Entries>, commit: Option<u64> },
    Install { last: Option<Place>, whole: bool },
    Other,
}

impl Call {
    /// Who makes it.
    pub fn caller(&self) -> String {
        match (self.message.from, &self.message.client) {
            (Some(from), _) => name(from).to_string(),
            (None, Some(client)) => client.clone(),
            (None, None) => "a client".into(),
        }
    }

    /// The end on which it is made.
    pub fn end(&self) -> String {
        format!("{}->{}", self.caller(), name(self.message.to))
    }

    /// Which kind of reply it gets.
    pub fn part(&self) -> Option<Part> {
        match self.what {
            Asked::Vote { .. } => Some(Part::VoteReply),
            Asked::Append { .. } => Some(Part::AppendReply),
            Asked::Install { .. } => Some(Part::InstallReply),
            Asked::Other => None,
        }
    }
}

pub fn span(sent: &Entries) -> Option<(u64, u64)> {
    (!sent.entries.is_empty()).then(|| (sent.prev.index + 1, sent.last()))
}

pub fn in_term(term: Option<u64>) -> String {
    term.map_or(String::new(), |term| format!(" in term {term}"))
}

pub fn ends_with(last: Option<Place>) -> String {
    match last {
        None => String::new(),
        Some(Place { index: 0, .. }) => ", its log is empty".into(),
        Some(last) => format!(", its log ends with {last}"),
    }
}

pub fn upto(sent: Option<&Entries>) -> String {
    sent.map_or(String::new(), |sent| format!(" up to index {}", sent.last()))
}

pub fn after(sent: Option<&Entries>) -> String {
    match sent {
        Some(sent) if sent.prev.index > 0 => format!(" after {}", sent.prev),
        _ => String::new(),
    }
}
