//! A register: clients read it, write it, or write it if it has a given value.

use super::model::{Decision, Why};
use super::span::Spans;
use super::steps::{Steps, numbers};
use super::unique::{self, Act};
use super::value::Value;
use super::{Keyed, Model};
use std::ops::Range;

/// A register under each key, with compare-and-swap.
#[derive(Clone, Debug, Default)]
pub struct Register {
    /// The initial value.
    pub initial: Value,
}

/// An operation of a client, with its answer.
pub type RegisterOp = Keyed<RegisterAct>;

/// What is done to a register.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RegisterAct {
    /// Reads the value. The answer was this.
    Read(Value),
    /// Replaces the value.
    Write(Value),
    /// Replaces `from` by `to`, if `from` is the value.
    Cas {
        /// The value that must be there.
        from: Value,
        /// What replaces it.
        to: Value,
        /// Whether `from` was the value. `None`: this is not known.
        done: Option<bool>,
    },
}

impl Model for Register {
    type Op = RegisterOp;
    type State = Value;

    fn key(op: &RegisterOp) -> &str {
        &op.key
    }

    fn initial(&self) -> Value {
        self.initial.clone()
    }

    fn step(&self, state: &Value, op: &RegisterOp) -> Option<Value> {
        match &op.act {
            RegisterAct::Read(value) => (value == state).then(|| state.clone()),
            RegisterAct::Write(value) => Some(value.clone()),
            RegisterAct::Cas { from, to, done } => {
                let there = from == state;
                let fits = done.is_none_or(|done| done == there);
                fits.then(|| if there { to.clone() } else { state.clone() })
            }
        }
    }

    fn writes(op: &RegisterOp) -> bool {
        !matches!(op.act, RegisterAct::Read(_) | RegisterAct::Cas { done: Some(false), .. })
    }

    fn asked(op: &RegisterOp) -> String {
        match &op.act {
            RegisterAct::Read(_) => "get".into(),
            RegisterAct::Write(value) => format!("put {value}"),
            RegisterAct::Cas { from, to, .. } => format!("cas {from} to {to}"),
        }
    }

    fn answer(op: &RegisterOp) -> String {
        match &op.act {
            RegisterAct::Read(value) => value.to_string(),
            RegisterAct::Write(_) => String::new(),
            RegisterAct::Cas { done: Some(true), .. } => "ok".into(),
            RegisterAct::Cas { done: Some(false), .. } => "failed".into(),
            RegisterAct::Cas { done: None, .. } => "unknown".into(),
        }
    }

    fn would_answer(&self, state: &Value, op: &RegisterOp) -> Option<String> {
        match &op.act {
            RegisterAct::Read(_) => Some(state.to_string()),
            RegisterAct::Write(_) => None,
            RegisterAct::Cas { from, .. } => {
                Some(if from == state { "ok" } else { "failed" }.into())
            }
        }
    }

    fn shown(&self, op: &RegisterOp) -> Option<Value> {
        match &op.act {
            RegisterAct::Read(value) | RegisterAct::Write(value) => Some(value.clone()),
            RegisterAct::Cas { to, done: Some(true), .. } => Some(to.clone()),
            RegisterAct::Cas { .. } => None,
        }
    }

    fn at_once(&self, ops: &[&RegisterOp], spans: &Spans) -> Option<Decision> {
        let steps = Numbered::new(self, ops);
        match steps.acts() {
            Some(acts) => unique::decide(&acts, spans),
            None => steps.impossible(spans).map(|op| Decision::Illegal(Why::These(vec![op]))),
        }
    }

    fn steps<'a>(&'a self, ops: &[&'a RegisterOp], _: &Spans) -> Box<dyn Steps + 'a> {
        Box::new(Numbered::new(self, ops))
    }
}

/// A register whose values are represented by numbers. The initial value has number 0.
pub struct Numbered {
    steps: Vec<Step>,
    kinds: Vec<u32>,
    /// For each value, the kinds of the operations that write it, as a range in `writers`.
    of_value: Vec<Range<u32>>,
    writers: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Read(u32),
    Write(u32),
    Cas { from: u32, to: u32, done: Option<bool> },
}

impl Step {
    /// The value that it may write.
    fn writes(self) -> Option<u32> {
        match self {
            Step::Write(value) => Some(value),
            Step::Cas { to, done: Some(true) | None, .. } => Some(to),
            Step::Read(_) | Step::Cas { .. } => None,
        }
    }
}

impl Numbered {
    fn new(register: &Register, ops: &[&RegisterOp]) -> Numbered {
        let mut values = vec![&register.initial];
        for op in ops {
            match &op.act {
                RegisterAct::Read(value) | RegisterAct::Write(value) => values.push(value),
                RegisterAct::Cas { from, to, .. } => values.extend([from, to]),
            }
        }
        // The initial value has number 0.
        let mut numbers = numbers(values).into_iter().skip(1);
        let mut next = || numbers.next().unwrap_or(0);
        let step = |op: &&RegisterOp| match op.act {
            RegisterAct::Read(_) => Step::Read(next()),
            RegisterAct::Write(_) => Step::Write(next()),
            RegisterAct::Cas { done, .. } => Step::Cas { from: next(), to: next(), done },
        };
        Numbered::of(ops.iter().map(step).collect())
    }

