//! What is known of a server at a moment of the run.

use serde::{Serialize, Serializer};

/// The role of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It follows a leader, or waits for one.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It leads its term.
    Leader,
}

impl Role {
    /// Its first letter.
    pub fn letter(self) -> char {
        match self {
            Role::Follower => 'F',
            Role::Candidate => 'C',
            Role::Leader => 'L',
        }
    }
}

/// Whom a server has voted for in its current term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vote {
    /// Nothing was seen of it.
    #[default]
    Unknown,
    /// Nobody yet.
    Nobody,
    /// This server.
    For(u64),
}

impl Serialize for Vote {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Vote::Unknown => serializer.serialize_str("unknown"),
            Vote::Nobody => serializer.serialize_none(),
            Vote::For(server) => serializer.serialize_u64(*server),
        }
    }
}

/// An entry, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its term.
    pub term: Option<u64>,
    /// Its command.
    pub command: Option<String>,
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.term, &self.command).serialize(serializer)
    }
}

/// What is known of a server. `None` is unknown, except where it says otherwise.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Its role.
    pub role: Option<Role>,
    /// Its current term.
    pub term: Option<u64>,
    /// Its vote in this term.
    pub vote: Vote,
    /// The highest index that it knows to be committed.
    pub commit: Option<u64>,
    /// The highest index that it has applied.
    pub applied: Option<u64>,
    /// Whether it runs.
    pub alive: bool,
    /// Whether the tester connects it with the others.
    pub connected: bool,
    /// The index up to which a snapshot replaces its entries.
    pub base: u64,
    /// The entries after `base`.
    pub entries: Vec<Entry>,
}

impl View {
    /// The index of the last entry that is known.
    pub fn last_index(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    /// The entry at this index.
    pub fn entry(&self, index: u64) -> Option<&Entry> {
        let at = index.checked_sub(self.base + 1)?;
        self.entries.get(usize::try_from(at).ok()?)
    }

    /// The term of the entry at this index.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        if index == 0 { Some(0) } else { self.entry(index)?.term }
    }

    /// Applies a change.
    pub fn change(&mut self, change: &Change) {
        let Change { role, term, vote, commit, applied, alive, connected, log, .. } = change;
        let set = |field: &mut Option<u64>, new: &Option<u64>| *field = new.or(*field);
        set(&mut self.term, term);
        set(&mut self.commit, commit);
        set(&mut self.applied, applied);
        self.role = role.unwrap_or(self.role);
        self.vote = vote.unwrap_or(self.vote);
        self.alive = alive.unwrap_or(self.alive);
        self.connected = connected.unwrap_or(self.connected);
        if let Some(log) = log {
            self.change_log(log);
        }
    }

    fn change_log(&mut self, log: &LogChange) {
        let kept = log.keep.saturating_sub(self.base) as usize;
        self.entries.truncate(kept);
        self.entries.extend(log.add.iter().cloned());
        if let Some(base) = log.from {
            let gone = base.saturating_sub(self.base) as usize;
            self.entries.drain(..gone.min(self.entries.len()));
            self.base = base;
        }
    }
}

/// What changed in a server's state. `None`: it did not change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The server.
    pub server: usize,
    /// The new role; `Some(None)`: unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Option<Role>>,
    /// The new term.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<u64>,
    /// The new vote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vote: Option<Vote>,
    /// The new commit index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<u64>,
    /// The new last applied index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<u64>,
    /// Whether it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alive: Option<bool>,
    /// Whether it is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// The change of its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogChange>,
}

impl Change {
    /// No change of this server yet.
    pub fn of(server: usize) -> Change {
        Change { server, ..Change::default() }
    }
}

/// The entries after index `keep` are replaced by `add`. Then, if there is a `from`, a snapshot replaces the entries up to it. With
/// `keep` and `from` 0 the log is empty again: the server lost its disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogChange {
    /// See [`LogChange`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// See [`LogChange`].
    pub keep: u64,
    /// See [`LogChange`].
    pub add: Vec<Entry>,
}
