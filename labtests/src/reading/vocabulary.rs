//! The words: the fields of Figure 2 and Figure 13, and how people spell them.

use labrpc::describe::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// A field that the paper has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Word {
    /// The term of the sender. In a saved value: currentTerm. In an entry: the entry's term.
    Term,
    /// "Index of candidate's last log entry".
    LastLogIndex,
    /// "Term of candidate's last log entry".
    LastLogTerm,
    /// "Index of log entry immediately preceding new ones".
    PrevLogIndex,
    /// "Term of prevLogIndex entry".
    PrevLogTerm,
    /// "Log entries to store", a list of structs with a term.
    Entries,
    /// The term of an entry, if the field isn't named `term`.
    EntryTerm,
    /// "Leader's commitIndex".
    LeaderCommit,
    /// "The snapshot replaces all entries up through and including this index".
    LastIncludedIndex,
    /// "Term of lastIncludedIndex".
    LastIncludedTerm,
    /// "True if this is the last chunk".
    Done,
    /// "True means candidate received vote".
    VoteGranted,
    /// "True if follower contained entry matching prevLogIndex and prevLogTerm".
    Success,
    /// "candidateId that received vote in current term (or null if none)", saved.
    VotedFor,
    /// A field that says nothing of the above: the sender, a snapshot's bytes, a hint after a conflict.
    Other,
}

impl Word {
    /// How many words there are.
    pub(super) const COUNT: usize = Word::Other as usize + 1;

    /// All words.
    pub(super) const ALL: [Word; Word::COUNT] = [
        Word::Term,
        Word::LastLogIndex,
        Word::LastLogTerm,
        Word::PrevLogIndex,
        Word::PrevLogTerm,
        Word::Entries,
        Word::EntryTerm,
        Word::LeaderCommit,
        Word::LastIncludedIndex,
        Word::LastIncludedTerm,
        Word::Done,
        Word::VoteGranted,
        Word::Success,
        Word::VotedFor,
        Word::Other,
    ];

    /// What the paper calls it, in Rust's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Word::Term => "term",
            Word::LastLogIndex => "last_log_index",
            Word::LastLogTerm => "last_log_term",
            Word::PrevLogIndex => "prev_log_index",
            Word::PrevLogTerm => "prev_log_term",
            Word::Entries => "entries",
            Word::EntryTerm => "the entries' term",
            Word::LeaderCommit => "leader_commit",
            Word::LastIncludedIndex => "last_included_index",
            Word::LastIncludedTerm => "last_included_term",
            Word::Done => "done",
            Word::VoteGranted => "vote_granted",
            Word::Success => "success",
            Word::VotedFor => "voted_for",
            Word::Other => "other",
        }
    }

    /// The word that a field's name stands for, in any known spelling.
    fn spelt(name: &[u8]) -> Option<Word> {
        Some(match name {
            b"term" | b"currentterm" | b"curterm" | b"leaderterm" | b"candidateterm"
            | b"followerterm" | b"voterterm" => Word::Term,
            b"lastlogindex" | b"candidatelastlogindex" => Word::LastLogIndex,
            b"lastlogterm" | b"candidatelastlogterm" => Word::LastLogTerm,
            b"prevlogindex" | b"prelogindex" | b"previouslogindex" => Word::PrevLogIndex,
            b"prevlogterm" | b"prelogterm" | b"previouslogterm" => Word::PrevLogTerm,
            b"entries" | b"log" | b"logs" | b"logentries" => Word::Entries,
            b"logterm" | b"entryterm" => Word::EntryTerm,
            b"leadercommit" | b"leadercommitindex" | b"commitindex" => Word::LeaderCommit,
            b"lastincludedindex"
            | b"lastincludeindex"
            | b"lastsnapshotindex"
            | b"lastincludedlogindex" => Word::LastIncludedIndex,
            b"lastincludedterm"
            | b"lastincludeterm"
            | b"lastsnapshotterm"
            | b"lastincludedlogterm" => Word::LastIncludedTerm,
            b"done" => Word::Done,
            b"votegranted" | b"granted" | b"isvote" | b"vote" => Word::VoteGranted,
            b"success" | b"ok" | b"succ" => Word::Success,
            b"votedfor" | b"votefor" => Word::VotedFor,
            b"candidateid"
            | b"candidateindex"
            | b"leaderid"
            | b"leaderindex"
            | b"me"
            | b"from"
            | b"data"
            | b"snapshot"
            | b"offset"
            | b"xterm"
            | b"xindex"
            | b"xlen"
            | b"conflict"
            | b"conflictterm"
            | b"conflictindex"
            | b"nextindex"
            | b"members"
            | b"leadershiptransfer" => Word::Other,
            _ => return None,
        })
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a user declares about the names in their own messages, where these are not the paper's.
///
/// ```
/// use labtests::reading::{Names, Word};
/// let names = Names::new()
///     .field("agreed", Word::Success)
///     .field("trace_id", Word::Other)
///     .harmless("Raft.Gossip");
/// ```
///
/// Give it to [`Lab::names`](crate::lab::Lab::names), or to [`raft_suite!`](crate::raft_suite) after the constructor. Declared
/// names are compared with the runs like all others: a word that contradicts itself isn't believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Arc<Declared>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Declared {
    fields: Vec<(String, Word)>,
    harmless: Vec<String>,
}

