//! One leader's term of office, as far as messages have shown it.

use crate::reading::Place;

/// See the [module](self).
pub struct Leadership {
    /// The leader.
    pub leader: usize,
    /// The last entry of its log when it became a candidate, if that was seen.
    pub base: Option<Place>,
    /// The last entry that it was seen to have.
    pub last: Place,
    /// The index of its first own entry.
    first: Option<u64>,
    /// The index up to which each server has said, in this term, that its log agrees with the leader's.
    agrees: Vec<u64>,
    /// The same, but a reply that can't be read counts as well, because it may have said so.
    may_agree: Vec<u64>,
}

impl Leadership {
    /// For a leader of whose log only the last entry is known.
    pub fn new(leader: usize, base: Option<Place>, servers: usize) -> Leadership {
        let last = base.unwrap_or_default();
        Leadership {
            leader,
            base,
            last,
            first: None,
            agrees: vec![0; servers],
            may_agree: vec![0; servers],
        }
    }

    /// The leader's log has this entry.
    pub fn has(&mut self, place: Place, term: u64) {
        if place.index > self.last.index {
            self.last = place;
        }
        if place.term == term {
            self.first = Some(self.first.map_or(place.index, |first| first.min(place.index)));
        }
    }

    /// A server says that its log agrees with the leader's up to `index`.
    pub fn agrees(&mut self, server: usize, index: u64) {
        self.agrees[server] = self.agrees[server].max(index);
        self.may_agree(server, index);
    }

    /// A server sends a reply that can't be read. It may say that the logs agree up to `index`.
    pub fn may_agree(&mut self, server: usize, index: u64) {
        self.may_agree[server] = self.may_agree[server].max(index);
    }

    /// The highest index that the leader may count as committed: a majority, which includes the leader, has all entries up to
    /// it, and one of these entries is of the leader's own term (§5.4.2).
    pub fn may_commit(&self) -> Option<u64> {
        self.counted(self.may_agree.clone(), self.last.index)
    }

    /// The same without the leader itself, because a leader may save its own entries later than it sends them (thesis
    /// §10.2.1).
    pub fn must_be_committed(&self) -> Option<u64> {
        self.counted(self.agrees.clone(), 0)
    }

    fn counted(&self, mut agrees: Vec<u64>, leaders_own: u64) -> Option<u64> {
        agrees[self.leader] = leaders_own;
        agrees.sort_unstable_by(|a, b| b.cmp(a));
        let index = agrees[agrees.len() / 2];
        self.first.is_some_and(|first| first <= index).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_entries_are_committed_only_with_one_of_the_leaders_own() {
        let mut leadership = Leadership::new(0, Some(Place { term: 2, index: 2 }), 5);
        leadership.agrees(1, 2);
        leadership.agrees(2, 2);
        assert_eq!(leadership.may_commit(), None, "Figure 8");
        leadership.has(Place { term: 4, index: 3 }, 4);
        leadership.agrees(1, 3);
        assert_eq!(leadership.may_commit(), None, "index 3 is on two of five");
        leadership.agrees(2, 3);
        assert_eq!((leadership.may_commit(), leadership.must_be_committed()), (Some(3), None));
        leadership.agrees(3, 3);
        assert_eq!(leadership.must_be_committed(), Some(3));
    }

    #[test]
    fn a_majority_of_an_even_number_is_more_than_half() {
        let mut leadership = Leadership::new(0, None, 4);
        leadership.has(Place { term: 1, index: 1 }, 1);
        leadership.agrees(1, 1);
        assert_eq!(leadership.may_commit(), None, "two of four");
        leadership.agrees(2, 1);
        assert_eq!(leadership.may_commit(), Some(1));
    }
}
