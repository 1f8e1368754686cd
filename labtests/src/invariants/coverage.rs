//! Which facts could not be read, and so were not checked.

use crate::reading::{CONTENTS, Fact, Part, Reading, Word};
use labrpc::describe::Value;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a run, and what is not. A fact that was never seen counts as absent only if all messages that could have had
/// it could be read.
pub struct Known {
    /// Whether every vote is known, with its voter.
    pub votes: bool,
    /// Whether every leader is known, by its messages.
    pub leaders: bool,
    /// Whether all entries are known that servers were sent, and so may have acknowledged.
    pub acknowledgements: bool,
    /// Whether all replies to these entries are known.
    pub answers: bool,
    missed: BTreeMap<Fact, String>,
    methods: BTreeMap<String, String>,
    /// The declared names that were found in some message.
    pub met: BTreeSet<String>,
}

impl Default for Known {
    fn default() -> Known {
        Known {
            votes: true,
            leaders: true,
            acknowledgements: true,
            answers: true,
            missed: BTreeMap::new(),
            methods: BTreeMap::new(),
            met: BTreeSet::new(),
        }
    }
}

impl Known {
    /// A fact could not be read in this message.
    pub fn miss(&mut self, fact: Fact, method: &str, value: &Value) {
        self.missed.entry(fact).or_insert_with(|| format!("{method} has {}", shape(value)));
    }

    /// Something could have been read, but was not.
    pub fn knows_nothing_more(&mut self) {
        (self.votes, self.leaders, self.acknowledgements, self.answers) =
            (false, false, false, false);
    }

    /// A call may carry anything.
    pub fn miss_all(&mut self, method: &str, value: &Value) {
        self.knows_nothing_more();
        if !self.methods.contains_key(method) {
            self.methods.insert(method.to_string(), shape(value));
        }
    }
}

/// The names of a value's fields.
fn shape(value: &Value) -> String {
    match value {
        Value::Tagged("Some", inner) => shape(inner),
        Value::Tagged(name, inner) => format!("{name}({})", shape(inner)),
        Value::Struct(name, fields) => {
            let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
            format!("{name} {{ {} }}", names.join(", "))
        }
        Value::List(_) | Value::Many(_) => "a list or tuple, without names".into(),
        Value::Unit(name) => (*name).to_string(),
        _ => "a value without names".into(),
    }
}

/// What could be checked with the messages of one run or of several runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Coverage {
    #[serde(with = "in_pairs")]
    missed: BTreeMap<Fact, String>,
    #[serde(with = "in_pairs")]
    doubts: BTreeMap<Fact, String>,
    methods: BTreeMap<String, String>,
    /// The declared names, and those of them that were found in some message.
    declared: BTreeSet<String>,
    met: BTreeSet<String>,
    /// Whether the tester looked into a server, and whether `inspect()` returned something.
    pub(super) looks: (bool, bool),
}

impl Coverage {
    /// The coverage of one run.
    pub(super) fn of(known: &Known, reading: &Reading) -> Coverage {
        Coverage {
            missed: known.missed.clone(),
            methods: known.methods.clone(),
            doubts: reading.doubts().clone(),
            declared: reading.names().all(),
            met: known.met.clone(),
            looks: (false, false),
        }
    }

    /// Adds the coverage of one more run.
    pub fn add(&mut self, other: &Coverage) {
        self.declared.extend(other.declared.iter().cloned());
        self.met.extend(other.met.iter().cloned());
        add(&mut self.missed, &other.missed);
        add(&mut self.doubts, &other.doubts);
        add(&mut self.methods, &other.methods);
        self.looks = (self.looks.0 || other.looks.0, self.looks.1 || other.looks.1);
    }

    /// The facts that contradict themselves, and so were not believed. One sentence for each.
    pub fn doubted(&self) -> impl Iterator<Item = String> {
        self.doubts.iter().map(|(fact, why)| doubted(*fact, why))
    }

