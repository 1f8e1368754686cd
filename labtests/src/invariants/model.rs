//! Everything that was seen of a run. Each new event is checked against it: what servers [request](super::requests) and
//! [reply](super::replies), what they treat as [committed](super::committed), and what they [show](super::observations).

use super::coverage::Known;
use super::forget::Forgotten;
use super::history::History;
use super::leadership::Leadership;
use super::server::{SavedVote, Server};
use crate::reading::{CONTENTS, NUMBERING, Part, Place, Reading, Saved, Word};
use labrpc::describe::Value;
use labrpc::time::Duration;
use labrpc::trace::What;
use std::collections::BTreeMap;

/// The error says which rule was broken, by which server, and how.
pub type Verdict = Result<(), String>;

/// Everything that was seen of a run.
pub struct Model {
    pub(super) servers: Vec<Server>,
    pub(super) history: History,
    pub(super) leaderships: BTreeMap<u64, Leadership>,
    /// The last log entry that each candidate named, by term and candidate.
    pub(super) claims: BTreeMap<(u64, usize), Place>,
    /// The last committed entry, by the term of the leader that committed it.
    pub(super) commits: BTreeMap<u64, Place>,
    pub(super) calls: BTreeMap<u64, Call>,
    /// Whether the members may change, so that not all servers are always members.
    pub members_vary: bool,
    /// When something was last seen, by the run's clock.
    pub(super) now: Duration,
    /// Whether it is a mistake not to save. In 2A and 2B it is not, because many Rafts pass them before they save anything.
    pub saving: bool,
    pub(super) seen: Seen,
    /// Which facts could not be read, and so are unknown.
    pub(super) known: Known,
    pub(super) forgotten: Forgotten,
    pub(super) reading: Reading,
}

/// Which kinds of facts could be read at all.
#[derive(Default)]
pub(super) struct Seen {
    pub votes: bool,
    pub appends: bool,
    pub inspections: bool,
    /// Whether a server other than the leader has applied an entry of that leader.
    pub replicated: bool,
    /// Whether the tester ever looked into a server.
    pub looks: bool,
    /// Whether a follower ever said yes to a message without entries whose previous index is above 0.
    pub heartbeats_agreed_to: bool,
}

/// The parts of a call that matter to its receiver.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub from: usize,
    pub to: usize,
    pub method: &'static str,
    /// `None`: unknown.
    pub term: Option<u64>,
    pub what: Asked,
    /// When it was made.
    pub made: Duration,
    /// Which kind of message its reply is. This is known even if the call could not be read.
    pub reply: Part,
}

/// What a call asks. A log is identified by its last entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Vote {
        last: Option<Place>,
    },
    Append {
        prev: Place,
        last: Place,
    },
    /// A heartbeat that says nothing about logs, or a piece of a snapshot.
    Nothing,
    Install {
        last: Place,
    },
    /// It may be anything.
    Unknown,
}

impl Model {
    /// A model for this number of servers, before any of them has started.
    pub fn new(servers: usize, saving: bool, reading: Reading) -> Model {
        Model {
            servers: (0..servers).map(|_| Server::default()).collect(),
            history: History::new(reading.trusts(CONTENTS)),
            leaderships: BTreeMap::new(),
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

    /// A server starts or restarts.
    pub fn begins_incarnation(&mut self, i: usize) {
        self.servers[i].begin_incarnation();
        self.servers[i].lately.waits_since = self.now;
    }

    /// A server has crashed.
    pub fn ends_incarnation(&mut self, i: usize) {
        self.servers[i].end_incarnation();
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

    /// Notes which of the declared names this message has.
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
                server.saved = None; // the unread value may have a newer term or vote
                self.known.miss((Part::Saved, Word::Term), what, value);
            }
        }
    }

    /// Whether the service counts indices as messages do. A Raft may hide its own entries from its service.
    pub(super) fn numbers_agree(&self) -> bool {
        self.reading.trusts(NUMBERING)
    }
}
