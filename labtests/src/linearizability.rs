//! Whether what clients were told could have come from one server that does one thing at a time.
//!
//! A history is linearizable if every operation can be given a moment between its call and its return such that, done
//! one after the other at these moments, all of them answer as they did (Herlihy and Wing, 1990). A key is a history
//! of its own: the whole is linearizable if every key's is (their Theorem 1).
//!
//! ```
//! use labtests::linearizability::{check, Limit, Operation, Output, Text, TextOp, Verdict};
//! use labrpc::time::{Duration, Instant};
//!
//! let at = |ms| Instant::at(Duration::from_millis(ms));
//! let (key, value) = ("k".to_string(), "x".to_string());
//! let put = TextOp::Put { key: key.clone(), value };
//! let stale = TextOp::Get { key, output: Output::from("") };
//! let history = [
//!     Operation { client: 0, call: at(0), ret: Some(at(3)), op: put },
//!     Operation { client: 1, call: at(5), ret: Some(at(9)), op: stale },
//! ];
//! let Verdict::Not(why) = check::<Text>(&history, Limit::None) else { panic!("a stale read") };
//! println!("{why}");
//! ```
//!
//! | what | file |
//! |---|---|
//! | the 2022 lab's get, put and append | `text.rs`, what gets answered: `output.rs` |
//! | the 2025 lab's get and versioned put | `versioned.rs` |
//! | when an operation may have taken effect | `span.rs` |
//! | histories in files | `file.rs` |
//! | the search for an order, which decides everything, given time | `search.rs` |
//! | what decides most histories at once: answers that reveal the order | `blocks.rs`, `versions.rs` |

mod authors;
mod blocks;
mod contradiction;
mod file;
mod list;
mod output;
mod search;
mod shrink;
mod span;
#[cfg(test)]
mod tests;
mod text;
mod trie;
mod versioned;
mod versions;

pub use contradiction::Contradiction;
pub use file::History;
pub use output::{Output, Outputs};
pub use span::Span;
pub use text::{Text, TextOp};
pub use versioned::{Answer, Versioned, VersionedOp};

use labrpc::time::{Duration, Instant};
use search::{Budget, Search};
use std::collections::BTreeMap;

/// What one client asked, when, and what it was told. The operations of a client follow one another, except for those
/// whose outcome is unknown.
#[derive(Clone, Debug)]
pub struct Operation<Op> {
    /// Who asked.
    pub client: u64,
    /// When it asked.
    pub call: Instant,
    /// When it was answered. `None`: it never was. Then it may have taken effect at any time after the call, or never.
    pub ret: Option<Instant>,
    /// What was asked and answered.
    pub op: Op,
}

/// What the server is to do, as a state machine for the operations of one key.
pub trait Model: Sized {
    /// What a client asks, with what it is told.
    type Op;
    /// What the server has under the key.
    type State: Copy + Ord;

    /// The key that it is about.
    fn key(op: &Self::Op) -> &str;

    /// Whether it can change the state.
    fn writes(op: &Self::Op) -> bool;

    /// By what writes are known that do the same.
    fn effect(op: &Self::Op) -> (u64, &str);

    /// Whether the answer leaves open what became of it: it may take effect later, or never.
    fn is_open(op: &Self::Op) -> bool;

    /// The verdict, if the answers themselves tell in which order things happened, so that nothing must be searched.
    fn at_once(ops: &[&Self::Op], spans: &[Span]) -> Option<bool>;

    /// The model for the operations of one key.
    fn new(ops: &[&Self::Op]) -> Self;

    /// Lets [`Model::step`] and [`Model::may_yet`] refuse what can't come to a good end.
    fn look_ahead(&mut self, ops: &[&Self::Op], spans: &[Span]);

    /// What the server has at first.
    fn initial(&self) -> Self::State;

    /// What it has after the operation with this index. `None`: in this state, its answer would have been another.
    fn step(&self, state: Self::State, op: usize) -> Option<Self::State>;

    /// Whether this read may still come to fit, from this state and with the writes that are left.
    fn may_yet(&self, state: Self::State, read: usize, is_left: impl FnMut(usize) -> bool) -> bool;

    /// Whether nobody has seen this state, nor one that becomes of it, unless somebody writes without regard to it.
    /// What may never have happened has not led there.
    fn is_unseen(&self, state: Self::State) -> bool;

    /// In words, what was asked.
    fn asked(op: &Self::Op) -> String;

    /// In words, what was answered.
    fn answer(op: &Self::Op) -> String;

    /// What would have been answered to `next` after these.
    fn answer_after(order: &[&Self::Op], next: &Self::Op) -> String;
}

/// How long to look for an order.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// Until it is found, or certain that there is none.
    None,
    /// So many steps. The same history has the same verdict on every machine.
    Steps(u64),
    /// So long, on the wall clock. Not for simulated runs, which must replay.
    Time(Duration),
}

/// What [`check`] finds.
#[derive(Debug)]
pub enum Verdict {
    /// There is an order that explains all answers.
    Linearizable,
    /// There is none.
    Not(Box<Contradiction>),
    /// The limit was reached before either was certain. This is no pass.
    Undecided,
}

/// Whether the history is linearizable.
pub fn check<M: Model>(history: &[Operation<M::Op>], limit: Limit) -> Verdict {
    let mut budget = Budget::new(limit);
    let mut verdict = Verdict::Linearizable;
    for part in parts::<M>(history) {
        match part.is_linearizable(&mut budget) {
            Some(true) => {}
            Some(false) => {
                return Verdict::Not(Box::new(Contradiction::of(history, &part)));
            }
            None => verdict = Verdict::Undecided,
        }
    }
    verdict
}

/// The operations of one key.
struct Part<'a, M: Model> {
    ops: Vec<&'a M::Op>,
    spans: Vec<Span>,
    /// Their indices in the history.
    places: Vec<usize>,
}

/// The history by keys, short ones first: if there is a limit, a hard one leaves it to the others.
fn parts<M: Model>(history: &[Operation<M::Op>]) -> Vec<Part<'_, M>> {
    let mut keys = BTreeMap::<&str, Vec<usize>>::new();
    for (place, operation) in history.iter().enumerate() {
        // Nothing follows from a read that nobody heard the answer of.
        if operation.ret.is_some() || M::writes(&operation.op) {
            keys.entry(M::key(&operation.op)).or_default().push(place);
        }
    }
    let mut parts: Vec<_> = keys.into_values().map(|places| Part::new(history, places)).collect();
    parts.sort_by_key(|part| part.ops.len());
    parts
}

impl<'a, M: Model> Part<'a, M> {
    fn new(history: &'a [Operation<M::Op>], places: Vec<usize>) -> Part<'a, M> {
        let operations: Vec<_> = places.iter().map(|place| &history[*place]).collect();
        Part {
            spans: span::spans(&operations, M::is_open),
            ops: operations.into_iter().map(|operation| &operation.op).collect(),
            places,
        }
    }

    fn is_linearizable(&self, budget: &mut Budget) -> Option<bool> {
        M::at_once(&self.ops, &self.spans).or_else(|| self.search(budget))
    }

    fn search(&self, budget: &mut Budget) -> Option<bool> {
        let mut model = M::new(&self.ops);
        model.look_ahead(&self.ops, &self.spans);
        Search::new(&model, &self.ops, &self.spans).run(budget)
    }
}