    /// What could not be checked though there was the opportunity. One or two sentences for each: what the check would find, why
    /// it was not possible, and what helps.
    pub fn unchecked(&self) -> Vec<String> {
        let missed = self.missed.iter().filter(|(fact, _)| !self.doubts.contains_key(fact));
        let missed = missed.map(|(fact, shape)| unread(*fact, shape));
        let methods = self.methods.iter().map(|(method, shape)| {
            format!(
                "that a leader has a majority of votes, that a committed entry is on a majority, and that acknowledged entries were \
                 sent. The reason: calls of {method} ({shape}) can't be read, and may carry the missing votes, entries or \
                 snapshots. If they never carry any, declare it: Names::new().harmless({method:?})"
            )
        });
        let looks = (self.looks == (true, false)).then(|| {
            "what a server treats as committed before it applies it. The reason: the Raft has no inspect(), which would show the \
             commit index".to_string()
        });
        let unmet = self.declared.difference(&self.met).map(|name| {
            format!("the meaning of the declared name {name:?}. The reason: no message and no saved value has that name. Is it spelled right?")
        });
        missed.chain(self.doubted()).chain(methods).chain(looks).chain(unmet).collect()
    }
}

/// As a list of pairs, because the keys of JSON objects can only be strings.
mod in_pairs {
    use super::Fact;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub fn serialize<S: Serializer>(
        map: &BTreeMap<Fact, String>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<Fact, String>, D::Error> {
        Vec::deserialize(from).map(|pairs: Vec<(Fact, String)>| pairs.into_iter().collect())
    }
}

fn add<K: Clone + Ord>(to: &mut BTreeMap<K, String>, from: &BTreeMap<K, String>) {
    for (key, text) in from {
        to.entry(key.clone()).or_insert_with(|| text.clone());
    }
}

fn unread((part, word): Fact, shape: &str) -> String {
    format!(
        "{}. The reason: {word} can't be read in {part} ({shape}). Name the field {word:?} as the paper does ({word}), or declare its name: \
         Names::new().field(.., Word::{word:?})",
        finds((part, word))
    )
}

fn doubted((part, word): Fact, why: &str) -> String {
    if (part, word) == CONTENTS {
        return format!(
            "that entries with the same index and term carry the same values besides their command (§5.3). The reason: {why}"
        );
    }
    format!(
        "{}. The reason: {word} in {part} seems to mean something else here: {why}",
        finds((part, word))
    )
}

/// What is checked with a fact.
fn finds((part, word): Fact) -> &'static str {
    match (part, word) {
        (Part::Vote, Word::LastLogIndex) => {
            "that no voter's log is more up-to-date than the log of the candidate that gets its vote, and that leaders have all \
             committed entries (§5.4.1)"
        }
        (Part::Vote | Part::VoteReply, Word::VoteGranted | Word::LastLogTerm) | (Part::Vote, _) => {
            "that a server votes once in a term, and that a leader has a majority (§5.2)"
        }
        (Part::Append, Word::LeaderCommit) => {
            "which entries leaders treat as committed, before servers apply them (§5.3, §5.4.2)"
        }
        (Part::Append, _) => {
            "that an index and a term identify one entry, that leaders do not overwrite their log, and that a committed entry is \
             on a majority (§5.3, §5.4)"
        }
        (Part::AppendReply, Word::Success) => {
            "that acknowledged entries are not lost later, and that a committed entry is on a majority (§5.3)"
        }
        (Part::Install | Part::InstallReply, _) => {
            "that a follower that got a snapshot has what it acknowledges (§7)"
        }
        (Part::Saved, _) => {
            "that term and vote are saved before another server hears of them (Figure 2). The tester checks only that they \
             survive crashes"
        }
        (Part::Service, _) => {
            "that servers apply the entries that messages commit: the service counts indices differently from the log, perhaps \
             because Raft hides its own entries from the service"
        }
        _ => "that a reply names the term of the server that sends it (§5.1)",
    }
}
