//! What a message or a saved value says: the paper's facts, as far as they can be read.

use super::called::says_pre;
use super::{Fields, Names, Part, Reading, Word};
use labrpc::describe::Value;

/// An entry's place: its index, and the term of the leader that created it. Places are ordered as §5.4.1 orders logs by their
/// last entries: first by term, then by index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The term of the entry.
    pub term: u64,
    /// The index of the entry.
    pub index: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.index {
            0 => f.write_str("index 0 (empty)"),
            index => write!(f, "index {index} of term {}", self.term),
        }
    }
}

/// What a call asks. Each fact may be unknown.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask<'a> {
    /// RequestVote.
    Vote {
        /// "Candidate's term".
        term: Option<u64>,
        /// "Index and term of candidate's last log entry".
        last: Option<Place>,
    },
    /// AppendEntries.
    Append {
        /// "Leader's term".
        term: Option<u64>,
        /// What the request says about logs.
        logs: Logs<'a>,
        /// leaderCommit, if it can be read.
        commit: Option<u64>,
    },
    /// InstallSnapshot.
    Install {
        /// "Leader's term".
        term: Option<u64>,
        /// lastIncludedIndex and lastIncludedTerm.
        last: Option<Place>,
        /// Whether the snapshot is complete with this call.
        whole: Option<bool>,
    },
    /// A pre-vote (thesis §9.6), which asks for a term that may never begin.
    PreVote,
    /// It carries nothing of the above: its name says so, or the user has declared it.
    Harmless,
    /// It may carry anything.
    Unknown,
}

/// What an AppendEntries says about logs.
#[derive(Clone, Debug, PartialEq)]
pub enum Logs<'a> {
    /// All of it could be read.
    Read(Sent<'a>),
    /// Not all of it could be read. The values are prevLogIndex and the number of entries, if known.
    Unread(Option<u64>, Option<usize>),
    /// It says nothing about logs, and has no field that could: a heartbeat with its own method.
    Silent,
}

/// The entries of a message, and their place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent<'a> {
    /// prevLogIndex and prevLogTerm.
    pub prev: Place,
    /// The entries with their terms.
    pub entries: Vec<(u64, &'a Value)>,
}

impl Sent<'_> {
    /// The places of the entries.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        let terms = self.entries.iter().map(|(term, _)| *term);
        (self.prev.index + 1..).zip(terms).map(|(index, term)| Place { term, index })
    }
}

/// What a reply says. A fact that is missing or can't be read is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// "currentTerm".
    pub term: Option<u64>,
    /// voteGranted, or success.
    pub yes: Option<bool>,
    /// Whether a reply that says yes also names a conflict of logs. `None`: it doesn't say yes, or has no field for a conflict.
    pub yes_but: Option<bool>,
}

