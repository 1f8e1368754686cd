//! What a service must do.

use super::span::Spans;
use super::steps::{Kept, Steps};
use std::hash::Hash;

/// What a service must do, as a state machine. The checker knows nothing else about a service.
///
/// For example, a purse: clients add to it, and a client that takes from it gets everything in it:
///
/// ```
/// use labrpc::time::{Duration, Instant};
/// use labtests::linearizability::{Limit, Model, Operation, Verdict, check};
///
/// #[derive(PartialEq, Eq, Hash)]
/// enum Op {
///     Add(i64),
///     Take { got: i64 },
/// }
///
/// struct Purse;
///
/// impl Model for Purse {
///     type Op = Op;
///     type State = i64;
///
///     fn initial(&self) -> i64 {
///         0
///     }
///
///     fn step(&self, held: &i64, op: &Op) -> Option<i64> {
///         match op {
///             Op::Add(more) => Some(held + more),
///             Op::Take { got } => (got == held).then_some(0),
///         }
///     }
///
///     fn asked(op: &Op) -> String {
///         match op {
///             Op::Add(more) => format!("add {more}"),
///             Op::Take { .. } => "take".into(),
///         }
///     }
///
///     fn answer(op: &Op) -> String {
///         match op {
///             Op::Add(_) => "done".into(),
///             Op::Take { got } => got.to_string(),
///         }
///     }
/// }
///
/// let at = |nanos| Instant::at(Duration::from_nanos(nanos));
/// let op = |client, call, ret, op| Operation { client, call: at(call), ret: Some(at(ret)), op };
/// let twice = [op(0, 0, 5, Op::Add(7)), op(1, 6, 9, Op::Take { got: 7 }), op(2, 7, 9, Op::Take { got: 7 })];
/// let Verdict::Not(why) = check(&Purse, &twice, Limit::None) else { panic!("both got it") };
/// println!("{why}");
/// ```
pub trait Model {
    /// An operation of a client, with its answer. Equal operations do the same.
    type Op: Eq + Hash;
    /// The state of the service.
    type State: Clone + Eq + Hash;

    /// The key of an operation. Keys are checked one by one, so operations on one key must not depend on those on another.
    fn key(_: &Self::Op) -> &str {
        ""
    }

    /// The initial state.
    fn initial(&self) -> Self::State;

    /// The state after an operation. `None`: in this state, the answer would have been a different one.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;

    /// Whether the operation can change the state. An operation that can't is done as soon as it fits, which makes a search
    /// much shorter.
    fn writes(_: &Self::Op) -> bool {
        true
    }

    /// Whether the answer leaves the outcome open: the operation may take effect later, or never.
    fn is_open(_: &Self::Op) -> bool {
        false
    }

    /// Describes the request.
    fn asked(op: &Self::Op) -> String;

    /// Describes the answer.
    fn answer(op: &Self::Op) -> String;

    /// Describes the answer that this state would give, if the model can say so.
    fn would_answer(&self, _: &Self::State, _: &Self::Op) -> Option<String> {
        None
    }

    /// The state right after this operation, if it is certain whatever the state was before.
    fn shown(&self, _: &Self::Op) -> Option<Self::State> {
        None
    }

    /// The verdict on the operations of a key, if the answers themselves reveal the order of events, so that no search is
    /// needed.
    fn at_once(&self, _: &[&Self::Op], _: &Spans) -> Option<Decision> {
        None
    }

    /// The states that a search over the operations of a key goes through.
    fn steps<'a>(&'a self, ops: &[&'a Self::Op], _: &Spans) -> Box<dyn Steps + 'a>
    where
        Self: Sized,
    {
        Box::new(Kept::new(self, ops))
    }

    /// The same, but no step may be refused because of what comes later. This is used to find out how far an order gets.
    fn plain_steps<'a>(&'a self, ops: &[&'a Self::Op]) -> Box<dyn Steps + 'a>
    where
        Self: Sized,
    {
        Box::new(Kept::new(self, ops))
    }
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is an order that explains all answers.
    Legal,
    /// No order explains all answers.
    Illegal(Why),
}

/// What is known about the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// No order explains these operations, whatever all others did.
    These(Vec<usize>),
    /// No order explains the operations that were called before the return of this one.
    By(usize),
    /// Nothing is known.
    Unknown,
}
