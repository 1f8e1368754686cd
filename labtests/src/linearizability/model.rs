//! What a service is to do.

use super::span::Spans;
use super::steps::{Kept, Steps};
use std::hash::Hash;

/// What a service is to do, as a state machine. The checker knows a service by this alone.
///
/// A counter, from which one takes what is there:
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
    /// What a client asks, with what it is told. Operations that are equal do the same.
    type Op: Eq + Hash;
    /// What the service has.
    type State: Clone + Eq + Hash;

    /// What it is about: keys are checked one by one, so operations on one must not depend on those on another.
    fn key(_: &Self::Op) -> &str {
        ""
    }

    /// What the service has at first.
    fn initial(&self) -> Self::State;

    /// What it has after an operation. `None`: in this state, its answer would have been another.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;

    /// Whether it can change the state. What can't is done as soon as it fits, which makes a search much shorter.
    fn writes(_: &Self::Op) -> bool {
        true
    }

    /// Whether the answer leaves open what became of it: it may take effect later, or never.
    fn is_open(_: &Self::Op) -> bool {
        false
    }

    /// In words, what was asked.
    fn asked(op: &Self::Op) -> String;

    /// In words, what was answered.
    fn answer(op: &Self::Op) -> String;

    /// In words, what would have been answered in this state, if the model can say so.
    fn would_answer(&self, _: &Self::State, _: &Self::Op) -> Option<String> {
        None
    }

    /// What there certainly is right after this operation, whatever was there before.
    fn shown(&self, _: &Self::Op) -> Option<Self::State> {
        None
    }

    /// The verdict on the operations of a key, if the answers themselves tell in which order things happened, so that nothing must be
    /// searched.
    fn at_once(&self, _: &[&Self::Op], _: &Spans) -> Option<Decision> {
        None
    }

    /// The operations of a key, as a search takes them.
    fn steps<'a>(&'a self, ops: &[&'a Self::Op], _: &Spans) -> Box<dyn Steps + 'a>
    where
        Self: Sized,
    {
        Box::new(Kept::new(self, ops))
    }

    /// The same, but no step may be refused for what comes later: to tell how far an order comes.
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
    /// There is none.
    Illegal(Why),
}

/// What is known of the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// No order explains these operations, whatever all others did.
    These(Vec<usize>),
    /// No order explains what was called before the return of this one.
    By(usize),
    /// Nothing.
    Unknown,
}
