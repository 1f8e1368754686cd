//! A queue: the value that was put in first is taken out first.

use super::value::Value;
use super::{Keyed, Model};
use std::collections::VecDeque;

/// A queue under each key, empty at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue;

/// An operation of a client, with its answer.
pub type QueueOp = Keyed<QueueAct>;

/// What is done to a queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum QueueAct {
    /// Adds this value at the end.
    Enqueue(Value),
    /// Removes the first value; the answer was this. `None`: the queue was empty.
    Dequeue(Option<Value>),
    /// Removes the first value, if there is one; the answer was lost.
    Lost,
}

impl Model for Queue {
    type Op = QueueOp;
    type State = VecDeque<Value>;

    fn key(op: &QueueOp) -> &str {
        &op.key
    }

    fn initial(&self) -> VecDeque<Value> {
        VecDeque::new()
    }

    fn step(&self, state: &VecDeque<Value>, op: &QueueOp) -> Option<VecDeque<Value>> {
        if matches!(&op.act, QueueAct::Dequeue(got) if got.as_ref() != state.front()) {
            return None;
        }
        let mut next = state.clone();
        match &op.act {
            QueueAct::Enqueue(value) => next.push_back(value.clone()),
            QueueAct::Dequeue(_) | QueueAct::Lost => _ = next.pop_front(),
        }
        Some(next)
    }

    fn writes(op: &QueueOp) -> bool {
        !matches!(op.act, QueueAct::Dequeue(None))
    }

    fn asked(op: &QueueOp) -> String {
        match &op.act {
            QueueAct::Enqueue(value) => format!("enqueue {value}"),
            QueueAct::Dequeue(_) | QueueAct::Lost => "dequeue".into(),
        }
    }

    fn answer(op: &QueueOp) -> String {
        match &op.act {
            QueueAct::Enqueue(_) | QueueAct::Lost => String::new(),
            QueueAct::Dequeue(got) => text(got.as_ref()),
        }
    }

    fn would_answer(&self, state: &VecDeque<Value>, op: &QueueOp) -> Option<String> {
        matches!(op.act, QueueAct::Dequeue(_)).then(|| text(state.front()))
    }
}

fn text(got: Option<&Value>) -> String {
    got.map_or_else(|| "empty".into(), Value::to_string)
}
