//! Reads the messages and saved values of an unknown Raft as those of the paper, by the names of their fields.
//!
//! The suites' sharpest checks rest on what servers say in messages, but no Raft has to use the paper's words. So every fact has
//! one of three values: true, false, or unknown. A fact that could not be read is unknown, and an unknown fact never accuses a
//! server: a check is made only if all facts that it needs are known.
//!
//! - [`vocabulary`] has the words: the fields of Figure 2 and Figure 13 with the spellings that people use, and what a user
//!   [declares](Names).
//! - [`fields`] finds these fields in a message, also in nested structs.
//! - [`called`] decides by the names of a call which kind of call it is.
//! - [`message`] has what a message says once its fields are known: [`Ask`], [`Reply`], [`Saved`].
//! - [`study`] checks a whole run for contradictions, because a known word may mean something else in this Raft. A fact that
//!   contradicts what is certain is [doubted](Fact), and a doubted fact counts as unknown.

mod called;
mod fields;
mod message;
mod renamed;
mod saved;
mod study;
mod vocabulary;

pub use fields::Fields;
pub use message::{Ask, Logs, Place, Reply, Sent};
pub use renamed::Renamed;
pub use saved::Saved;
pub use study::{CONTENTS, Doubts, Evidence, NUMBERING, Study, command_of};
pub use vocabulary::{Names, Word};

use labrpc::describe::Value;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The kind of message, or other place, in which a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// The arguments of RequestVote.
    Vote,
    /// The reply to RequestVote.
    VoteReply,
    /// The arguments of AppendEntries.
    Append,
    /// The reply to AppendEntries.
    AppendReply,
    /// The arguments of InstallSnapshot.
    Install,
    /// The reply to InstallSnapshot.
    InstallReply,
    /// What a server saves.
    Saved,
    /// What `start()` and the apply channel say, in comparison with messages.
    Service,
}

impl Part {
    fn is_reply(self) -> bool {
        matches!(self, Part::VoteReply | Part::AppendReply | Part::InstallReply)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Vote => "requests for votes",
            Part::VoteReply => "replies to requests for votes",
            Part::Append => "AppendEntries",
            Part::AppendReply => "replies to AppendEntries",
            Part::Install => "InstallSnapshot",
            Part::InstallReply => "replies to InstallSnapshot",
            Part::Saved => "saved values",
            Part::Service => "start() and the apply channel",
        })
    }
}

/// Something that messages may say: a word, and the kind of message in which it stands.
pub type Fact = (Part, Word);

/// How the messages of a run are read. Clones are cheap.
#[derive(Clone, Default)]
pub struct Reading {
    names: Names,
    doubts: Arc<BTreeMap<Fact, String>>,
    disguise: Option<Disguise>,
    learnt: Arc<Mutex<BTreeMap<usize, Evidence>>>,
    met: called::Met,
}

/// Replaces a value before it is read. Returns the new method name and value; `None`: nothing changes.
pub type Disguise = Arc<dyn Fn(&Spoken<'_>) -> Option<(String, Value)> + Send + Sync>;

/// A value before it is read.
#[derive(Clone, Copy, Debug)]
pub struct Spoken<'a> {
    /// The end, such as `S0->S1`; for a saved value, the server.
    pub who: &'a str,
    /// The method of the call; for a saved value, what is saved.
    pub method: &'a str,
    /// Whether the value is arguments, a reply, or a saved value.
    pub leg: Leg,
    /// The value.
    pub value: &'a Value,
}

/// Which kind of value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// The arguments of a call.
    Call,
    /// A reply.
    Reply,
    /// A saved value.
    Saved,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("names", &self.names).field("doubts", &self.doubts).finish()
    }
}

impl Reading {
    /// Reads by the usual words and these names.
    pub fn new(names: Names) -> Reading {
        Reading { names, ..Reading::default() }
    }

    /// Reads as if the Raft used other words. This is for tests of the suites: the runs stay the same, but what the tester can read
    /// of them changes.
    pub fn disguised(self, disguise: Disguise) -> Reading {
        Reading { disguise: Some(disguise), ..self }
    }

    /// The same reading for another Raft, of which nothing was learned yet.
    pub fn afresh(&self) -> Reading {
        Reading { learnt: Arc::default(), ..self.clone() }
    }

    /// The evidence of this number of runs. `have_runs` makes these runs, only once for all clones.
    pub(crate) fn learnt(&self, runs: usize, have_runs: impl FnOnce() -> Evidence) -> Evidence {
        self.learnt.lock().entry(runs).or_insert_with(have_runs).clone()
    }

    /// The same reading, but these facts are not believed, for the given reasons.
    pub fn doubting(&self, doubts: BTreeMap<Fact, String>) -> Reading {
        let mut all = (*self.doubts).clone();
        all.extend(doubts);
        Reading { doubts: Arc::new(all), ..self.clone() }
    }

    /// The facts that are not believed, and why.
    pub fn doubts(&self) -> &BTreeMap<Fact, String> {
        &self.doubts
    }

    /// Whether a fact may be believed.
    pub fn trusts(&self, fact: Fact) -> bool {
        self.doubts.is_empty() || !self.doubts.contains_key(&fact)
    }

    /// The declared names.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// What the names of a call say about it.
    fn called(&self, method: &str, title: &str) -> called::Called {
        self.met.called(method, title)
    }

    /// Reads what a call asks and passes it to `f`, together with the value that it was read from.
    pub fn ask<R>(
        &self,
        who: &str,
        method: &str,
        args: &Value,
        f: impl FnOnce(&Ask<'_>, &Value) -> R,
    ) -> R {
        match self.disguised_as(Spoken { who, method, leg: Leg::Call, value: args }) {
            None => f(&Ask::read(self, method, args), args),
            Some((method, args)) => f(&Ask::read(self, &method, &args), &args),
        }
    }

    /// What the reply to a call says.
    pub fn reply(&self, who: &str, method: &str, part: Part, reply: &Value) -> Reply {
        let other = self.disguised_as(Spoken { who, method, leg: Leg::Reply, value: reply });
        Reply::read(self, part, other.as_ref().map_or(reply, |(_, value)| value))
    }

    /// What a saved value says about term and vote. `what` is the kind of value: state or record.
    pub fn saved(&self, who: &str, what: &str, value: &Value) -> Saved {
        let other = self.disguised_as(Spoken { who, method: what, leg: Leg::Saved, value });
        Saved::read(self, other.as_ref().map_or(value, |(_, value)| value))
    }

    /// How many items the log in a saved state has. Some Rafts also save an entry that stands for the snapshot.
    pub fn saved_log(&self, who: &str, what: &str, value: &Value) -> Option<u64> {
        let other = self.disguised_as(Spoken { who, method: what, leg: Leg::Saved, value });
        saved::log_length(self, other.as_ref().map_or(value, |(_, value)| value))
    }

    /// The first and the last index of the entries that a saved value adds to a log, if it is a record of nothing else.
    pub fn saved_entries(&self, who: &str, what: &str, value: &Value) -> Option<(u64, u64)> {
        let other = self.disguised_as(Spoken { who, method: what, leg: Leg::Saved, value });
        saved::entries(self, other.as_ref().map_or(value, |(_, value)| value))
    }

    fn disguised_as(&self, spoken: Spoken<'_>) -> Option<(String, Value)> {
        self.disguise.as_ref().and_then(|disguise| disguise(&spoken))
    }
}
