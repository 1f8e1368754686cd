//! What no check can need any more is forgotten: a run of a day takes the memory of one of an hour.
//!
//! Where something that was forgotten would have counted for a server, it is taken to have been so.

use super::model::Model;
use labrpc::time::Duration;
use std::collections::VecDeque;

/// After so long nothing comes of a message, nor of a term that is over. A test takes two minutes at most, so in tests nothing is forgotten.
const LONG: Duration = Duration::from_secs(600);

/// How often there is a look.
const EVERY: Duration = Duration::from_secs(60);

/// How many leaders are remembered, however long ago they led.
const LEADERS: usize = 100;

/// How far the run was at some time.
#[derive(Clone, Copy, Default)]
struct Mark {
    at: Duration,
    /// The highest term that anybody had spoken of.
    term: u64,
    /// The last index that was committed.
    committed: u64,
}

/// What has been forgotten.
#[derive(Default)]
pub(super) struct Forgotten {
    /// Marks of the last while, the oldest first.
    marks: VecDeque<Mark>,
    /// Calls up to this number.
    pub calls: u64,
    /// Who voted for whom, in terms before this one.
    pub terms: u64,
    /// Who was sent which entries, up to this index.
    pub index: u64,
}

impl Model {
    /// Forgets what is old, now and then.
    pub(super) fn forget_the_old(&mut self) {
        let marks = &mut self.forgotten.marks;
        if marks.back().is_some_and(|last| self.now < last.at + EVERY) {
            return;
        }
        let term = self.servers.iter().map(|server| server.term).max().unwrap_or(0);
        marks.push_back(Mark {
            at: self.now,
            term,
            committed: self.history.last_committed().index,
        });
        let mut old = None;
        while marks.front().is_some_and(|mark| mark.at + LONG < self.now) {
            old = marks.pop_front();
        }
        if let Some(old) = old {
            self.forget_calls_before(old.at);
            self.forget_terms_before(old.term);
            self.forget_entries_up_to(old.committed);
        }
    }

    fn forget_calls_before(&mut self, time: Duration) {
        while let Some(first) = self.calls.first_entry().filter(|first| first.get().made < time) {
            self.forgotten.calls = *first.key();
            first.remove();
        }
    }

    fn forget_terms_before(&mut self, term: u64) {
        self.forgotten.terms = term;
        for server in &mut self.servers {
            server.votes = server.votes.split_off(&term);
            server.perhaps = server.perhaps.split_off(&(term, 0));
            server.asked = server.asked.split_off(&(term, 0));
        }
        self.claims = self.claims.split_off(&(term, 0));
        let many = self.reigns.len().saturating_sub(LEADERS);
        let old: Vec<_> = self.reigns.range(..term).take(many).map(|(term, _)| *term).collect();
        old.iter().for_each(|term| _ = self.reigns.remove(term));
        // All that was committed is one log: who has the last of it has all of it.
        let newer = self.commits.split_off(&term);
        let last = std::mem::replace(&mut self.commits, newer)
            .into_iter()
            .max_by_key(|(_, place)| place.index);
        self.commits.extend(last);
    }

    fn forget_entries_up_to(&mut self, index: u64) {
        self.forgotten.index = index;
        for server in &mut self.servers {
            server.given.retain(|place, _| place.index > index);
        }
        self.history.forget_up_to(index);
    }

    /// Something came of a call that isn't known. If it was forgotten, nothing is concluded from what nobody said.
    pub(super) fn may_have_forgotten(&mut self, call: u64) {
        if call <= self.forgotten.calls {
            self.known.knows_nothing_more();
        }
    }
}
