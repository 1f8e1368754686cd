//! Decides whether the answers that clients got could have come from one server that does one thing at a time.
//!
//! A history is linearizable if every operation can be given a moment between its call and its return such that, done one after
//! the other at these moments, all operations give the answers that they gave (Herlihy and Wing, 1990). Each key has a history
//! of its own: the whole history is linearizable if the history of every key is (their Theorem 1).
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
//! let Verdict::Not(why) = check(&Text, &history, Limit::None) else { panic!("a stale read") };
//! println!("{why}");
//! ```
//!
//! # What it costs
//!
//! With `n` operations on a key:
//!
//! | history | decided in |
//! |---|---|
//! | of a register or a text without appends, if time tells which write each read saw, for example because all values differ | `O(n log n)`, even with operations of unknown outcome ([`Register`], [`Text`]) |
//! | of texts that grow by appends, if time and values tell the same | `O(n log n)`, where `n` counts the pieces of the texts |
//! | of versioned puts | `O(n log n)` ([`Versioned`]) |
//! | of any service, if few operations overlap at a time | linear in `n`, if few orders of these operations lead to different states |
//! | any other | exponential in the number of overlapping operations, because the question is NP-complete (Gibbons and Korach, 1997) |
//!
//! Memory is linear in the history. What a search remembers is [bounded](Bounds::memory).
//!
//! | what | file |
//! |---|---|
//! | what a service must do | `model.rs`; the lab's: `text.rs`, `versioned.rs`; others: `register.rs`, `counter.rs`, `set.rs`, `queue.rs`, `map.rs` |
//! | when an operation may have taken effect | `span.rs` |
//! | verdicts without a search, which suffice for most histories, because the answers reveal the order | `unique.rs`, `blocks.rs` (both by `zones.rs`), `versions.rs` |
//! | the search for histories in which few operations overlap | `sweep.rs` |
//! | the search for an order, which decides everything if it has enough time | `search.rs`, on the states of `steps.rs` |
//! | a few operations that show why there is no order | `contradiction.rs`, `shrink.rs`, `window.rs` |
//! | histories in files | `file.rs` |

mod authors;
mod blocks;
mod budget;
mod contradiction;
mod counter;
mod file;
mod list;
mod map;
mod model;
mod output;
mod queue;
mod register;
mod search;
mod set;
mod shrink;
mod span;
mod steps;
mod sweep;
#[cfg(test)]
mod tests;
mod text;
mod text_op;
mod trie;
mod unique;
mod value;
mod versioned;
mod versions;
mod window;
mod zones;

pub use budget::{Bounds, Limit, MEMORY};
pub use contradiction::{Contradiction, Row};
pub use counter::{Counter, CounterAct, CounterOp};
pub use file::{History, Options, Service};
pub use map::{Map, Micro, Transaction};
pub use model::{Decision, Model, Why};
pub use output::{Output, Outputs};
pub use queue::{Queue, QueueAct, QueueOp};
pub use register::{Register, RegisterAct, RegisterOp};
pub use set::{Set, SetAct, SetOp};
pub use span::{Span, Spans};
pub use steps::Steps;
pub use text::{Text, TextOp};
pub use value::Value;
pub use versioned::{Answer, Versioned, VersionedOp};

use budget::Budget;
use labrpc::time::Instant;
use search::Search;
use std::collections::BTreeMap;

/// What one client asked, when it asked, and what the answer was. The operations of a client follow one another, except for
/// operations of unknown outcome.
#[derive(Clone, Debug)]
pub struct Operation<Op> {
    /// The client.
    pub client: u64,
    /// When the client called.
    pub call: Instant,
    /// When the answer came. `None`: it never came. Then the operation may have taken effect at any time after the call, or
    /// never.
    pub ret: Option<Instant>,
    /// The request and the answer.
    pub op: Op,
}

/// An operation on one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Keyed<Act> {
    /// The key.
    pub key: String,
    /// What is done to the key, with the answer.
    pub act: Act,
}