    /// Made from reads and writes.
    pub fn of_acts(acts: &[Act]) -> Numbered {
        let step = |act: &Act| match *act {
            Act::Read(value) => Step::Read(value),
            Act::Write(value) => Step::Write(value),
        };
        Numbered::of(acts.iter().map(step).collect())
    }

    fn of(steps: Vec<Step>) -> Numbered {
        let kinds = numbers(&steps);
        let write = |(step, kind): (&Step, &u32)| Some((step.writes()?, *kind));
        let mut writers: Vec<_> = steps.iter().zip(&kinds).filter_map(write).collect();
        writers.sort_unstable();
        writers.dedup();
        let values = writers.last().map_or(0, |(value, _)| value + 1);
        let start = |value| writers.partition_point(|(other, _)| *other < value) as u32;
        let of_value = (0..values).map(|value| start(value)..start(value + 1)).collect();
        let writers = writers.into_iter().map(|(_, kind)| kind).collect();
        Numbered { steps, kinds, of_value, writers }
    }

    /// The operations, if they are only reads and writes.
    fn acts(&self) -> Option<Vec<Act>> {
        let act = |step: &Step| match *step {
            Step::Read(value) => Some(Act::Read(value)),
            Step::Write(value) => Some(Act::Write(value)),
            Step::Cas { .. } => None,
        };
        self.steps.iter().map(act).collect()
    }

    /// An operation that saw a value that nobody can have written.
    fn impossible(&self, spans: &Spans) -> Option<usize> {
        let saw = |step: &Step| match *step {
            Step::Read(value) | Step::Cas { from: value, done: Some(true), .. } => Some(value),
            Step::Write(_) | Step::Cas { .. } => None,
        };
        let nobodys = |value| value != 0 && self.writers(value).is_empty();
        let is_impossible = |op: &usize| saw(&self.steps[*op]).is_some_and(nobodys);
        // An operation that was never answered may not have happened.
        let mut answered = (0..self.steps.len()).filter(|op| spans[*op].ret.is_some());
        answered.find(is_impossible)
    }

    /// The kinds of the operations that write this value.
    fn writers(&self, value: u32) -> &[u32] {
        let range = self.of_value.get(value as usize).cloned().unwrap_or(0..0);
        &self.writers[range.start as usize..range.end as usize]
    }
}

/// Any value.
const ANYTHING: u64 = u64::MAX;

impl Steps for Numbered {
    fn initial(&self) -> u64 {
        0
    }

    fn anything(&self) -> Option<u64> {
        Some(ANYTHING)
    }

    fn step(&self, state: u64, op: usize) -> Option<u64> {
        if state == ANYTHING {
            return Some(match self.steps[op] {
                Step::Read(value) | Step::Write(value) => value.into(),
                Step::Cas { to, done: Some(true), .. } => to.into(),
                // If it failed, the value may be any value but `from`. If the outcome is unknown, `to` and others are possible.
                Step::Cas { .. } => ANYTHING,
            });
        }
        match self.steps[op] {
            Step::Read(value) => (state == u64::from(value)).then_some(state),
            Step::Write(value) => Some(value.into()),
            Step::Cas { from, to, done } => {
                let there = state == u64::from(from);
                let fits = done.is_none_or(|done| done == there);
                fits.then_some(if there { to.into() } else { state })
            }
        }
    }

    fn kinds(&self) -> &[u32] {
        &self.kinds
    }

    fn may_yet(&self, state: u64, read: usize, is_left: &mut dyn FnMut(u32) -> bool) -> bool {
        match self.steps[read] {
            Step::Read(value) => {
                state == u64::from(value)
                    || state == ANYTHING
                    || self.writers(value).iter().any(|kind| is_left(*kind))
            }
            Step::Write(_) | Step::Cas { .. } => true,
        }
    }
}
