//! The log and its snapshot offset (§5.3, §7).
//!
//! The snapshot covers the entries up to [`Log::last_included_index`], and the log no longer has them. It keeps the term of the
//! last of them, for the consistency check of the entry that follows, and the members at that index.

use labrpc::api::Command;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The servers that vote, and whose logs count. In the lab, these are all servers, and they do not change.
pub type Members = BTreeSet<usize>;

/// A log entry: "each entry contains command for state machine, and term when entry was received by leader".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The term of the leader that created it.
    pub term: u64,
    /// What it holds.
    pub payload: Payload,
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// A command for the state machine.
    Command(Command),
    /// Nothing. With such an entry, a leader commits the entries that earlier terms have left (§8).
    NoOp,
    /// The members from this entry on (thesis §4.1).
    Members(Members),
}

impl Entry {
    /// About how many bytes the entry takes in a message.
    fn size(&self) -> usize {
        const OVERHEAD: usize = 8;
        OVERHEAD
            + match &self.payload {
                Payload::Command(command) => command.len(),
                Payload::NoOp => 0,
                Payload::Members(members) => members.len(),
            }
    }
}

/// The log. The first index is 1; index 0 stands for "before everything" and has term 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    last_included_index: u64,
    last_included_term: u64,
    entries: Vec<Entry>,
    /// A list of rows. Each row has an index, and the members that count from this index on. The first row is for
    /// [`Log::last_included_index`]. After it, each entry that changes the members has a row.
    members: Vec<(u64, Members)>,
    /// The index after which the log has changed since it was last saved. See [`Log::take_unsaved`].
    #[serde(skip)]
    unsaved_after: Option<u64>,
}

impl Log {
    /// An empty log of a cluster with these members.
    pub fn new(members: Members) -> Log {
        Log::after_snapshot(0, 0, members)
    }

    fn after_snapshot(index: u64, term: u64, members: Members) -> Log {
        Log {
            last_included_index: index,
            last_included_term: term,
            entries: Vec::new(),
            members: vec![(index, members)],
            unsaved_after: None,
        }
    }

    /// The current members: "a server always uses the latest configuration in its log, regardless of whether the entry is
    /// committed" (thesis §4.1).
    pub fn members(&self) -> &Members {
        &self.members[self.members.len() - 1].1
    }

    /// The index of the entry with the current members. If the log has no such entry, the last index of the snapshot, or 0.
    pub fn members_since(&self) -> u64 {
        self.members[self.members.len() - 1].0
    }

    /// The members before the entry at [`Log::members_since`], if the log has that entry.
    pub fn members_before(&self) -> Option<&Members> {
        let before = self.members.len().checked_sub(2)?;
        Some(&self.members[before].1)
    }

    /// The members at the last index of the snapshot.
    pub fn members_in_snapshot(&self) -> &Members {
        &self.members[0].1
    }

    /// The last index that the snapshot covers.
    pub fn last_included_index(&self) -> u64 {
        self.last_included_index
    }

    /// The term of the entry at [`Log::last_included_index`].
    pub fn last_included_term(&self) -> u64 {
        self.last_included_term
    }

    /// The index of the last entry.
    pub fn last_index(&self) -> u64 {
        self.last_included_index + self.entries.len() as u64
    }

    /// The term of the last entry.
    pub fn last_term(&self) -> u64 {
        self.entries.last().map_or(self.last_included_term, |entry| entry.term)
    }

