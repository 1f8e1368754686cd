//! Finds the paper's fields in the structs of any Raft.

use super::Names;
use super::vocabulary::Word;
use labrpc::describe::Value;

/// The fields that were found in a value.
pub struct Fields<'a> {
    slots: [Slot<'a>; Word::COUNT],
    /// Unknown fields: their names and values.
    rest: Vec<(&'static str, &'a Value)>,
    names: &'a Names,
}

/// A word's value.
#[derive(Clone, Copy, Default)]
enum Slot<'a> {
    #[default]
    Absent,
    One(&'a Value),
    /// Several fields have a name that means this word. Even if they are equal now and then, that may be chance.
    Several,
}

/// Names of structs that only group fields: their fields count as if they stood outside.
const WRAPPERS: [&str; 12] = [
    "header", "head", "meta", "common", "base", "info", "args", "request", "reply", "body",
    "inner", "message",
];

impl<'a> Fields<'a> {
    /// Finds the fields of a value.
    pub fn of(value: &'a Value, names: &'a Names) -> Fields<'a> {
        let mut fields = Fields { slots: [Slot::Absent; Word::COUNT], rest: Vec::new(), names };
        fields.visit("", value);
        fields
    }

    fn visit(&mut self, parent: &'static str, value: &'a Value) {
        match value {
            Value::Struct(_, inner) => {
                inner.iter().for_each(|(name, v)| self.field(parent, name, v))
            }
            Value::Tagged(_, inner) => self.visit(parent, inner),
            Value::List(items) if parent.is_empty() && items.iter().all(is_struct) => {
                items.iter().for_each(|item| self.visit(parent, item));
            }
            Value::Unit(_) => {}
            other => self.rest.push((parent, other)),
        }
    }

    fn field(&mut self, parent: &'static str, name: &'static str, value: &'a Value) {
        let alone =
            || self.names.word("", name).filter(|word| parent.is_empty() || stands_alone(*word));
        let joined = if parent.is_empty() { None } else { self.names.word(parent, name) };
        match joined.or_else(alone) {
            Some(Word::Other) => self.put(Word::Other, value),
            Some(word) if !is_struct(value) => self.put(word, value),
            _ if is_struct(value) => {
                let wrapper = WRAPPERS.iter().any(|wrapper| name.eq_ignore_ascii_case(wrapper));
                self.visit(if wrapper { parent } else { name }, value);
            }
            _ => self.rest.push((name, value)),
        }
    }

    fn put(&mut self, word: Word, value: &'a Value) {
        let slot = &mut self.slots[word as usize];
        *slot = match *slot {
            Slot::Absent => Slot::One(value),
            _ => Slot::Several,
        };
    }

    /// The words for which there is a field.
    pub fn words(&self) -> impl Iterator<Item = Word> {
        Word::ALL.into_iter().filter(|word| self.has(*word))
    }

    /// Whether there is such a field at all, readable or not.
    pub fn has(&self, word: Word) -> bool {
        !matches!(self.slots[word as usize], Slot::Absent)
    }

    /// The field's value, if exactly one field means this word.
    pub fn get(&self, word: Word) -> Option<&'a Value> {
        match self.slots[word as usize] {
            Slot::One(value) => Some(value),
            _ => None,
        }
    }

    /// The same, if it is a number of at least 0. `usize::MAX` counts as below 0, because somebody subtracted 1 from 0.
    pub fn number(&self, word: Word) -> Option<u64> {
        self.get(word)?.as_u64().filter(|number| i64::try_from(*number).is_ok())
    }

    /// The field's value, if it is a number below 0.
    pub fn below_zero(&self, word: Word) -> Option<&'a Value> {
        let value = self.get(word)?;
        (is_number(value) && self.number(word).is_none()).then_some(value)
    }

    /// The field's value, if it is a `bool`.
    pub fn flag(&self, word: Word) -> Option<bool> {
        match self.get(word)? {
            Value::Bool(yes) => Some(*yes),
            _ => None,
        }
    }

    /// The unknown fields.
    pub fn rest(&self) -> &[(&'static str, &'a Value)] {
        &self.rest
    }
}

/// Whether a word means the same wherever it stands. A `term` in a nested struct may be the term of anything.
fn stands_alone(word: Word) -> bool {
    !matches!(
        word,
        Word::Term
            | Word::EntryTerm
            | Word::Success
            | Word::VoteGranted
            | Word::Entries
            | Word::Done
    )
}

fn is_number(value: &Value) -> bool {
    match value {
        Value::Unsigned(_) | Value::Signed(_) => true,
        Value::Tagged(_, inner) => is_number(inner),
        _ => false,
    }
}

fn is_struct(value: &Value) -> bool {
    match value {
        Value::Struct(..) => true,
        Value::Tagged(_, inner) => is_struct(inner),
        _ => false,
    }
}