/// The result of [`check`].
#[derive(Debug)]
pub enum Verdict {
    /// There is an order that explains all answers.
    Linearizable,
    /// No order explains all answers.
    Not(Box<Contradiction>),
    /// The limit was reached before there was a verdict. This does not count as passed.
    Undecided,
}

/// Whether the history is linearizable. The check ends at the first key that is not.
pub fn check<M: Model>(
    model: &M,
    history: &[Operation<M::Op>],
    bounds: impl Into<Bounds>,
) -> Verdict {
    let mut budget = Budget::new(bounds);
    let mut verdict = Verdict::Linearizable;
    for part in parts(model, history) {
        match part.judge(&mut budget) {
            Some(Decision::Legal) => {}
            Some(Decision::Illegal(why)) => {
                return Verdict::Not(Box::new(Contradiction::of(history, &part, &why, &by_number)));
            }
            None => verdict = Verdict::Undecided,
        }
    }
    verdict
}

/// A result of [`examine`], delivered as soon as it is known.
#[derive(Debug)]
pub enum Found {
    /// The operations on this key are linearizable.
    Linearizable(String),
    /// The operations on this key are not linearizable; the reason follows later.
    Not(String),
    /// The reason why the operations on a key are not linearizable.
    Why(Box<Contradiction>),
    /// The bounds were reached before there was a verdict on this key.
    Undecided(String),
}

/// Examines all keys of a history and passes the result for each key to `found`. The keys that are not linearizable are
/// explained after all keys have been decided.
pub fn examine<M: Model>(
    model: &M,
    history: &[Operation<M::Op>],
    bounds: impl Into<Bounds>,
    found: impl FnMut(Found),
) {
    examine_named(model, history, bounds, &by_number, found);
}

/// The name of an operation: its number in the history, from 1.
fn by_number(place: usize) -> String {
    (place + 1).to_string()
}

fn examine_named<M: Model>(
    model: &M,
    history: &[Operation<M::Op>],
    bounds: impl Into<Bounds>,
    name: &dyn Fn(usize) -> String,
    mut found: impl FnMut(Found),
) {
    let mut budget = Budget::new(bounds);
    let mut wrong = Vec::new();
    for part in parts(model, history) {
        let key = part.key().to_string();
        match part.judge(&mut budget) {
            Some(Decision::Legal) => found(Found::Linearizable(key)),
            Some(Decision::Illegal(why)) => {
                found(Found::Not(key));
                wrong.push((part, why));
            }
            None => found(Found::Undecided(key)),
        }
    }
    for (part, why) in wrong {
        found(Found::Why(Box::new(Contradiction::of(history, &part, &why, name))));
    }
}

/// The operations of one key.
struct Part<'a, M: Model> {
    model: &'a M,
    ops: Vec<&'a M::Op>,
    spans: Spans,
    /// Their indices in the history.
    places: Vec<usize>,
    /// These are only some of the operations on the key, and any state is possible before them.
    from_anything: bool,
}

/// The history by keys, shortest first. If there is a limit, a hard key then doesn't use up the time of the others.
fn parts<'a, M: Model>(model: &'a M, history: &'a [Operation<M::Op>]) -> Vec<Part<'a, M>> {
    let mut keys = BTreeMap::<&str, Vec<usize>>::new();
    for (place, operation) in history.iter().enumerate() {
        // A read without an answer says nothing.
        if operation.ret.is_some() || M::writes(&operation.op) {
            keys.entry(M::key(&operation.op)).or_default().push(place);
        }
    }
    let in_time = |mut places: Vec<usize>| {
        // The lines of a file may be in any order. Sorted by time, overlapping operations are close together.
        places.sort_by_cached_key(|place| {
            let Operation { client, call, ret, .. } = &history[*place];
            (*call, ret.is_none(), *ret, *client)
        });
        Part::new(model, history, places)
    };
    let mut parts: Vec<_> = keys.into_values().map(in_time).collect();
    parts.sort_by_key(|part| part.ops.len());
    parts
}