impl Names {
    /// Only the usual names.
    pub fn new() -> Names {
        Names::default()
    }

    /// Declares that a field with this name is this field of the paper. Capitals and underscores don't matter.
    ///
    /// # Panics
    /// If the same name was declared as another word before.
    pub fn field(mut self, name: &str, word: Word) -> Names {
        let plain = plain(name);
        let known = self.0.fields.iter().find(|(other, _)| *other == plain);
        if let Some((_, other)) = known.filter(|(_, other)| *other != word) {
            panic!("the field {name:?} is declared twice: as {other} and as {word}");
        }
        Arc::make_mut(&mut self.0).fields.push((plain, word));
        self
    }

    /// Declares that calls of this method carry no votes, entries, snapshots or acknowledgements.
    pub fn harmless(mut self, method: &str) -> Names {
        let method = method.rsplit('.').next().unwrap_or(method);
        Arc::make_mut(&mut self.0).harmless.push(method.to_string());
        self
    }

    /// Whether the method was declared to be harmless.
    pub(super) fn is_harmless(&self, method: &str) -> bool {
        let method = method.rsplit('.').next().unwrap_or(method);
        self.0.harmless.iter().any(|name| name == method)
    }

    /// The word that a field's name stands for.
    pub(super) fn word(&self, parent: &str, name: &str) -> Option<Word> {
        let mut letters = [0; LONGEST];
        let plain = join(&mut letters, parent, name)?;
        let declared = self.0.fields.iter().find(|(other, _)| other.as_bytes() == plain);
        declared.map(|(_, word)| *word).or_else(|| Word::spelt(plain))
    }

    /// Notes which of the declared fields and methods a message has.
    pub(crate) fn meet(&self, method: &str, value: &Value, met: &mut BTreeSet<String>) {
        if self.is_harmless(method) {
            met.insert(method.rsplit('.').next().unwrap_or(method).to_string());
        }
        if !self.0.fields.is_empty() {
            self.meet_fields("", value, met);
        }
    }

    fn meet_fields(&self, parent: &str, value: &Value, met: &mut BTreeSet<String>) {
        match value {
            Value::Struct(_, inner) => {
                for (name, value) in inner {
                    let names = [plain(name), plain(parent) + &plain(name)];
                    let declared = |name: &String| self.0.fields.iter().any(|(own, _)| own == name);
                    met.extend(names.into_iter().filter(declared));
                    self.meet_fields(name, value, met);
                }
            }
            Value::Tagged(_, inner) => self.meet_fields(parent, inner, met),
            Value::List(items) => items.iter().for_each(|item| self.meet_fields("", item, met)),
            _ => {}
        }
    }

    /// All declared names: fields in the form in which they are compared, and methods.
    pub(crate) fn all(&self) -> BTreeSet<String> {
        let fields = self.0.fields.iter().map(|(name, _)| name);
        fields.chain(&self.0.harmless).cloned().collect()
    }

    /// Whether nothing was declared.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.fields.is_empty() && self.0.harmless.is_empty()
    }
}

/// No name of the vocabulary is longer than this.
const LONGEST: usize = 48;

/// Both names joined, in small letters without underscores. `None`: the result is too long.
fn join<'b>(letters: &'b mut [u8; LONGEST], parent: &str, name: &str) -> Option<&'b [u8]> {
    let mut len = 0;
    for byte in parent.bytes().chain(name.bytes()).filter(|byte| *byte != b'_') {
        *letters.get_mut(len)? = byte.to_ascii_lowercase();
        len += 1;
    }
    Some(&letters[..len])
}

/// A name in small letters without underscores.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_and_rust_spell_the_same_words() {
        let names = Names::new();
        for spelt in ["prev_log_index", "PrevLogIndex", "preLogIndex", "PREV_LOG_INDEX"] {
            assert_eq!(names.word("", spelt), Some(Word::PrevLogIndex), "{spelt}");
        }
        assert_eq!(names.word("prev_log", "index"), Some(Word::PrevLogIndex), "of a nested struct");
        assert_eq!(names.word("", "index"), None);
        assert_eq!(names.word("", &"x".repeat(99)), None);
    }

    #[test]
    fn what_is_declared_goes_first() {
        let names = Names::new()
            .field("Log_Term", Word::Other)
            .field("yea", Word::Success)
            .harmless("Raft.Gossip");
        assert_eq!(names.word("", "log_term"), Some(Word::Other));
        assert_eq!(names.word("", "Yea"), Some(Word::Success));
        assert!(names.is_harmless("Raft.Gossip") && !names.is_harmless("Raft.Goss"));
    }

    #[test]
    #[should_panic(expected = "declared twice")]
    fn a_name_has_one_meaning() {
        let _ = Names::new().field("yea", Word::Success).field("YEA", Word::VoteGranted);
    }
}
