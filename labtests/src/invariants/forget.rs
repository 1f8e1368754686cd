//! The model forgets what no check can need any more, so a run of a day needs no more memory than a run of an hour.
//!
//! If something that was forgotten could excuse a server, the model assumes that it does.

use super::model::Model;
use labrpc::time::Duration;
use std::collections::VecDeque;

/// After this time, an old message or a term that is over has no effect any more. A test takes two minutes at most, so nothing is
/// forgotten in tests.
const LONG: Duration = Duration::from_secs(600);

/// How often the model looks for what it can forget.
const EVERY: Duration = Duration::from_secs(60);

/// How many leaders are always remembered, no matter how long ago they led.
const LEADERS: usize = 100;

/// How far the run had come at some time.
#[derive(Clone, Copy, Default)]
struct Mark {
    at: Duration,
    /// The highest term that any server had named.
    term: u64,
    /// The last index that was committed.
    committed: u64,
}

/// What has been forgotten.
#[derive(Default)]
pub(super) struct Forgotten {
    /// Recent marks, the oldest first.
    marks: VecDeque<Mark>,
    /// Calls up to this number are forgotten.
    pub calls: u64,
    /// Votes of terms before this one are forgotten.
    pub terms: u64,
    /// Which server was sent which entries is forgotten, up to this index.
    pub index: u64,
}

impl Model {
    /// Forgets what is old. It does so once per [`EVERY`].
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
        let many = self.leaderships.len().saturating_sub(LEADERS);
        let old: Vec<_> =
            self.leaderships.range(..term).take(many).map(|(term, _)| *term).collect();
        old.iter().for_each(|term| _ = self.leaderships.remove(term));
        // All committed entries are one log, so the last one stands for all of them.
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

    /// There is an event of a call that isn't known. If the call was forgotten, a fact that was never seen does not count as absent
    /// any more.
    pub(super) fn may_have_forgotten(&mut self, call: u64) {
        if call <= self.forgotten.calls {
            self.known.knows_nothing_more();
        }
    }
}