/// With no more operations than this, the search comes first: it follows one order at a time, while a sweep follows all orders
/// at once.
const SHORT: usize = 2_000;

/// How many steps for each operation that first search may take.
const TRY: u64 = 100;

/// How many steps for each operation a sweep may take. This is enough if few operations overlap.
const SWEEP: u64 = 2_000;

impl<'a, M: Model> Part<'a, M> {
    fn new(model: &'a M, history: &'a [Operation<M::Op>], places: Vec<usize>) -> Part<'a, M> {
        let operations: Vec<_> = places.iter().map(|place| &history[*place]).collect();
        Part {
            model,
            spans: span::spans(&operations, M::is_open),
            ops: operations.into_iter().map(|operation| &operation.op).collect(),
            places,
            from_anything: false,
        }
    }

    fn key(&self) -> &'a str {
        self.ops.first().map_or("", |op| M::key(op))
    }

    /// Decides as fast as possible. If there is no order, the decision may not say where the history goes wrong.
    fn judge(&self, budget: &mut Budget) -> Option<Decision> {
        self.at_once().or_else(|| self.try_short(budget)).or_else(|| self.search(budget))
    }

    /// Decides. If there is no order, the decision says where the history goes wrong, if a sweep can find that.
    fn decide(&self, budget: &mut Budget) -> Option<Decision> {
        self.at_once().or_else(|| self.search(budget))
    }

    fn at_once(&self) -> Option<Decision> {
        let at_once = || self.model.at_once(&self.ops, &self.spans);
        (!self.from_anything).then(at_once).flatten()
    }

    /// Searches a short history, but gives up early.
    fn try_short(&self, budget: &mut Budget) -> Option<Decision> {
        if self.ops.len() > SHORT {
            return None;
        }
        let steps = self.steps();
        let mut few = budget.half(TRY * self.ops.len() as u64);
        let found = Search::new::<M>(&*steps, &self.ops, &self.spans).run(&mut few);
        budget.put_back(few);
        found.map(decided)
    }

    fn steps(&self) -> Box<dyn Steps + '_> {
        let steps = self.model.steps(&self.ops, &self.spans);
        match steps.anything().filter(|_| self.from_anything) {
            Some(anything) => Box::new(steps::From(steps, anything)),
            None => steps,
        }
    }

    /// The states, without looking ahead.
    fn plain_steps(&self) -> Box<dyn Steps + '_> {
        match self.from_anything {
            true => Box::new(steps::Blind(self.steps())),
            false => self.model.plain_steps(&self.ops),
        }
    }

    /// The part with only some of the operations, each with a new span.
    fn part(
        &self,
        left: &[usize],
        span: impl Fn(usize) -> Span,
        keeps: impl Fn(usize) -> bool,
    ) -> Part<'a, M> {
        Part {
            model: self.model,
            ops: left.iter().map(|op| self.ops[*op]).collect(),
            spans: self.spans.part(left, span, keeps),
            places: left.iter().map(|op| self.places[*op]).collect(),
            from_anything: self.from_anything,
        }
    }

    fn is_linearizable(&self, budget: &mut Budget) -> Option<bool> {
        self.decide(budget).map(|decision| decision == Decision::Legal)
    }

    fn search(&self, budget: &mut Budget) -> Option<Decision> {
        let steps = self.steps();
        let mut some = budget.half(SWEEP * self.ops.len() as u64);
        let swept = self.sweep(&*steps, &mut some);
        budget.put_back(some);
        swept.or_else(|| {
            let mut search = Search::new::<M>(&*steps, &self.ops, &self.spans);
            search.run(budget).map(decided)
        })
    }

    fn sweep(&self, steps: &dyn Steps, budget: &mut Budget) -> Option<Decision> {
        sweep::decide::<M>(steps, &self.ops, &self.spans, budget)
    }
}

/// Turns the result of a search into a decision.
fn decided(found: bool) -> Decision {
    if found { Decision::Legal } else { Decision::Illegal(Why::Unknown) }
}
