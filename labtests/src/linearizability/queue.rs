//! A queue: what is put in first is taken out first.

use super::value::Value;
use super::{Keyed, Model};
use std::collections::VecDeque;

/// A queue under each key, empty at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue;

/// What a client asks, and what it is told.
pub type QueueOp = Keyed<QueueAct>;

/// What is asked of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum QueueAct {
    /// Puts this behind all others.
    Enqueue(Value),
    /// Takes the first out, which was this. `None`: there was none.
    Dequeue(Option<Value>),
    /// Takes the first out, if there is one; nobody heard what it was.
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
