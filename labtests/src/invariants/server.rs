//! What one server was sent, and what it has promised: by a vote, by an acknowledgement, by a term that it named.
//! A promise also binds the server after a restart.

use super::history::History;
use super::recent_elections::Lately;
use crate::reading::Place;
use std::collections::{BTreeMap, BTreeSet};

/// See the [module](self).
#[derive(Default)]
pub struct Server {
    /// Which incarnation this is, from 1.
    pub incarnation: u64,
    /// Whether it is running.
    pub alive: bool,
    /// The highest term that it has named, in a request or a reply.
    pub term: u64,
    /// The same for its earlier incarnations.
    pub term_of_earlier_lives: u64,
    /// The server that it voted for, by term.
    pub votes: BTreeMap<u64, usize>,
    /// The candidates that got a reply that can't be read, by term: the reply may be its vote.
    pub perhaps: BTreeSet<(u64, usize)>,
    /// The entries that its log certainly has.
    pub kept: Kept,
    /// The entries that it was ever sent, and how many saves it had made when each one first arrived.
    pub given: BTreeMap<Place, u64>,
    /// The requests for votes that it got, by term and candidate, and how many saves it had made when each one first arrived.
    pub asked: BTreeMap<(u64, usize), u64>,
    /// The highest index that its own snapshot may cover.
    pub snapshot: u64,
    /// How many saves it has made.
    pub saves: u64,
    /// The term and vote that it saved last, if they can be read.
    pub saved: Option<SavedVote>,
    /// Requests that are in its handlers, and looks of the tester: for both, what its log kept meanwhile is noted.
    open: Vec<Open>,
    /// The highest commit index that it has shown in this incarnation.
    pub commit_index: u64,
    /// When it last became a candidate, or had a reason to wait.
    pub(super) lately: Lately,
}

/// See [`Server::saved`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedVote {
    /// currentTerm.
    pub term: u64,
    /// votedFor; `None` if it can't be read.
    pub vote: Option<Option<u64>>,
}

/// A server's log has `last` and all entries before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The term of the leader to which the server said so.
    pub term: u64,
    /// See [`Kept`].
    pub last: Place,
}

/// A request between its delivery and its reply. At which moment in between the handler did its work is unknown.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// The number of the call.
    call: u64,
    /// How many copies of it are in handlers.
    copies: u32,
    /// [`Server::term`] when the request arrived.
    pub term: u64,
    /// [`Server::commit_index`] when the request arrived.
    pub commit_index: u64,
    /// The shortest certain log of the server since the request arrived, by its last entry.
    pub kept: Place,
    /// If the request may cut the log: the term of its leader, and the leader's log as far as the request shows it.
    cuts: Option<(u64, Place)>,
}

impl Server {
    /// It has named `term`.
    pub fn speaks_of(&mut self, term: u64) {
        self.term = self.term.max(term);
    }

    /// It starts.
    pub fn begin_incarnation(&mut self) {
        self.incarnation += 1;
        self.alive = true;
        self.term_of_earlier_lives = self.term;
        self.commit_index = 0;
    }

    /// A different machine takes its place, which was sent nothing and has promised nothing. The incarnation count continues.
    pub fn forget(&mut self) {
        *self = Server { incarnation: self.incarnation, ..Server::default() };
    }

    /// It has crashed, and its handlers with it.
    pub fn end_incarnation(&mut self) {
        self.alive = false;
        self.open.clear();
    }

    /// A request arrives at a handler. If a leader sent it, it may cut off entries that conflict with the leader's log.
    pub fn open(&mut self, call: u64, cuts: Option<(u64, Place)>, history: &History) {
        if let Some((term, path)) = cuts
            && term >= self.kept.term
        {
            let common = |last: Place| match history.holds(last, path) {
                Some(true) => last,
                _ => history.common(last, path),
            };
            self.kept.last = common(self.kept.last);
            for open in &mut self.open {
                open.kept = common(open.kept);
            }
        }
        match self.open.iter_mut().find(|open| open.call == call) {
            // It is unknown which copy a reply belongs to, so a reply is checked against the state when the first copy arrived.
            Some(open) => open.copies += 1,
            None => {
                let (term, commit_index, kept) = (self.term, self.commit_index, self.kept.last);
                self.open.push(Open { call, copies: 1, term, commit_index, kept, cuts });
            }
        }
    }

    /// A handler has done its work. `None`: the handler belonged to an earlier incarnation.
    pub fn close(&mut self, call: u64) -> Option<Open> {
        let at = self.open.iter().position(|open| open.call == call)?;
        let open = self.open[at];
        self.open[at].copies -= 1;
        if self.open[at].copies == 0 {
            self.open.swap_remove(at);
        }
        Some(open)
    }

    /// It tells the leader of `term` that its log has `last` and all entries before it.
    pub fn keeps(&mut self, term: u64, last: Place, history: &History) {
        if term < self.kept.term {
            return; // this is older than what is known
        }
        if history.holds(self.kept.last, last) != Some(true) {
            self.kept.last = last;
        }
        self.kept.term = term;
        // A later leader may have cut the log since then.
        for (later, path) in self.open.iter().filter_map(|open| open.cuts) {
            if later > term && history.holds(self.kept.last, path) != Some(true) {
                self.kept.last = history.common(self.kept.last, path);
            }
        }
    }

    /// It has heard the leader of `term`, but did not say that its log agrees.
    pub fn heard(&mut self, term: u64) {
        self.kept.term = self.kept.term.max(term);
    }
}
