//! What one server has been told, and what it has promised: by a vote, by an acknowledgement, by a term that it named.
//! A promise binds all its lives.

use super::history::History;
use super::lately::Lately;
use crate::reading::Place;
use std::collections::{BTreeMap, BTreeSet};

/// See the [module](self).
#[derive(Default)]
pub struct Server {
    /// Which incarnation this is, from 1.
    pub life: u64,
    /// Whether it runs.
    pub alive: bool,
    /// The highest term that it has named or answered in.
    pub term: u64,
    /// The same, of earlier lives.
    pub term_of_earlier_lives: u64,
    /// Whom it voted for, by term.
    pub votes: BTreeMap<u64, usize>,
    /// To whom it gave an answer that can't be read, by term: perhaps its vote.
    pub perhaps: BTreeSet<(u64, usize)>,
    /// What its log certainly has.
    pub kept: Kept,
    /// Which entries it was ever sent, and how often it had saved by then.
    pub given: BTreeMap<Place, u64>,
    /// Which candidates have asked it, in which terms, and how often it had saved by then.
    pub asked: BTreeMap<(u64, usize), u64>,
    /// The highest index that a snapshot of its own may cover.
    pub snapshot: u64,
    /// How often it has saved anything.
    pub saves: u64,
    /// What it saved last of term and vote, if that can be read.
    pub saved: Option<SavedVote>,
    /// Requests that are with its handlers, and whoever else wants to know what it kept all the while.
    open: Vec<Open>,
    /// The highest commit index that it has admitted to in this life.
    pub commit_index: u64,
    /// When it last stood for election, or waited.
    pub(super) lately: Lately,
}

/// See [`Server::saved`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedVote {
    /// currentTerm.
    pub term: u64,
    /// votedFor; `None`: it can't be read.
    pub vote: Option<Option<u64>>,
}

/// That a server's log has `last` and all before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The term of the leader to whom it said so.
    pub term: u64,
    /// See [`Kept`].
    pub last: Place,
}

/// A request between its delivery and its answer. When in between the handler did its work is not known.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// The number of the call.
    call: u64,
    /// How many copies of it are with handlers.
    copies: u32,
    /// See [`Server::term`], when it came.
    pub term: u64,
    /// See [`Server::commit_index`], when it came.
    pub commit_index: u64,
    /// The least that the server's log had since it came.
    pub kept: Place,
    /// If it may cut the log: the term of its leader, and the leader's log as far as it shows it.
    cuts: Option<(u64, Place)>,
}

impl Server {
    /// It has spoken of `term`.
    pub fn speaks_of(&mut self, term: u64) {
        self.term = self.term.max(term);
    }

    /// It starts.
    pub fn begin_life(&mut self) {
        self.life += 1;
        self.alive = true;
        self.term_of_earlier_lives = self.term;
        self.commit_index = 0;
    }

    /// Another machine takes its place, which was told nothing and has promised nothing. Its lives are counted on.
    pub fn forget(&mut self) {
        *self = Server { life: self.life, ..Server::default() };
    }

    /// It has crashed, and its handlers with it.
    pub fn end_life(&mut self) {
        self.alive = false;
        self.open.clear();
    }

    /// A request comes to a handler; if it comes from a leader, it may cut off what conflicts with the leader's log.
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
            // Which copy an answer comes from is not known, so it is held against what the first one found.
            Some(open) => open.copies += 1,
            None => {
                let (term, commit_index, kept) = (self.term, self.commit_index, self.kept.last);
                self.open.push(Open { call, copies: 1, term, commit_index, kept, cuts });
            }
        }
    }

    /// A handler has done its work. `None`: it belonged to an earlier life.
    pub fn close(&mut self, call: u64) -> Option<Open> {
        let at = self.open.iter().position(|open| open.call == call)?;
        let open = self.open[at];
        self.open[at].copies -= 1;
        if self.open[at].copies == 0 {
            self.open.swap_remove(at);
        }
        Some(open)
    }

    /// It says to the leader of `term` that its log has `last` and all before it.
    pub fn keeps(&mut self, term: u64, last: Place, history: &History) {
        if term < self.kept.term {
            return; // it said so before what we know
        }
        if history.holds(self.kept.last, last) != Some(true) {
            self.kept.last = last;
        }
        self.kept.term = term;
        // Later leaders may have cut it since.
        for (later, path) in self.open.iter().filter_map(|open| open.cuts) {
            if later > term && history.holds(self.kept.last, path) != Some(true) {
                self.kept.last = history.common(self.kept.last, path);
            }
        }
    }

    /// It has heard the leader of `term`, and did not say that it agrees.
    pub fn heard(&mut self, term: u64) {
        self.kept.term = self.kept.term.max(term);
    }
}
