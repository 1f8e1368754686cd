//! A small map. A transaction reads and writes several of its keys at once.

use super::Model;
use super::value::Value;
use std::collections::BTreeMap;

/// A map that is empty at first. Its operations are transactions. It is checked as a whole, so it should be small.
#[derive(Clone, Copy, Debug, Default)]
pub struct Map;

/// A transaction. All its operations are done at one moment, in this order.
pub type Transaction = Vec<Micro>;

/// What a transaction does to one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Micro {
    /// Reads. `None`: the answer was lost.
    Read(String, Option<Value>),
    /// Writes.
    Write(String, Value),
    /// Appends to a list, and creates the list if there is none.
    Append(String, Value),
}

impl Model for Map {
    type Op = Transaction;
    type State = BTreeMap<String, Value>;

    fn initial(&self) -> BTreeMap<String, Value> {
        BTreeMap::new()
    }

    fn step(&self, state: &Self::State, op: &Transaction) -> Option<Self::State> {
        let mut next = state.clone();
        op.iter().all(|micro| micro.apply(&mut next)).then_some(next)
    }

    fn writes(op: &Transaction) -> bool {
        op.iter().any(|micro| !matches!(micro, Micro::Read(..)))
    }

    fn asked(op: &Transaction) -> String {
        let micro = |micro: &Micro| match micro {
            Micro::Read(key, _) => format!("r {key}"),
            Micro::Write(key, value) => format!("w {key} {value}"),
            Micro::Append(key, value) => format!("append {key} {value}"),
        };
        op.iter().map(micro).collect::<Vec<_>>().join(", ")
    }

    fn answer(op: &Transaction) -> String {
        let read = |micro: &Micro| match micro {
            Micro::Read(key, Some(value)) => Some(format!("{key}: {value}")),
            _ => None,
        };
        op.iter().filter_map(read).collect::<Vec<_>>().join(", ")
    }

    fn would_answer(&self, state: &Self::State, op: &Transaction) -> Option<String> {
        let mut state = state.clone();
        let mut answered = op.clone();
        for micro in &mut answered {
            if let Micro::Read(key, value) = micro {
                *value = Some(held(&state, key));
            }
            micro.apply(&mut state);
        }
        Some(Map::answer(&answered)).filter(|text| !text.is_empty())
    }
}

fn held(state: &BTreeMap<String, Value>, key: &str) -> Value {
    state.get(key).cloned().unwrap_or_default()
}

impl Micro {
    /// Applies this to the state. Returns whether the value that was read is the one in the state.
    fn apply(&self, state: &mut BTreeMap<String, Value>) -> bool {
        match self {
            Micro::Read(key, seen) => {
                return seen.as_ref().is_none_or(|seen| *seen == held(state, key));
            }
            Micro::Write(key, value) => _ = state.insert(key.clone(), value.clone()),
            Micro::Append(key, value) => {
                let list = state.entry(key.clone()).or_default();
                match list {
                    Value::List(items) => items.push(value.clone()),
                    other => *other = Value::List(vec![value.clone()]),
                }
            }
        }
        true
    }
}
