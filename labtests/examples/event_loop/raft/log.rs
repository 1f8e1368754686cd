//! The log after a snapshot. An entry has an index, which Raft uses, and a number, which the service uses.

use super::messages::{Base, Entry, Term};

/// Whether the service's numbers count a leader's no-ops. If they do, numbers are indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    Everything,
    Commands,
}

pub struct Log {
    numbers: Numbers,
    base: Base,
    slots: Vec<Slot>,
}

struct Slot {
    entry: Entry,
    number: u64,
}

impl Log {
    pub fn new(numbers: Numbers, base: Base, entries: Vec<Entry>) -> Log {
        let mut log = Log { numbers, base, slots: Vec::new() };
        entries.into_iter().for_each(|entry| log.push(entry));
        log
    }

    pub fn base(&self) -> Base {
        self.base
    }

    pub fn last_index(&self) -> u64 {
        self.base.index + self.slots.len() as u64
    }

    pub fn last_term(&self) -> Term {
        self.slots.last().map_or(self.base.term, |slot| slot.entry.term)
    }

    pub fn last_number(&self) -> u64 {
        self.slots.last().map_or(self.base.number, |slot| slot.number)
    }

    pub fn push(&mut self, entry: Entry) {
        let counts = self.numbers == Numbers::Everything || entry.command.is_some();
        let number = self.last_number() + u64::from(counts);
        self.slots.push(Slot { entry, number });
    }

    /// The entry at `index`. It is `None` if a snapshot covers the entry, or if the entry is not there yet.
    pub fn entry(&self, index: u64) -> Option<&Entry> {
        self.slot(index).map(|slot| &slot.entry)
    }

    pub fn term(&self, index: u64) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.entry(index).map(|entry| entry.term)
    }

    pub fn number(&self, index: u64) -> Option<u64> {
        self.slot(index).map(|slot| slot.number)
    }

    /// The index of the service's `number`, if it is still in the log.
    pub fn index_of(&self, number: u64) -> Option<u64> {
        if number <= self.base.number || number > self.last_number() {
            return None;
        }
        let before = self.slots.partition_point(|slot| slot.number < number);
        Some(self.base.index + 1 + before as u64)
    }

    /// The entries after `index`, which is in the log or is its base.
    pub fn behind(&self, index: u64) -> Vec<Entry> {
        let skip = (index - self.base.index) as usize;
        self.slots[skip..].iter().map(|slot| slot.entry.clone()).collect()
    }

    /// AppendEntries, steps 3 and 4 of Figure 2. Returns whether anything changed.
    pub fn merge(&mut self, prev_index: u64, entries: Vec<Entry>) -> bool {
        let mut changed = false;
        for (index, entry) in (prev_index + 1..).zip(entries) {
            if index <= self.base.index || self.term(index) == Some(entry.term) {
                continue;
            }
            self.slots.truncate((index - self.base.index - 1) as usize);
            self.push(entry);
            changed = true;
        }
        changed
    }

    /// The first index of `term`, whose entry at `index` is in the log.
    pub fn first_of_term(&self, term: Term, index: u64) -> u64 {
        let mut first = index;
        while first > self.base.index + 1 && self.term(first - 1) == Some(term) {
            first -= 1;
        }
        first
    }

    pub fn last_of_term(&self, term: Term) -> Option<u64> {
        (self.base.index..=self.last_index()).rev().find(|index| self.term(*index) == Some(term))
    }

    /// Discards everything up to `base`, which a snapshot covers now. The entries after `base` stay only if the log has the same
    /// entry at `base` (Figure 13, steps 6 and 7).
    pub fn trim(&mut self, base: Base) {
        if self.term(base.index) == Some(base.term) {
            self.slots.drain(..(base.index - self.base.index) as usize);
        } else {
            self.slots.clear();
        }
        self.base = base;
    }

    fn slot(&self, index: u64) -> Option<&Slot> {
        let position = index.checked_sub(self.base.index + 1)?;
        self.slots.get(position as usize)
    }
}
