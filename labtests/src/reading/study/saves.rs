//! What is certain about saved values.

use super::Study;
use crate::reading::{Part, Saved, Word};
use labrpc::describe::Value;

impl Study {
    pub(super) fn saved(&mut self, who: &str, what: &str, value: &Value) {
        let number = who.strip_prefix('S').and_then(|number| number.parse::<usize>().ok());
        let saved = match self.reading.saved(who, what, value) {
            Saved::Read(term, vote) => {
                self.reads(Part::Saved, Word::Term, Some(term));
                self.reads(Part::Saved, Word::VotedFor, vote);
                Some((term, vote))
            }
            Saved::Silent => return,
            Saved::Unread => None,
        };
        if let Some(server) = number.and_then(|i| self.servers.get_mut(i)) {
            server.saved = saved;
        }
    }

    /// A server sends a message of `term`. It must have saved that term, if it saves anything.
    pub(super) fn saved_term_is(&mut self, i: usize, term: u64) {
        let Some((saved, _)) = self.servers[i].saved else { return };
        let fact = (Part::Saved, Word::Term);
        match saved.cmp(&term) {
            std::cmp::Ordering::Equal => self.agrees(fact),
            std::cmp::Ordering::Greater => self.contradicts(fact, || {
                format!("S{i} sent a message of term {term}, but had saved term {saved}")
            }),
            // The server may have forgotten to save the term: that is a bug, and not another meaning. If no saved term ever agrees,
            // it may be either.
            std::cmp::Ordering::Less => {
                let tally = self.tally(fact);
                if tally.agrees == 0 {
                    tally.contradict(|| {
                        format!("S{i} sent a message of term {term}, but had saved term {saved}")
                    });
                }
            }
        }
    }

    /// A server votes for `candidate` in `term`. If it has saved no vote, that may be a bug. If it has saved a vote for another
    /// server, that is odd.
    pub(super) fn saved_vote_is(&mut self, i: usize, term: u64, candidate: usize) {
        let Some((saved, Some(Some(vote)))) = self.servers[i].saved else { return };
        if saved == term {
            self.bears_out((Part::Saved, Word::VotedFor), vote == candidate as u64, || {
                format!(
                    "S{i} votes for S{candidate} in term {term}, but has saved a vote for {vote}"
                )
            });
        }
    }
}
