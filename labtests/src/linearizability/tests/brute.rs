//! The definition, word for word: is there an order of the operations that keeps to time, and explains every answer?

use super::super::{Answer, Operation, TextOp, VersionedOp};

/// What a server does, as plainly as can be said.
pub trait Concrete {
    /// What it has under the only key.
    type State: Clone + Default;

    /// Does it. Whether it answers as the client was told.
    fn apply(&self, state: &mut Self::State) -> bool;

    /// Whether it was told anything certain.
    fn is_certain(&self) -> bool {
        true
    }

    /// Whether it may change what the server has.
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

/// The 2025 lab's server.
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

/// Whether the history, of one key, is linearizable. Operations of one client stand in their order.
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
            let same = first.client == second.client && other < next;
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
