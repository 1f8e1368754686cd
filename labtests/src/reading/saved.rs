//! What a saved value says, as far as it can be read.

use super::{Fields, Part, Reading, Word};
use labrpc::describe::Value;

/// What a saved value says about term and vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// currentTerm; and votedFor, if it can be read.
    Read(u64, Option<Option<u64>>),
    /// It has neither term nor vote.
    Silent,
    /// It may have them under other names.
    Unread,
}

impl Saved {
    /// Reads a saved value. Term and vote must be next to each other, at any place in the value.
    pub(super) fn read(reading: &Reading, value: &Value) -> Saved {
        match value {
            Value::Tagged(_, inner) => Saved::read(reading, inner),
            Value::Struct(_, inner) => {
                let fields = Fields::of(value, reading.names());
                match (fields.has(Word::Term), fields.has(Word::VotedFor)) {
                    (true, true) => Saved::of(reading, &fields),
                    (false, false) if is_of_a_log(&fields) => Saved::Silent,
                    _ => {
                        let mut within = inner.iter().map(|(_, v)| Saved::read(reading, v));
                        let read = within.find(|saved| matches!(saved, Saved::Read(..)));
                        read.unwrap_or(Saved::Unread)
                    }
                }
            }
            _ => Saved::Unread,
        }
    }

    fn of(reading: &Reading, fields: &Fields<'_>) -> Saved {
        let term = fields.number(Word::Term);
        let Some(term) = reading.believed(Part::Saved, Word::Term, term) else {
            return Saved::Unread;
        };
        let vote = fields.get(Word::VotedFor).and_then(|vote| match vote {
            Value::Unit(_) | Value::Signed(..0) => Some(None),
            other => other.as_u64().map(Some),
        });
        Saved::Read(term, reading.believed(Part::Saved, Word::VotedFor, vote))
    }
}

/// See [`Reading::saved_log`].
pub(super) fn log_length(reading: &Reading, value: &Value) -> Option<u64> {
    let fields = Fields::of(value, reading.names());
    if fields.has(Word::PrevLogIndex) {
        return None; // a record, which adds to the log
    }
    match fields.get(Word::Entries)? {
        Value::List(entries) => Some(entries.len() as u64),
        Value::Many(many) => Some(*many as u64),
        _ => None,
    }
}

/// See [`Reading::saved_entries`].
pub(super) fn entries(reading: &Reading, value: &Value) -> Option<(u64, u64)> {
    let fields = Fields::of(value, reading.names());
    let prev = fields.number(Word::PrevLogIndex)?;
    let many = match fields.get(Word::Entries)? {
        Value::List(entries) => entries.len() as u64,
        Value::Many(many) => *many as u64,
        _ => return None,
    };
    (many > 0).then(|| (prev + 1, prev + many))
}

/// Whether the only fields are those of a log, a commit index, or the end of a snapshot. Any other field may be this Raft's name
/// for a term or a vote.
fn is_of_a_log(fields: &Fields<'_>) -> bool {
    use Word::{
        Entries, LastIncludedIndex, LastIncludedTerm, LeaderCommit, PrevLogIndex, PrevLogTerm,
    };
    let words: Vec<_> = fields.words().collect();
    let snapshot = [LastIncludedIndex, LastIncludedTerm];
    let with_entries =
        |word| snapshot.contains(word) || [Entries, PrevLogIndex, PrevLogTerm].contains(word);
    let is_log = words.contains(&Entries) && words.iter().all(with_entries);
    fields.rest().is_empty() && (is_log || words == [LeaderCommit] || words == snapshot)
}