    /// The term of the entry at `index`. `None` if `index` is beyond the end, or if the snapshot covers it and it is not the
    /// snapshot's last index.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.last_included_index {
            return Some(self.last_included_term);
        }
        self.get(index).map(|entry| entry.term)
    }

    /// The entry at `index`. `None` if it is in the snapshot or beyond the end.
    pub fn get(&self, index: u64) -> Option<&Entry> {
        let offset = index.checked_sub(self.last_included_index + 1)?;
        self.entries.get(offset as usize)
    }

    /// The entries after `index`.
    pub fn after(&self, index: u64) -> &[Entry] {
        let offset = index.saturating_sub(self.last_included_index) as usize;
        self.entries.get(offset..).unwrap_or(&[])
    }

    /// The first entries after `index`: as many as fit into `bytes` bytes, but at least one if there is one.
    pub fn batch(&self, index: u64, bytes: usize) -> &[Entry] {
        let entries = self.after(index);
        let fits = entries.iter().scan(0, |sum, entry| {
            *sum += entry.size();
            Some(*sum)
        });
        let fitting = fits.take_while(|sum| *sum <= bytes).count();
        &entries[..fitting.max(1).min(entries.len())]
    }

    /// The first index in the log that has the same term as `index`.
    pub fn first_of_term(&self, index: u64) -> u64 {
        let term = self.term_at(index);
        let mut first = index;
        while first > self.last_included_index + 1 && self.term_at(first - 1) == term {
            first -= 1;
        }
        first
    }

    /// The last index whose entry is of `term`, if there is one.
    pub fn last_of_term(&self, term: u64) -> Option<u64> {
        // Terms never decrease along the log.
        let end = self.entries.partition_point(|entry| entry.term <= term);
        let index = self.last_included_index + end as u64;
        (self.term_at(index) == Some(term)).then_some(index)
    }

    /// Adds an entry at the end. Returns its index.
    pub fn append(&mut self, entry: Entry) -> u64 {
        self.touch(self.last_index());
        if let Payload::Members(members) = &entry.payload {
            self.members.push((self.last_index() + 1, members.clone()));
        }
        self.entries.push(entry);
        self.last_index()
    }

    /// Drops everything after `index`.
    pub fn truncate_after(&mut self, index: u64) {
        if index < self.last_index() {
            self.touch(index);
            self.entries.truncate(index.saturating_sub(self.last_included_index) as usize);
            let stay = self.members.partition_point(|(since, _)| *since <= index);
            self.members.truncate(stay.max(1));
        }
    }

    /// Drops everything up to and including `index`, which a snapshot now covers.
    pub fn compact_to(&mut self, index: u64, term: u64) {
        let covered = index.saturating_sub(self.last_included_index) as usize;
        self.entries.drain(..covered.min(self.entries.len()));
        (self.last_included_index, self.last_included_term) = (index, term);
        let past = self.members.partition_point(|(since, _)| *since <= index);
        self.members.drain(..past.saturating_sub(1));
        self.members[0].0 = index;
    }

    /// Replaces the whole log with a snapshot up to `index`.
    pub fn restart_at(&mut self, index: u64, term: u64, members: Members) {
        *self = Log::after_snapshot(index, term, members);
    }

    /// The index after which the log has changed since the last call. `None` if it has not changed.
    pub fn take_unsaved(&mut self) -> Option<u64> {
        self.unsaved_after.take()
    }

    /// Whether [`Log::take_unsaved`] would return an index.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved_after.is_some()
    }

    fn touch(&mut self, after: u64) {
        self.unsaved_after = Some(self.unsaved_after.map_or(after, |before| before.min(after)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log whose entries have these terms.
    fn log(terms: &[u64]) -> Log {
        let mut log = Log::new(members(&[0, 1, 2]));
        for &term in terms {
            log.append(Entry { term, payload: Payload::NoOp });
        }
        log
    }

    fn members(servers: &[usize]) -> Members {
        servers.iter().copied().collect()
    }

    #[test]
    fn an_empty_log_ends_at_index_0_with_term_0() {
        let log = log(&[]);
        assert_eq!((log.last_index(), log.last_term(), log.term_at(0)), (0, 0, Some(0)));
        assert_eq!(log.term_at(1), None);
    }

    #[test]
    fn the_log_keeps_the_last_term_that_the_snapshot_covers() {
        let mut log = log(&[1, 1, 2, 3]);
        log.compact_to(3, 2);
        assert_eq!((log.last_included_index(), log.last_index(), log.last_term()), (3, 4, 3));
        assert_eq!([log.term_at(2), log.term_at(3), log.term_at(4)], [None, Some(2), Some(3)]);
        assert_eq!(log.after(3).len(), 1);
        log.compact_to(4, 3);
        assert_eq!((log.last_index(), log.last_term()), (4, 3));
        log.restart_at(9, 5, members(&[0]));
        assert_eq!((log.last_index(), log.last_term(), log.after(0).len()), (9, 5, 0));
    }

    #[test]
    fn the_first_and_the_last_index_of_a_term_are_found() {
        let log = log(&[1, 1, 4, 4, 4, 6]);
        assert_eq!([5, 3, 2, 6].map(|i| log.first_of_term(i)), [3, 3, 1, 6]);
        assert_eq!([1, 4, 6].map(|t| log.last_of_term(t)), [Some(2), Some(5), Some(6)]);
        assert_eq!([2, 5, 7].map(|t| log.last_of_term(t)), [None, None, None]);
    }

    #[test]
    fn the_earliest_change_since_the_last_save_is_remembered() {
        let mut log = log(&[1, 1, 2]);
        assert_eq!(log.take_unsaved(), Some(0));
        assert_eq!(log.take_unsaved(), None);
        log.truncate_after(1);
        log.append(Entry { term: 3, payload: Payload::NoOp });
        assert_eq!(log.take_unsaved(), Some(1));
        log.truncate_after(7);
        assert!(!log.is_unsaved(), "nothing was there to drop");
    }

    #[test]
    fn a_batch_has_a_limited_size_and_at_least_one_entry() {
        let log = log(&[1, 1, 1, 1]); // eight bytes each
        assert_eq!(
            [0, 7, 8, 23, 24, 99].map(|bytes| log.batch(1, bytes).len()),
            [1, 1, 1, 2, 3, 3]
        );
        assert_eq!(log.batch(4, 99).len(), 0);
    }

    /// Thesis §4.1: a configuration takes effect when its entry is appended, and no longer counts when that entry is removed.
    #[test]
    fn the_members_are_those_of_the_last_configuration() {
        let mut log = log(&[1, 1]);
        let of = |log: &Log| (log.members_since(), log.members().clone());
        for servers in [&[0, 1, 2, 3][..], &[1, 2, 3]] {
            log.append(Entry { term: 2, payload: Payload::Members(members(servers)) });
            log.append(Entry { term: 2, payload: Payload::NoOp });
        }
        assert_eq!(of(&log), (5, members(&[1, 2, 3])));
        log.truncate_after(4);
        assert_eq!(of(&log), (3, members(&[0, 1, 2, 3])));
        log.compact_to(2, 1);
        assert_eq!(log.members_in_snapshot(), &members(&[0, 1, 2]));
        assert_eq!(of(&log), (3, members(&[0, 1, 2, 3])));
        log.compact_to(4, 2);
        assert_eq!(log.members_in_snapshot(), &members(&[0, 1, 2, 3]));
        log.truncate_after(0);
        assert_eq!(of(&log), (4, members(&[0, 1, 2, 3])), "the members in a snapshot stay");
        log.restart_at(9, 5, members(&[7]));
        assert_eq!(of(&log), (9, members(&[7])));
    }
}
