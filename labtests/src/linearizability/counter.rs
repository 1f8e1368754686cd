//! A counter: clients add to it, and read it.

use super::{Keyed, Model};

/// A counter under each key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter {
    /// The initial value.
    pub initial: i64,
}

/// An operation of a client, with its answer.
pub type CounterOp = Keyed<CounterAct>;

/// What is done to a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterAct {
    /// Adds this. With `Some`, the answer was the new value.
    Add(i64, Option<i64>),
    /// Reads the counter. The answer was this.
    Read(i64),
}

impl Model for Counter {
    type Op = CounterOp;
    type State = i64;

    fn key(op: &CounterOp) -> &str {
        &op.key
    }

    fn initial(&self) -> i64 {
        self.initial
    }

    fn step(&self, state: &i64, op: &CounterOp) -> Option<i64> {
        match op.act {
            CounterAct::Add(more, told) => {
                let sum = state.wrapping_add(more);
                told.is_none_or(|told| told == sum).then_some(sum)
            }
            CounterAct::Read(value) => (value == *state).then_some(value),
        }
    }

    fn writes(op: &CounterOp) -> bool {
        matches!(op.act, CounterAct::Add(..))
    }

    fn asked(op: &CounterOp) -> String {
        match op.act {
            CounterAct::Add(more, _) => format!("add {more}"),
            CounterAct::Read(_) => "get".into(),
        }
    }

    fn answer(op: &CounterOp) -> String {
        match op.act {
            CounterAct::Add(_, told) => told.map_or_else(String::new, |told| told.to_string()),
            CounterAct::Read(value) => value.to_string(),
        }
    }

    fn would_answer(&self, state: &i64, op: &CounterOp) -> Option<String> {
        match op.act {
            CounterAct::Add(more, told) => told.map(|_| state.wrapping_add(more).to_string()),
            CounterAct::Read(_) => Some(state.to_string()),
        }
    }
}
