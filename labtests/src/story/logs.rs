//! How the logs change that the story knows.

use super::view::{Change, Entry, LogChange, View};
use crate::reading::{Place, Sent, command_of};
use labrpc::describe::Value;

/// The entries of a message, with their first index.
#[derive(Clone, Debug)]
pub struct Entries {
    /// The entry before them.
    pub prev: Place,
    /// The entries.
    pub entries: Vec<Entry>,
}

impl Entries {
    /// The entries that a message carries.
    pub fn of(sent: &Sent<'_>) -> Entries {
        let entry =
            |(term, value): &(u64, &Value)| Entry { term: Some(*term), command: command(value) };
        Entries { prev: sent.prev, entries: sent.entries.iter().map(entry).collect() }
    }

    /// The index of the last of them.
    pub fn last(&self) -> u64 {
        self.prev.index + self.entries.len() as u64
    }
}

/// The longest text of a command that a story keeps.
const LONGEST: usize = 40;

/// The command of an entry, as the story shows it.
fn command(entry: &Value) -> Option<String> {
    Some(shown(&command_of(entry)?))
}

fn shown(command: &[u8]) -> String {
    let text = match std::str::from_utf8(command) {
        Ok(text) => format!("{text:?}"),
        Err(_) => Value::Bytes(command.into()).to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

impl View {
    /// The change after which this log has these entries. A log whose entries are the same stays as it is, also behind them. If
    /// an entry has another term, the log is cut there first (§5.3).
    pub fn with_entries(&self, server: usize, new: &Entries) -> Option<Change> {
        let known = self.last_index();
        let prev = new.prev.index;
        let mut add = Vec::new();
        let mut keep = known;
        if prev > self.base && self.term_at(prev) != Some(new.prev.term) {
            // The log also has everything before `prev`, even if nobody has seen it.
            keep = keep.min(prev - 1);
            add.extend((keep + 1..prev).map(|_| Entry::default()));
            add.push(Entry { term: Some(new.prev.term), ..Entry::default() });
        }
        for (index, entry) in (prev + 1..).zip(&new.entries) {
            if index <= self.base {
                continue;
            }
            if add.is_empty() && index <= keep && self.term_at(index) != entry.term {
                keep = index - 1;
            }
            if !add.is_empty() || index > keep {
                add.push(entry.clone());
            }
        }
        if add.is_empty() {
            return None;
        }
        let log = Some(LogChange { from: None, keep, add });
        Some(Change { log, ..Change::of(server) })
    }

    /// The change after which this log has an entry at this place. The news of it may be old: a thread may have stopped between
    /// the moment at which it appended the entry and the moment at which it said so.
    pub fn with_entry(
        &self,
        server: usize,
        Place { index, term }: Place,
        command: Option<String>,
    ) -> Option<Change> {
        let known = self.term_at(index);
        if index <= self.base || known == Some(term) || known > Some(term) {
            return None;
        }
        let keep = self.last_index().min(index - 1);
        let mut add: Vec<_> = (keep + 1..index).map(|_| Entry::default()).collect();
        add.push(Entry { term: Some(term), command });
        let log = Some(LogChange { from: None, keep, add });
        Some(Change { log, ..Change::of(server) })
    }

    /// The change after which a snapshot replaces the entries up to `last`. If the log does not have this entry, it is discarded
    /// (Figure 13, step 7).
    pub fn with_snapshot(&self, server: usize, last: Place, discards: bool) -> Option<Change> {
        if last.index <= self.base {
            return None;
        }
        let keeps = !discards || self.term_at(last.index) == Some(last.term);
        let keep = if keeps { self.last_index() } else { self.base };
        let log = Some(LogChange { from: Some(last.index), keep, add: Vec::new() });
        Some(Change { log, ..Change::of(server) })
    }
}
