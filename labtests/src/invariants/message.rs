//! Anybody's messages, read as the paper's: by what their fields are called, in Rust's spelling or Go's.

use labrpc::describe::Value;

/// An entry's place: its index, and the term of the leader that created it. Ordered as §5.4.1 orders logs by their
/// last entries: by term first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The term of the entry.
    pub term: u64,
    /// Its index.
    pub index: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.index {
            0 => f.write_str("nothing"),
            index => write!(f, "index {index} of term {}", self.term),
        }
    }
}

/// What a call asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask<'a> {
    /// RequestVote.
    Vote {
        /// "Candidate's term".
        term: u64,
        /// "Index and term of candidate's last log entry".
        last: Place,
    },
    /// AppendEntries.
    Append {
        /// "Leader's term".
        term: u64,
        /// prevLogIndex and prevLogTerm.
        prev: Place,
        /// The entries with their terms.
        entries: Vec<(u64, &'a Value)>,
        /// leaderCommit, if there is one.
        commit: Option<u64>,
    },
    /// InstallSnapshot, or the last part of one.
    Install {
        /// "Leader's term".
        term: u64,
        /// lastIncludedIndex and lastIncludedTerm.
        last: Place,
    },
}

/// What a reply says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// "currentTerm".
    pub term: Option<u64>,
    /// voteGranted, or success.
    pub yes: Option<bool>,
}

impl<'a> Ask<'a> {
    /// Reads a call's arguments. `None`: it is none of the three, or its fields are called otherwise.
    pub fn read(method: &str, args: &'a Value) -> Option<Ask<'a>> {
        let number = |name| field(args, name)?.as_u64();
        let place = |index, term| Some(Place { index: number(index)?, term: number(term)? });
        let term = number("term")?;
        if let Some(last) = place("lastlogindex", "lastlogterm") {
            return (!is_pre_vote(method, args)).then_some(Ask::Vote { term, last });
        }
        if let Some(prev) = place("prevlogindex", "prevlogterm") {
            let entries = read_entries(field(args, "entries")?)?;
            let commit = number("leadercommit").or_else(|| number("leadercommitindex"));
            return Some(Ask::Append { term, prev, entries, commit });
        }
        let last = place("lastincludedindex", "lastincludedterm")?;
        let whole = field(args, "done") != Some(&Value::Bool(false));
        whole.then_some(Ask::Install { term, last })
    }
}

/// Whether a call is a pre-vote (thesis §9.6), which asks in a term that may never be: it has the fields of RequestVote, and the
/// word `pre` in the method's name, or in the name of a flag that is set: `is_pre_vote: true`, `kind: PreVote`.
pub fn is_pre_vote(method: &str, args: &Value) -> bool {
    let method = method.rsplit('.').next().unwrap_or(method);
    says_pre(method) || is_flagged(args)
}

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

/// `pre_vote`, `PreVote`, `prevote`, `PRE_VOTE`, but not `preempts`, nor `prev_log`.
fn says_pre(name: &str) -> bool {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && words.ends_with(char::is_lowercase) {
            words.push('_');
        }
        words.push(letter);
    }
    let words = words.to_ascii_lowercase();
    words.split('_').any(|word| word == "pre" || word.starts_with("prevote"))
}

fn read_entries(value: &Value) -> Option<Vec<(u64, &Value)>> {
    let Value::List(items) = value else { return None };
    let entry = |item| Some((field(item, "term")?.as_u64()?, item));
    items.iter().map(entry).collect()
}

impl Reply {
    /// Reads a reply. What isn't there stays `None`.
    pub fn read(value: &Value) -> Reply {
        let yes = field(value, "votegranted").or_else(|| field(value, "success"));
        let yes = match yes {
            Some(Value::Bool(yes)) => Some(*yes),
            _ => None,
        };
        Reply { term: field(value, "term").and_then(Value::as_u64), yes }
    }
}

/// What a saved value says of term and vote, wherever in it they are: `(currentTerm, votedFor)`.
pub fn read_saved(value: &Value) -> Option<(u64, Option<u64>)> {
    match value {
        Value::Tagged(_, inner) => read_saved(inner),
        Value::Struct(_, fields) => {
            let here = || {
                let vote = field(value, "votedfor")?;
                Some((field(value, "currentterm")?.as_u64()?, vote.as_u64()))
            };
            here().or_else(|| fields.iter().find_map(|(_, inner)| read_saved(inner)))
        }
        _ => None,
    }
}

