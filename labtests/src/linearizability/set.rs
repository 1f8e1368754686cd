//! A set: clients add to it, remove from it, and read all of it.

use super::value::Value;
use super::{Keyed, Model};
use std::collections::BTreeSet;

/// A set under each key, empty at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Set;

/// An operation of a client, with its answer.
pub type SetOp = Keyed<SetAct>;

/// What is done to a set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetAct {
    /// Adds this.
    Add(Value),
    /// Removes this.
    Remove(Value),
    /// Reads the set. The answer was these values.
    Read(BTreeSet<Value>),
}

impl Model for Set {
    type Op = SetOp;
    type State = BTreeSet<Value>;

    fn key(op: &SetOp) -> &str {
        &op.key
    }

    fn initial(&self) -> BTreeSet<Value> {
        BTreeSet::new()
    }

    fn step(&self, state: &BTreeSet<Value>, op: &SetOp) -> Option<BTreeSet<Value>> {
        let mut next = state.clone();
        match &op.act {
            SetAct::Add(value) => _ = next.insert(value.clone()),
            SetAct::Remove(value) => _ = next.remove(value),
            SetAct::Read(values) => return (values == state).then_some(next),
        }
        Some(next)
    }

    fn writes(op: &SetOp) -> bool {
        !matches!(op.act, SetAct::Read(_))
    }

    fn asked(op: &SetOp) -> String {
        match &op.act {
            SetAct::Add(value) => format!("add {value}"),
            SetAct::Remove(value) => format!("remove {value}"),
            SetAct::Read(_) => "get".into(),
        }
    }

    fn answer(op: &SetOp) -> String {
        match &op.act {
            SetAct::Add(_) | SetAct::Remove(_) => String::new(),
            SetAct::Read(values) => text(values),
        }
    }

    fn would_answer(&self, state: &BTreeSet<Value>, op: &SetOp) -> Option<String> {
        matches!(op.act, SetAct::Read(_)).then(|| text(state))
    }
}

fn text(values: &BTreeSet<Value>) -> String {
    let values: Vec<_> = values.iter().map(Value::to_string).collect();
    format!("{{{}}}", values.join(" "))
}
