//! A stranger's messages and saved values, read as the paper's: by what their fields are called.
//!
//! The suites' sharpest checks rest on what servers say, and nobody has to say it in the paper's words. So every fact that is
//! read has three values: seen, seen not to be, or unknown. What could not be read is unknown, and the unknown accuses nobody:
//! a check needs each fact that it rests on.
//!
//! - [`vocabulary`] has the words: the fields of Figure 2 and Figure 13 with the spellings that people use, and what a user
//!   [declares](Names).
//! - [`fields`] finds them in a message, also in nested structs.
//! - [`called`] is what kind of call one is by its names.
//! - [`message`] is what a message then says: [`Ask`], [`Reply`], [`Saved`].
//! - [`study`] holds a whole run against itself: a word that is known may mean something else here. A fact that contradicts
//!   what is certain is [doubted](Fact), and then it is unknown, too.

mod called;
mod fields;
mod message;
mod renamed;
mod study;
mod vocabulary;

pub use fields::Fields;
pub use message::{Ask, Logs, Place, Reply, Saved, Sent};
pub use renamed::Renamed;
pub use study::{CONTENTS, Doubts, Evidence, NUMBERING, Study, command_of};
pub use vocabulary::{Names, Word};

use labrpc::describe::Value;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// The arguments of RequestVote.
    Vote,
    /// Its reply.
    VoteReply,
    /// The arguments of AppendEntries.
    Append,
    /// Its reply.
    AppendReply,
    /// The arguments of InstallSnapshot.
    Install,
    /// Its reply.
    InstallReply,
    /// What a server saves.
    Saved,
    /// What `start()` and the apply channel say, compared with messages.
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

/// Something that messages say, if it can be read: a word at its place.
pub type Fact = (Part, Word);

/// How messages are read in a run. Clones are cheap.
#[derive(Clone, Default)]
pub struct Reading {
    names: Names,
    doubts: Arc<BTreeMap<Fact, String>>,
    disguise: Option<Disguise>,
    learnt: Arc<Mutex<BTreeMap<usize, Evidence>>>,
    met: called::Met,
}

/// Turns what was said into what is read: a method's name and a value. `None`: nothing changes.
pub type Disguise = Arc<dyn Fn(&Spoken<'_>) -> Option<(String, Value)> + Send + Sync>;

/// A value on its way to its reader.
#[derive(Clone, Copy, Debug)]
pub struct Spoken<'a> {
    /// On which end, such as `S0->S1`; of a saved value, whose it is.
    pub who: &'a str,
    /// The call's method, or what is saved.
    pub method: &'a str,
    /// Arguments, reply, or saved.
    pub leg: Leg,
    /// The value.
    pub value: &'a Value,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// The arguments of a call.
    Call,
    /// A reply.
    Reply,
    /// Something saved.
    Saved,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("names", &self.names).field("doubts", &self.doubts).finish()
    }
}

impl Reading {
    /// By the usual words and these.
    pub fn new(names: Names) -> Reading {
        Reading { names, ..Reading::default() }
    }

    /// The same as if the Raft had said everything in other words. For tests of the suites: its runs stay the same, and what
    /// the tester makes of them may not.
    pub fn disguised(self, disguise: Disguise) -> Reading {
        Reading { disguise: Some(disguise), ..self }
    }

    /// The same for another Raft, of which nothing was learnt yet.
    pub fn afresh(&self) -> Reading {
        Reading { learnt: Arc::default(), ..self.clone() }
    }

    /// What so many runs say. They are had once, by `have_runs`, for all clones.
    pub(crate) fn learnt(&self, runs: usize, have_runs: impl FnOnce() -> Evidence) -> Evidence {
        self.learnt.lock().entry(runs).or_insert_with(have_runs).clone()
    }

    /// The same, but these facts are not believed, for the reasons given.
    pub fn doubting(&self, doubts: BTreeMap<Fact, String>) -> Reading {
        let mut all = (*self.doubts).clone();
        all.extend(doubts);
        Reading { doubts: Arc::new(all), ..self.clone() }
    }

    /// What is not believed, and why.
    pub fn doubts(&self) -> &BTreeMap<Fact, String> {
        &self.doubts
    }

    /// Whether a fact may be believed.
    pub fn trusts(&self, fact: Fact) -> bool {
        self.doubts.is_empty() || !self.doubts.contains_key(&fact)
    }

    /// What was declared.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// What its names say of a call.
    fn called(&self, method: &str, title: &str) -> called::Called {
        self.met.called(method, title)
    }

    /// What a call asks. `f` gets it as long as there is the value that it is read from.
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

    /// What a saved value says of term and vote; `what` it is: state or record.
    pub fn saved(&self, who: &str, what: &str, value: &Value) -> Saved {
        let other = self.disguised_as(Spoken { who, method: what, leg: Leg::Saved, value });
        Saved::read(self, other.as_ref().map_or(value, |(_, value)| value))
    }

    fn disguised_as(&self, spoken: Spoken<'_>) -> Option<(String, Value)> {
        self.disguise.as_ref().and_then(|disguise| disguise(&spoken))
    }
}
