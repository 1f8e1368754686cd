//! What was seen of a run. Each further thing is held against it: what servers [say](super::said) and
//! [promise](super::promised), what they take for [committed](super::committed), and what they [show](super::asked).

use super::coverage::Known;
use super::forget::Forgotten;
use super::history::History;
use super::reign::Reign;
use super::server::{SavedVote, Server};
use crate::reading::{CONTENTS, NUMBERING, Part, Place, Reading, Saved, Word};
use labrpc::describe::Value;
use labrpc::time::Duration;
use labrpc::trace::What;
use std::collections::BTreeMap;

/// A rule was broken: which, by whom, how.
pub type Verdict = Result<(), String>;

/// Everything that was seen of a run.
pub struct Model {
    pub(super) servers: Vec<Server>,
    pub(super) history: History,
    pub(super) reigns: BTreeMap<u64, Reign>,
    /// Where candidates said that their logs end, by term and candidate.
    pub(super) claims: BTreeMap<(u64, usize), Place>,
    /// How far the log was committed, by the term of the leader that committed it.
    pub(super) commits: BTreeMap<u64, Place>,
    pub(super) calls: BTreeMap<u64, Call>,
    /// Whether not all servers are members all the time.
    pub members_vary: bool,
    /// By the run's clock, when something was seen last.
    pub(super) now: Duration,
    /// Whether what isn't saved is a mistake: not in 2A and 2B, which many pass before they save anything.
    pub saving: bool,
    pub(super) seen: Seen,
    /// What could not be read of it, and so is unknown.
    pub(super) known: Known,
    pub(super) forgotten: Forgotten,
    pub(super) reading: Reading,
}

/// Which kinds of things could be read at all.
#[derive(Default)]
pub(super) struct Seen {
    pub votes: bool,
    pub appends: bool,
    pub inspections: bool,
    /// Whether a command has reached another server than its leader.
    pub replicated: bool,
    /// Whether a server was ever looked into.
    pub looks: bool,
    /// Whether a follower said yes to a message without entries that follows one.
    pub heartbeats_agreed_to: bool,
}

/// A call, as far as it matters to its receiver.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub from: usize,
    pub to: usize,
    pub method: &'static str,
    /// `None`: it may be any.
    pub term: Option<u64>,
    pub what: Asked,
    /// When it was made.
    pub made: Duration,
    /// Where its reply's words stand, whatever could be read of the call.
    pub reply: Part,
}

/// What it asks. Of entries, the last one tells the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Vote {
        last: Option<Place>,
    },
    Append {
        prev: Place,
        last: Place,
    },
    /// A heartbeat that says nothing of logs, or a piece of a snapshot.
    Nothing,
    Install {
        last: Place,
    },
    /// It may be anything.
    Unknown,
}

impl Model {
    /// Of so many servers, before any has started.
    pub fn new(servers: usize, saving: bool, reading: Reading) -> Model {
        Model {
            servers: (0..servers).map(|_| Server::default()).collect(),
            history: History::new(reading.trusts(CONTENTS)),
            reigns: BTreeMap::new(),
            claims: BTreeMap::new(),
            commits: BTreeMap::new(),
            calls: BTreeMap::new(),
            members_vary: false,
            now: Duration::ZERO,
            saving,
            seen: Seen::default(),
            known: Known::default(),
            forgotten: Forgotten::default(),
            reading,
        }
    }

    pub(super) fn quorum(&self) -> usize {
        self.servers.len() / 2 + 1
    }

    /// A server starts, or starts again.
    pub fn begins_life(&mut self, i: usize) {
        self.servers[i].begin_life();
        self.servers[i].lately.waits_since = self.now;
    }

    /// A server has crashed.
    pub fn ends_life(&mut self, i: usize) {
        self.servers[i].end_life();
    }

    /// Something happened on the network or on a disk.
    pub fn event(&mut self, at: Duration, what: &What) -> Verdict {
        self.now = at;
        self.forget_the_old();
        self.note_names(what);
        match what {
            What::Called { call, end, method, args } => self.called(*call, end, method, args),
            What::Delivered { call, .. } => {
                self.delivered(*call);
                Ok(())
            }
            What::Answered { call, end, reply } => self.answered(*call, end, reply),
            What::Saved { who, what, value } => {
                self.saved(who, what, value);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Which of the declared names there are.
    fn note_names(&mut self, what: &What) {
        let names = self.reading.names();
        if names.is_empty() {
            return;
        }
        match what {
            What::Called { method, args, .. } => names.meet(method, args, &mut self.known.met),
            What::Answered { reply, .. } => names.meet("", reply, &mut self.known.met),
            What::Saved { value, .. } => names.meet("", value, &mut self.known.met),
            _ => {}
        }
    }

    fn saved(&mut self, who: &str, what: &str, value: &Value) {
        let number = who.strip_prefix('S').and_then(|number| number.parse::<usize>().ok());
        let Some(server) = number.and_then(|i| self.servers.get_mut(i)) else { return };
        server.saves += 1;
        match self.reading.saved(who, what, value) {
            Saved::Read(term, vote) => {
                server.saved = Some(SavedVote { term, vote });
                if vote.is_none() {
                    self.known.miss((Part::Saved, Word::VotedFor), what, value);
                }
            }
            Saved::Silent => {}
            Saved::Unread => {
                server.saved = None; // it may be a newer term or vote
                self.known.miss((Part::Saved, Word::Term), what, value);
            }
        }
    }

    /// Whether the service's indices are those of messages. A Raft may hide entries of its own from its service.
    pub(super) fn numbers_agree(&self) -> bool {
        self.reading.trusts(NUMBERING)
    }
}
