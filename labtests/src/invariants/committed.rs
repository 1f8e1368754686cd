//! What is committed, and what servers treat as committed.

use super::model::{Model, Verdict};
use crate::names::name;
use crate::reading::Place;

impl Model {
    /// A server treats `index` as committed, with an entry of term `there`. The commit happened in `term` or an earlier term.
    pub(super) fn commits(
        &mut self,
        i: usize,
        term: u64,
        index: u64,
        there: Option<u64>,
        how: &str,
    ) -> Verdict {
        if self.servers.len() == 1 || !self.seen.appends || index == 0 {
            return Ok(()); // a server that is alone commits before any message shows it
        }
        if index <= self.history.last_committed().index {
            let committed = self.history.committed_term(index);
            return match (there, committed) {
                (Some(there), Some(committed)) if there != committed => Err(format!(
                    "{} {how} index {index} with an entry of term {there}, but the entry committed at that index is of term \
                     {committed}. This breaks State Machine Safety (Figure 3, §5.4.3)",
                    name(i)
                )),
                _ => Ok(()),
            };
        }
        if self.members_vary || !self.known.acknowledgements {
            return self.takes_its_word(term, index, there);
        }
        let by = self.leaderships.range(..=term).rev().find(|(_, leadership)| {
            let agrees = there.is_none()
                || self.history.term_at(leadership.last, index).is_none_or(|t| Some(t) == there);
            leadership.may_commit().is_some_and(|most| most >= index) && agrees
        });
        let Some((&by, leadership)) = by else {
            return Err(self.not_committed(i, index, there, how));
        };
        let counts_itself = leadership.leader == i
            && leadership.must_be_committed().is_none_or(|most| most < index);
        let place = self.history.term_at(leadership.last, index).map(|term| Place { index, term });
        if !self.known.answers {
            return self.takes_its_word(term, index, there); // it is not certain which servers have the entry
        }
        self.committed(by, index)?;
        if let Some(place) = place.filter(|_| counts_itself) {
            self.servers[i].keeps(by, place, &self.history);
        }
        Ok(())
    }

    fn not_committed(&self, i: usize, index: u64, there: Option<u64>, how: &str) -> String {
        let of_term = there.map_or(String::new(), |term| format!(" (an entry of term {term})"));
        format!(
            "{} {how} index {index}{of_term}, but no leader can have committed that: {}. A leader commits an entry only when \
             a majority has it, and only if this entry, or a later one on the same majority, is of the leader's own term \
             (§5.3, §5.4.2, Figure 8). Leader Completeness and State Machine Safety (Figure 3) rest on this rule",
            name(i),
            match self
                .leaderships
                .iter()
                .rev()
                .find_map(|(term, leadership)| Some((term, leadership.may_commit()?)))
            {
                Some((term, most)) => format!(
                    "the highest index that a leader could commit is {most}, in term {term}"
                ),
                None => "no leader could commit any entry yet".into(),
            }
        )
    }

    /// Believes that the entry is committed. It is unknown which servers are members, so a majority can't be counted. But a
    /// committed entry must be in the logs of later leaders.
    fn takes_its_word(&mut self, term: u64, index: u64, there: Option<u64>) -> Verdict {
        let by = self.leaderships.range(..=term).next_back().map(|(by, _)| *by);
        let (Some(by), Some(there)) = (by, there) else { return Ok(()) };
        let place = Place { index, term: there };
        self.history.commit(place).map_err(|other| contradicts(by, other))?;
        self.commits.insert(by, place);
        if !self.known.leaders {
            return Ok(()); // a leader that was never seen may have committed it
        }
        let mut later = self.leaderships.range(by + 1..);
        later.try_for_each(|(later, _)| self.is_complete(*later, by, place))
    }

    /// The leader of `term` has committed everything up to `index`.
    pub(super) fn committed(&mut self, term: u64, index: u64) -> Verdict {
        if self.commits.get(&term).is_some_and(|known| known.index >= index) {
            return Ok(());
        }
        let last = self.leaderships[&term].last;
        let Some(at) = self.history.term_at(last, index) else { return Ok(()) };
        let place = Place { index, term: at };
        self.history.commit(place).map_err(|other| contradicts(term, other))?;
        self.commits.insert(term, place);
        let mut later = self.leaderships.range(term + 1..);
        later.try_for_each(|(later, _)| self.is_complete(*later, term, place))
    }

    /// A server says in `term` that its log agrees with the leader's log up to `last`.
    pub(super) fn agrees(&mut self, i: usize, term: u64, last: Place) -> Verdict {
        self.servers[i].keeps(term, last, &self.history);
        let Some(leadership) = self.leaderships.get_mut(&term) else { return Ok(()) };
        leadership.agrees(i, last.index);
        match leadership.must_be_committed().filter(|_| !self.members_vary) {
            Some(index) => self.committed(term, index),
            None => Ok(()),
        }
    }
}

fn contradicts(term: u64, (index, there, here): (u64, u64, u64)) -> String {
    format!(
        "the leader of term {term} has committed an entry of term {here} at index {index}, but an entry of term {there} was \
         already committed at that index. This breaks State Machine Safety (Figure 3, §5.4.3)"
    )
}