impl<'a> Ask<'a> {
    /// Reads a call's arguments.
    pub(super) fn read(reading: &'a Reading, method: &str, args: &'a Value) -> Ask<'a> {
        let fields = Fields::of(args, reading.names());
        let has = |a, b| fields.has(a) || fields.has(b);
        let append = has(Word::PrevLogIndex, Word::PrevLogTerm);
        let install = has(Word::LastIncludedIndex, Word::LastIncludedTerm);
        let vote = has(Word::LastLogIndex, Word::LastLogTerm);
        let called = reading.called(method, title(args));
        let unless_named_otherwise =
            |is_named_so, ask| if called.is_otherwise(is_named_so) { Ask::Unknown } else { ask };
        let is_pre_vote = || called.pre_vote || is_flagged(args);
        match (append, install, vote) {
            _ if reading.names().is_harmless(method) => Ask::Harmless,
            _ if has(Word::VoteGranted, Word::Success) => Ask::Unknown,
            _ if called.answer => Ask::Unknown,
            (true, false, false) => {
                unless_named_otherwise(called.append, Ask::append(reading, &fields))
            }
            (false, true, false) => {
                unless_named_otherwise(called.install, Ask::install(reading, &fields))
            }
            (false, false, true) if is_pre_vote() => Ask::PreVote,
            (false, false, true) => {
                unless_named_otherwise(called.vote, Ask::vote(reading, &fields))
            }
            // The fields are of no kind of call, or of several.
            _ if is_pre_vote() => Ask::PreVote,
            // The fields don't tell the kind of call, so the names of method and struct decide.
            _ if called.harmless => Ask::Harmless,
            _ if called.vote => Ask::vote(reading, &fields),
            _ if called.append => Ask::append(reading, &fields),
            _ if called.install => Ask::install(reading, &fields),
            _ => Ask::Unknown,
        }
    }

    fn vote(reading: &Reading, fields: &Fields<'a>) -> Ask<'a> {
        let place = place(fields, Word::LastLogIndex, Word::LastLogTerm);
        Ask::Vote {
            term: reading.believed(Part::Vote, Word::Term, fields.number(Word::Term)),
            last: reading.believed(Part::Vote, Word::LastLogIndex, place),
        }
    }

    fn append(reading: &Reading, fields: &Fields<'a>) -> Ask<'a> {
        let commit = fields.number(Word::LeaderCommit);
        Ask::Append {
            term: reading.believed(Part::Append, Word::Term, fields.number(Word::Term)),
            logs: Logs::read(reading, fields),
            commit: reading.believed(Part::Append, Word::LeaderCommit, commit),
        }
    }

    fn install(reading: &Reading, fields: &Fields<'a>) -> Ask<'a> {
        let place = place(fields, Word::LastIncludedIndex, Word::LastIncludedTerm);
        // An unknown field may say that more pieces follow.
        let alone = !fields.has(Word::Done) && fields.rest().is_empty();
        Ask::Install {
            term: reading.believed(Part::Install, Word::Term, fields.number(Word::Term)),
            last: reading.believed(Part::Install, Word::LastIncludedIndex, place),
            whole: fields.flag(Word::Done).or(alone.then_some(true)),
        }
    }
}

impl<'a> Logs<'a> {
    fn read(reading: &Reading, fields: &Fields<'a>) -> Logs<'a> {
        let prev = place(fields, Word::PrevLogIndex, Word::PrevLogTerm);
        let list = match fields.get(Word::Entries) {
            Some(Value::List(items)) => Some(items),
            _ => None,
        };
        let terms = |items: &'a Vec<Value>| {
            let mut shape = Shape::default();
            let mut entries = Vec::with_capacity(items.len());
            for item in items {
                entries.push((shape.term(reading.names(), item)?, item));
            }
            Some(entries)
        };
        let trusted = reading.trusts((Part::Append, Word::PrevLogIndex));
        match (prev, list.and_then(terms)) {
            (Some(prev), Some(entries)) if trusted => Logs::Read(Sent { prev, entries }),
            (None, None) if list.is_none() && Logs::nowhere(fields) => Logs::Silent,
            _ => {
                let prev = fields.number(Word::PrevLogIndex).filter(|_| trusted);
                Logs::Unread(prev, list.map(Vec::len))
            }
        }
    }

    fn nowhere(fields: &Fields<'_>) -> bool {
        let words = [Word::PrevLogIndex, Word::PrevLogTerm, Word::Entries];
        fields.rest().is_empty() && !words.iter().any(|word| fields.has(*word))
    }

    /// The index of the last entry that the call names or carries.
    pub fn last_index(&self) -> Option<u64> {
        match self {
            Logs::Read(sent) => Some(sent.prev.index + sent.entries.len() as u64),
            Logs::Unread(prev, carries) => Some((*prev)? + (*carries)? as u64),
            Logs::Silent => None,
        }
    }

    /// How many entries the call carries.
    pub fn carries(&self) -> Option<usize> {
        match self {
            Logs::Read(sent) => Some(sent.entries.len()),
            Logs::Unread(_, carries) => *carries,
            Logs::Silent => Some(0),
        }
    }
}

/// Where the term stands in an entry. The entries of a message mostly have the same shape, so it is looked up once for all of them.
#[derive(Default)]
struct Shape<'a> {
    fields: &'a [(&'static str, Value)],
    terms: Vec<usize>,
}

impl<'a> Shape<'a> {
    /// The term of an entry.
    fn term(&mut self, names: &Names, entry: &'a Value) -> Option<u64> {
        match entry {
            Value::Tagged(_, inner) => self.term(names, inner),
            Value::Struct(_, fields) => self.term_of(names, fields),
            // `(term, command)`: the term is the only number.
            Value::List(items) => match &items[..] {
                [term, Value::Bytes(_)] | [Value::Bytes(_), term] => term.as_u64(),
                _ => None,
            },
            _ => None,
        }
    }

    fn term_of(&mut self, names: &Names, fields: &'a [(&'static str, Value)]) -> Option<u64> {
        let same = |(ours, theirs): (&(&str, _), &(&str, _))| std::ptr::eq(ours.0, theirs.0);
        if fields.len() != self.fields.len() || !fields.iter().zip(self.fields).all(same) {
            let is_term = |name| matches!(names.word("", name), Some(Word::Term | Word::EntryTerm));
            let terms = (0..fields.len()).filter(|at| is_term(fields[*at].0));
            *self = Shape { fields, terms: terms.collect() };
        }
        let mut terms = self.terms.iter().map(|at| fields[*at].1.as_u64());
        let first = terms.next()?;
        first.filter(|_| terms.all(|other| other == first))
    }
}

