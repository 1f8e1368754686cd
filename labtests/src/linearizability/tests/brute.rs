//! The definition, taken literally: is there an order of the operations that respects time and explains every answer?

use super::super::{
    Answer, CounterAct, CounterOp, Micro, Operation, QueueAct, QueueOp, RegisterAct, RegisterOp,
    SetAct, SetOp, TextOp, Transaction, Value, VersionedOp,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a server does, as simply as possible.
pub trait Concrete {
    /// The state of the only key.
    type State: Clone + Default;

    /// Applies the operation. Returns whether the answer is the one that the client got.
    fn apply(&self, state: &mut Self::State) -> bool;

    /// Whether the answer was certain.
    fn is_certain(&self) -> bool {
        true
    }

    /// Whether the operation may change the state.
    fn writes(&self) -> bool;
}

impl Concrete for TextOp {
    type State = String;

    fn apply(&self, state: &mut String) -> bool {
        match self {
            TextOp::Get { output, .. } => return output.to_string() == *state,
            TextOp::Put { value, .. } => *state = value.clone(),
            TextOp::Append { value, .. } => state.push_str(value),
        }
        true
    }

    fn writes(&self) -> bool {
        !matches!(self, TextOp::Get { .. })
    }
}

/// The server of the 2025 lab.
pub fn put(state: &mut Option<(String, u64)>, value: &str, version: u64) -> Answer {
    match state {
        None if version == 0 => *state = Some((value.into(), 1)),
        None => return Answer::NoKey,
        Some((_, held)) if *held != version => return Answer::Version,
        Some(_) => *state = Some((value.into(), version + 1)),
    }
    Answer::Ok
}

impl Concrete for VersionedOp {
    type State = Option<(String, u64)>;

    fn apply(&self, state: &mut Self::State) -> bool {
        match self {
            VersionedOp::Get { output, .. } => output == state,
            VersionedOp::Put { value, version, answer, .. } => {
                let done = put(state, value, *version);
                *answer == Answer::Maybe || *answer == done
            }
        }
    }

    fn is_certain(&self) -> bool {
        !matches!(self, VersionedOp::Put { answer: Answer::Maybe, .. })
    }

    fn writes(&self) -> bool {
        matches!(self, VersionedOp::Put { answer: Answer::Ok | Answer::Maybe, .. })
    }
}

impl Concrete for RegisterOp {
    type State = Value;

    fn apply(&self, state: &mut Value) -> bool {
        match &self.act {
            RegisterAct::Read(value) => return value == state,
            RegisterAct::Write(value) => *state = value.clone(),
            RegisterAct::Cas { from, to, done } => {
                let there = from == state;
                if there {
                    *state = to.clone();
                }
                return done.is_none_or(|done| done == there);
            }
        }
        true
    }

    fn writes(&self) -> bool {
        !matches!(self.act, RegisterAct::Read(_))
    }
}

impl Concrete for CounterOp {
    type State = i64;

    fn apply(&self, state: &mut i64) -> bool {
        match self.act {
            CounterAct::Add(more, told) => {
                *state += more;
                told.is_none_or(|told| told == *state)
            }
            CounterAct::Read(value) => value == *state,
        }
    }

    fn writes(&self) -> bool {
        matches!(self.act, CounterAct::Add(..))
    }
}

impl Concrete for SetOp {
    type State = BTreeSet<Value>;

    fn apply(&self, state: &mut BTreeSet<Value>) -> bool {
        match &self.act {
            SetAct::Add(value) => _ = state.insert(value.clone()),
            SetAct::Remove(value) => _ = state.remove(value),
            SetAct::Read(values) => return values == state,
        }
        true
    }

    fn writes(&self) -> bool {
        !matches!(self.act, SetAct::Read(_))
    }
}

impl Concrete for QueueOp {
    type State = VecDeque<Value>;

    fn apply(&self, state: &mut VecDeque<Value>) -> bool {
        match &self.act {
            QueueAct::Enqueue(value) => state.push_back(value.clone()),
            QueueAct::Dequeue(got) => return state.pop_front() == *got,
            QueueAct::Lost => _ = state.pop_front(),
        }
        true
    }

    fn writes(&self) -> bool {
        true
    }
}

impl Concrete for Transaction {
    type State = BTreeMap<String, Value>;

    fn apply(&self, state: &mut BTreeMap<String, Value>) -> bool {
        self.iter().all(|micro| {
            match micro {
                Micro::Read(key, seen) => {
                    let there = state.get(key).cloned().unwrap_or_default();
                    return seen.as_ref().is_none_or(|seen| *seen == there);
                }
                Micro::Write(key, value) => _ = state.insert(key.clone(), value.clone()),
                Micro::Append(key, value) => {
                    let there = state.remove(key).unwrap_or_default();
                    let mut items = if let Value::List(items) = there { items } else { vec![] };
                    items.push(value.clone());
                    state.insert(key.clone(), Value::List(items));
                }
            }
            true
        })
    }

    fn writes(&self) -> bool {
        true
    }
}

/// Whether a history of one key is linearizable. The operations of each client are in order.
pub fn is_linearizable<Op: Concrete>(history: &[Operation<Op>]) -> bool {
    order(history, &mut vec![false; history.len()], &Op::State::default())
}

fn order<Op: Concrete>(history: &[Operation<Op>], done: &mut [bool], state: &Op::State) -> bool {
    let certain = |op: &Operation<Op>| op.ret.is_some() && op.op.is_certain();
    if history.iter().zip(done.iter()).all(|(op, done)| *done || !certain(op)) {
        return true;
    }
    for next in 0..history.len() {
        let before = |other: usize| {
            let (first, second) = (&history[other], &history[next]);
            // The order of two operations at the same moment that both took no time is unknown.
            let at_once = (first.call, first.ret) == (second.call, second.ret)
                && first.ret == Some(first.call);
            let same = first.client == second.client && other < next && !at_once;
            certain(first) && (same || first.ret < Some(second.call))
        };
        if done[next] || (0..history.len()).any(|other| !done[other] && before(other)) {
            continue;
        }
        let mut after = state.clone();
        if history[next].op.apply(&mut after) {
            done[next] = true;
            if order(history, done, &after) {
                return true;
            }
            done[next] = false;
        }
    }
    false
}
