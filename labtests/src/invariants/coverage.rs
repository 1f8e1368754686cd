//! What could not be read, and so was not checked.

use crate::reading::{CONTENTS, Fact, Part, Reading, Word};
use labrpc::describe::Value;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a run, and what is not. Nothing is concluded from what nobody said, unless everything could be read that
/// could have said it.
pub struct Known {
    /// Every vote that was given, and by whom.
    pub votes: bool,
    /// Every leader, by its messages.
    pub leaders: bool,
    /// All that servers were sent, and may have acknowledged.
    pub acknowledgements: bool,
    /// All answers to that.
    pub answers: bool,
    missed: BTreeMap<Fact, String>,
    methods: BTreeMap<String, String>,
    /// The declared names that some message had.
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

    /// Something that could have been read was not.
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

/// A value's fields, by name.
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

/// What the messages of a run, or of several, let one check.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Coverage {
    #[serde(with = "in_pairs")]
    missed: BTreeMap<Fact, String>,
    #[serde(with = "in_pairs")]
    doubts: BTreeMap<Fact, String>,
    methods: BTreeMap<String, String>,
    /// What was declared, and what of it some message had.
    declared: BTreeSet<String>,
    met: BTreeSet<String>,
    /// Whether a server was looked into, and whether that showed something.
    pub(super) looks: (bool, bool),
}

impl Coverage {
    /// Of one run.
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

    /// That of one more run.
    pub fn add(&mut self, other: &Coverage) {
        self.declared.extend(other.declared.iter().cloned());
        self.met.extend(other.met.iter().cloned());
        add(&mut self.missed, &other.missed);
        add(&mut self.doubts, &other.doubts);
        add(&mut self.methods, &other.methods);
        self.looks = (self.looks.0 || other.looks.0, self.looks.1 || other.looks.1);
    }

    /// What contradicts itself, and so was not believed. A sentence each.
    pub fn doubted(&self) -> impl Iterator<Item = String> {
        self.doubts.iter().map(|(fact, why)| doubted(*fact, why))
    }

    /// What could not be checked though there was the opportunity: why, what that would find, and what helps. A sentence or two each.
    pub fn unchecked(&self) -> Vec<String> {
        let missed = self.missed.iter().filter(|(fact, _)| !self.doubts.contains_key(fact));
        let missed = missed.map(|(fact, shape)| unread(*fact, shape));
        let methods = self.methods.iter().map(|(method, shape)| {
            format!(
                "calls of {method} ({shape}) may carry votes, entries or snapshots, so nothing is concluded from what was not \
                 said elsewhere: who was elected by too few, what was committed by too few, what was acknowledged and never \
                 sent. If they carry none of that, declare it: Names::new().harmless({method:?})"
            )
        });
        let looks = (self.looks == (true, false)).then(|| {
            "commit indexes before anything is applied: there is no inspect(), which would show them".to_string()
        });
        let unmet = self.declared.difference(&self.met).map(|name| {
            format!("what the declared name {name:?} was to tell: no message and no saved value has it. Is it spelt so?")
        });
        missed.chain(self.doubted()).chain(methods).chain(looks).chain(unmet).collect()
    }
}

/// JSON's objects have only texts for keys.
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
        "{}: {word} can't be read in {part} ({shape}). Call it {word:?} as the paper does ({word}), or declare the name that it has: \
         Names::new().field(.., Word::{word:?})",
        finds((part, word))
    )
}

fn doubted((part, word): Fact, why: &str) -> String {
    if (part, word) == CONTENTS {
        return format!(
            "what entries at one index and term carry, besides a command (§5.3): {why}"
        );
    }
    format!(
        "{}: {word} in {part} seems to mean something else here, for {why}",
        finds((part, word))
    )
}

/// What rests on a fact.
fn finds((part, word): Fact) -> &'static str {
    match (part, word) {
        (Part::Vote, Word::LastLogIndex) => {
            "whether voters are more up-to-date than their candidate, and leaders have all that is committed (§5.4.1)"
        }
        (Part::Vote | Part::VoteReply, Word::VoteGranted | Word::LastLogTerm) | (Part::Vote, _) => {
            "who elected whom: two votes of one server in a term, leaders without a majority (§5.2)"
        }
        (Part::Append, Word::LeaderCommit) => {
            "what leaders take for committed before anything is applied (§5.3, §5.4.2)"
        }
        (Part::Append, _) => {
            "logs: entries that differ at one index and term, leaders that overwrite their log, commits without a majority (§5.3, §5.4)"
        }
        (Part::AppendReply, Word::Success) => {
            "what followers acknowledge: entries that are lost after that, commits without a majority (§5.3)"
        }
        (Part::Install | Part::InstallReply, _) => {
            "what snapshots bring: followers that agree to what they never had (§7)"
        }
        (Part::Saved, _) => {
            "that term and vote are saved before anybody hears of them; only that they outlive crashes is checked (Figure 2)"
        }
        (Part::Service, _) => {
            "what is applied, against what messages commit: the log's indices are not the service's, perhaps since entries of Raft's \
             own are hidden from the service"
        }
        _ => "whether replies name their server's term (§5.1)",
    }
}
