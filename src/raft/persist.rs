//! What survives a crash: Figure 2, "Persistent state on all servers (Updated on stable storage before
//! responding to RPCs)".
//!
//! A save writes only what has changed: it adds a record to the records since the last snapshot. A restart replays the records. A
//! snapshot replaces all of them with the state that they add up to.

use super::log::{Entry, Log, Members};
use super::state::State;
use labrpc::Persister;
use labrpc::api::Snapshot;
use serde::{Deserialize, Serialize};

/// The persistent state as a whole, written with each snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// See [`State::current_term`].
    pub current_term: u64,
    /// See [`State::voted_for`].
    pub voted_for: Option<usize>,
    /// See [`State::log`].
    pub log: Log,
}

/// A change to the persistent state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Record {
    /// A new term, or a vote in the current one.
    Vote { current_term: u64, voted_for: Option<usize> },
    /// The entries after `prev_log_index` are now these.
    Entries { prev_log_index: u64, entries: Vec<Entry> },
    /// Beyond the lab: the log is known to be committed up to this index. Raft needs to save that only for a server's own removal:
    /// see [`State::knows_its_removal`].
    Committed { commit_index: u64 },
}

/// Where the persistent state is saved.
pub struct Disk {
    persister: Persister,
    saved_vote: (u64, Option<usize>),
    /// Beyond the lab: see [`Record::Committed`].
    pub(super) saved_commit: u64,
}

impl Disk {
    /// A disk that holds `saved`.
    pub fn new(persister: Persister, saved: &Saved) -> Disk {
        let saved_vote = (saved.current_term, saved.voted_for);
        Disk { persister, saved_vote, saved_commit: 0 }
    }

    /// The persister of this disk.
    #[cfg(test)]
    pub fn persister(&self) -> &Persister {
        &self.persister
    }

    /// The latest snapshot.
    pub fn snapshot(&self) -> Snapshot {
        self.persister.snapshot().unwrap_or_default()
    }
}

/// Returns what this server saved before its restart, and the index up to which the saved log is known to be committed. If
/// nothing was saved, the log is empty and has these members.
pub fn restore(persister: &Persister, members: Members) -> (Saved, u64) {
    let new = || Saved { current_term: 0, voted_for: None, log: Log::new(members) };
    let mut saved = persister.raft_state().unwrap_or_else(new);
    let mut committed = saved.log.last_included_index(); // a snapshot covers only committed entries
    for record in persister.records() {
        match record {
            Record::Vote { current_term, voted_for } => {
                (saved.current_term, saved.voted_for) = (current_term, voted_for);
            }
            Record::Entries { prev_log_index, entries } => {
                saved.log.truncate_after(prev_log_index);
                for entry in entries {
                    saved.log.append(entry);
                }
            }
            Record::Committed { commit_index } => committed = commit_index,
        }
    }
    saved.log.take_unsaved();
    (saved, committed)
}

impl State {
    /// Saves what has changed since the last save. This is called before every reply, and before every message that depends on
    /// the change.
    pub fn persist(&mut self) {
        let vote = (self.current_term, self.voted_for);
        if self.disk.saved_vote != vote {
            let (current_term, voted_for) = vote;
            self.append_record(&Record::Vote { current_term, voted_for });
            self.disk.saved_vote = vote;
        }
        if let Some(prev_log_index) = self.log.take_unsaved() {
            let entries = self.log.after(prev_log_index).to_vec();
            self.append_record(&Record::Entries { prev_log_index, entries });
        }
        self.beyond_persist();
    }

    /// Adds a record to the saved records.
    pub(super) fn append_record(&self, record: &Record) {
        self.disk.persister.append(record);
    }

    /// Saves a snapshot together with the state that goes with it. If they were saved one after the other, a crash between the two
    /// saves could leave a log that does not begin where its snapshot ends.
    pub fn persist_with_snapshot(&mut self, snapshot: Snapshot) {
        let (current_term, voted_for) = (self.current_term, self.voted_for);
        self.log.take_unsaved();
        let saved = Saved { current_term, voted_for, log: self.log.clone() };
        self.disk.persister.save(&saved, snapshot);
        self.disk.saved_vote = (current_term, voted_for);
        self.disk.saved_commit = 0; // the snapshot has replaced that record, too
        self.persist();
    }

    /// Whether everything is saved.
    pub fn is_persisted(&self) -> bool {
        self.disk.saved_vote == (self.current_term, self.voted_for) && !self.log.is_unsaved()
    }
}