fn place(fields: &Fields<'_>, index: Word, term: Word) -> Option<Place> {
    Some(Place { index: fields.number(index)?, term: fields.number(term)? })
}

/// The name of a message's struct or variant.
pub(super) fn title(value: &Value) -> &str {
    match value {
        Value::Struct(name, _) | Value::Unit(name) | Value::Tagged(name, _) => name,
        _ => "",
    }
}

/// Whether a field marks the request as a pre-vote: `is_pre_vote: true`, `kind: PreVote`.
fn is_flagged(args: &Value) -> bool {
    let set = |(name, value): &(&str, Value)| match value {
        Value::Bool(yes) => *yes && says_pre(name),
        Value::Unit(variant) => says_pre(variant),
        _ => false,
    };
    match args {
        Value::Struct(_, fields) => fields.iter().any(set),
        Value::Tagged(_, inner) => is_flagged(inner),
        _ => false,
    }
}

impl Reply {
    /// Reads a reply.
    pub(super) fn read(reading: &Reading, part: Part, value: &Value) -> Reply {
        let (term, yes) = match value {
            Value::List(items) => in_tuple(items),
            Value::Bool(yes) => (None, Some(*yes)),
            value => {
                let fields = Fields::of(value, reading.names());
                (fields.number(Word::Term), yes_or_no(&fields))
            }
        };
        let yes_is = if part == Part::VoteReply { Word::VoteGranted } else { Word::Success };
        let is_yes = part == Part::AppendReply && yes == Some(true);
        Reply {
            term: reading.believed(part, Word::Term, term),
            yes: reading.believed(part, yes_is, yes),
            yes_but: is_yes.then(|| names_a_conflict(value)).flatten(),
        }
    }
}

/// Names of the fields that say, in a refusal, where the logs differ (§5.3).
const CONFLICTS: [&str; 5] = ["conflict", "conflictterm", "conflictindex", "xterm", "xindex"];

/// Whether one of these fields has a value. `None`: there is no such field.
fn names_a_conflict(reply: &Value) -> Option<bool> {
    let fields = match reply {
        Value::Struct(_, fields) => fields,
        Value::Tagged(_, inner) => return names_a_conflict(inner),
        _ => return None,
    };
    let is = |name: &str, known: &str| {
        let letters = name.bytes().filter(|letter| *letter != b'_');
        letters.map(|letter| letter.to_ascii_lowercase()).eq(known.bytes())
    };
    let conflicts = fields.iter().filter(|(name, _)| CONFLICTS.iter().any(|known| is(name, known)));
    let has_something = conflicts.map(|(_, value)| match value {
        Value::Unit(_) | Value::Signed(..=0) | Value::Unsigned(0) => false,
        Value::Unsigned(_) | Value::Signed(_) | Value::Tagged(..) | Value::Struct(..) => true,
        _ => false,
    });
    has_something.reduce(|one, other| one || other)
}

fn yes_or_no(fields: &Fields<'_>) -> Option<bool> {
    match (fields.has(Word::VoteGranted), fields.has(Word::Success)) {
        (true, true) => None,
        (true, false) => fields.flag(Word::VoteGranted),
        (false, _) => fields.flag(Word::Success),
    }
}

/// In a reply without names, the only number is the term, and the only `bool` is the answer.
fn in_tuple(items: &[Value]) -> (Option<u64>, Option<bool>) {
    let numbers = items.iter().filter(|v| matches!(v, Value::Unsigned(_) | Value::Signed(_)));
    let flags =
        items.iter().filter_map(|v| if let Value::Bool(yes) = v { Some(*yes) } else { None });
    let (numbers, flags): (Vec<_>, Vec<_>) = (numbers.collect(), flags.collect());
    let simple = numbers.len() + flags.len() == items.len();
    match (&numbers[..], &flags[..]) {
        ([term], [yes]) if simple => (term.as_u64(), Some(*yes)),
        _ => (None, None),
    }
}

impl Reading {
    /// The value of a fact, if the fact is believed.
    pub(super) fn believed<T>(&self, part: Part, word: Word, value: Option<T>) -> Option<T> {
        value.filter(|_| self.trusts((part, word)))
    }
}

#[cfg(test)]
mod tests;