/// The field of that name, spelt in any way.
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Struct(_, fields) => fields.iter().find(|(n, _)| same(n, name)).map(|(_, v)| v),
        Value::Tagged(_, inner) => field(inner, name),
        _ => None,
    }
}

/// Whether a name is `plain` (in small letters), but for capitals and underscores.
fn same(name: &str, plain: &str) -> bool {
    let letters = name.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase());
    letters.eq(plain.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct GoVote {
        term: u64,
        last_log_index: i64,
        last_log_term: u64,
    }

    #[derive(Serialize)]
    struct Append {
        term: u64,
        prev_log_index: u64,
        prev_log_term: u64,
        entries: Vec<Entry>,
        leader_commit: u64,
    }

    #[derive(Serialize)]
    struct Entry {
        term: u64,
    }

    #[test]
    fn gos_and_rusts_spelling_are_read() {
        let vote = Value::of(&GoVote { term: 3, last_log_index: 7, last_log_term: 2 });
        let last = Place { index: 7, term: 2 };
        assert_eq!(Ask::read("Raft.RequestVote", &vote), Some(Ask::Vote { term: 3, last }));
        for other in ["Raft.PreVote", "Raft.request_pre_vote", "Raft.PreCandidate"] {
            assert_eq!(Ask::read(other, &vote), None, "asks in a term that may never be");
        }
        let append = Append {
            term: 3,
            prev_log_index: 0,
            prev_log_term: 0,
            entries: vec![Entry { term: 1 }, Entry { term: 3 }],
            leader_commit: 1,
        };
        let append = Value::of(&append);
        let Some(Ask::Append { entries, commit, .. }) = Ask::read("x", &append) else { panic!() };
        assert_eq!(entries.iter().map(|(term, _)| *term).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(commit, Some(1));
    }

    #[test]
    fn what_says_pre_is_a_word() {
        for name in ["pre_vote", "is_prevote", "PRE_VOTE", "PreVote", "requestPreVote", "pre"] {
            assert!(says_pre(name), "{name}");
        }
        for name in ["preempts", "prev_log_seen", "PreventsNothing", "expressed", "vote"] {
            assert!(!says_pre(name), "{name}");
        }
    }

    /// Some send pre-votes as RequestVote, and say so in it.
    #[test]
    fn a_pre_vote_is_known_by_its_flag() {
        #[derive(Serialize)]
        enum Why {
            Election,
            PreElection,
        }
        #[derive(Serialize)]
        struct Vote {
            term: u64,
            last_log_index: u64,
            last_log_term: u64,
            is_pre_vote: bool,
            why: Why,
        }
        let read = |is_pre_vote, why| {
            let vote = Vote { term: 3, last_log_index: 7, last_log_term: 2, is_pre_vote, why };
            Ask::read("Raft.RequestVote", &Value::of(&vote)).is_some()
        };
        assert!(read(false, Why::Election));
        assert!(!read(true, Why::Election));
        assert!(!read(false, Why::PreElection));
    }

    #[test]
    fn other_names_or_numbers_below_zero_are_not_guessed_at() {
        let below = Value::of(&GoVote { term: 3, last_log_index: -1, last_log_term: 2 });
        assert_eq!(Ask::read("Raft.RequestVote", &below), None);
        assert_eq!(Ask::read("Raft.RequestVote", &Value::of(&(1, 2, 3))), None);
    }

    #[test]
    fn a_saved_vote_is_found_within() {
        #[derive(Serialize)]
        enum Record {
            Vote { current_term: u64, voted_for: Option<usize> },
        }
        #[derive(Serialize)]
        struct State {
            hard: Record,
            log: Vec<Entry>,
        }
        let hard = Record::Vote { current_term: 4, voted_for: Some(2) };
        assert_eq!(read_saved(&Value::of(&State { hard, log: vec![] })), Some((4, Some(2))));
        let nobody = Record::Vote { current_term: 5, voted_for: None };
        assert_eq!(read_saved(&Value::of(&nobody)), Some((5, None)));
        assert_eq!(read_saved(&Value::of(&Entry { term: 1 })), None);
    }
}
