//! The search for an order (Wing and Gong, 1993, with the memory of Lowe, 2017).
//!
//! Calls and returns stand in a list, in the order of time. What comes next in an order of the operations may be any
//! that is called before the first return: that one must have taken effect by then. An operation that is put next
//! leaves the list; if the search gets stuck before a return, the last one comes back, and another is tried in its
//! place. What was done, and what the server has, is all that matters for what can follow, so no such pair is tried
//! twice.
//!
//! Some things make it short without changing what it finds:
//!
//! - What writes nothing is done at once where it fits, and nothing else tried instead: in any order that begins with
//!   what is done so far, it can as well stand here.
//! - An operation of unknown outcome is done only where it changes something that was seen.
//! - Of equal operations of unknown outcome, the one that was called first is done first.
//! - What leaves the next read no way to fit is taken back at once, and so is what the model knows to have been
//!   elsewhere.

use super::list::{Event, List};
use super::{Limit, Model, Span};
use labrpc::time::Instant;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::collections::{BTreeMap, BTreeSet};

/// How much of a limit is left.
pub struct Budget {
    steps: u64,
    end: Option<Instant>,
}

/// How many steps go by between two looks at the clock.
const LOOK_EVERY: u64 = 1024;

impl Budget {
    /// All of it.
    pub fn new(limit: Limit) -> Budget {
        match limit {
            Limit::None => Budget { steps: u64::MAX, end: None },
            Limit::Steps(steps) => Budget { steps, end: None },
            Limit::Time(time) => Budget { steps: u64::MAX, end: Some(Instant::now() + time) },
        }
    }

    /// Takes so many steps, or what is left.
    pub fn part(&mut self, steps: u64) -> Budget {
        let steps = steps.min(self.steps);
        self.steps -= steps;
        Budget { steps, end: self.end }
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.steps == 0
    }

    /// Puts back what is left of a part.
    pub fn put_back(&mut self, part: Budget) {
        self.steps += part.steps;
    }

    /// Takes a step, if there is one left.
    fn spend(&mut self) -> bool {
        let late = |end| self.steps.is_multiple_of(LOOK_EVERY) && Instant::now() >= end;
        if self.end.is_some_and(late) {
            self.steps = 0;
        }
        let left = self.steps.checked_sub(1);
        self.steps = left.unwrap_or(0);
        left.is_some()
    }
}

/// A search under way.
pub struct Search<'a, M: Model> {
    model: &'a M,
    spans: Vec<Span>,
    writes: Vec<bool>,
    /// What must be done and writes nothing, by its return.
    reads: Vec<usize>,
    /// Where each stands in `reads`, and how many of these are done from the first on, at least.
    turn: Vec<usize>,
    first_read: usize,
    list: List,
    done: Vec<bool>,
    /// How many are still to be done.
    missing: usize,
    state: M::State,
    /// What was done, with what the server had before.
    stack: Vec<Done<M::State>>,
    /// A random number for each operation. A set of operations is known by the sum of theirs, without carry. Of all
    /// sets that are remembered, two have the same with a chance of less than one in 10^25.
    names: Vec<u128>,
    set: u128,
    tried: BTreeSet<(u128, M::State)>,
    /// What was missing least, and where that was.
    longest: Option<(usize, Longest)>,
}

/// The furthest that a search came.
pub struct Longest {
    /// What was done, in order.
    pub order: Vec<usize>,
    /// What had to be done next, and didn't fit.
    pub misfit: usize,
}

struct Done<S> {
    op: usize,
    before: S,
    /// Nothing else need be tried instead.
    certain: bool,
}

/// More pairs than this aren't remembered, so that memory is bounded. It costs time, and no truth.
const MEMORY: usize = 4_000_000;

impl<'a, M: Model> Search<'a, M> {
    /// For an order of these operations.
    pub fn new(model: &'a M, ops: &[&M::Op], spans: &[Span]) -> Search<'a, M> {
        let mut random = Pcg64::seed_from_u64(0);
        let is_read = |op: &usize| !M::writes(ops[*op]) && spans[*op].ret.is_some();
        let mut reads: Vec<usize> = (0..ops.len()).filter(is_read).collect();
        reads.sort_by_key(|op| spans[*op].ret);
        let mut turn = vec![usize::MAX; ops.len()];
        reads.iter().enumerate().for_each(|(at, op)| turn[*op] = at);
        Search {
            model,
            spans: in_turn::<M>(ops, spans),
            writes: ops.iter().map(|op| M::writes(op)).collect(),
            reads,
            turn,
            first_read: 0,
            list: List::new(spans),
            done: vec![false; ops.len()],
            missing: spans.iter().filter(|span| span.ret.is_some()).count(),
            state: model.initial(),
            stack: Vec::new(),
            names: ops.iter().map(|_| random.random()).collect(),
            set: 0,
            tried: BTreeSet::new(),
            longest: None,
        }
    }

    /// Whether there is one; `None` if the budget was spent before that was certain.
    pub fn run(&mut self, budget: &mut Budget) -> Option<bool> {
        self.read();
        let mut event = self.list.first();
        while self.missing > 0 {
            match event {
                Event::Call(op) => {
                    if !budget.spend() {
                        return None;
                    }
                    let entered = self.enter(op) && self.is_hopeful();
                    event = if entered { self.list.first() } else { self.list.after(op) };
                }
                Event::Return(misfit) => {
                    self.note(misfit);
                    let Some(op) = self.back() else { return Some(false) };
                    event = self.list.after(op);
                }
                // What is missing has a return.
                Event::End => return Some(false),
            }
        }
        Some(true)
    }

    /// The longest order that fits, if the search was in vain.
    pub fn longest(self) -> Option<Longest> {
        self.longest.map(|(_, longest)| longest)
    }

    fn note(&mut self, misfit: usize) {
        if self.longest.as_ref().is_none_or(|(least, _)| self.missing < *least) {
            let order = self.stack.iter().map(|done| done.op).collect();
            self.longest = Some((self.missing, Longest { order, misfit }));
        }
    }

    /// What comes of this if it is done next; `None` if it can't be.
    fn next(&self, op: usize) -> Option<M::State> {
        let after = self.spans[op].after;
        let may = after.is_none_or(|first| self.done[first as usize]);
        may.then(|| self.model.step(self.state, op)).flatten()
    }

    /// Does this next, if it can be, and if what comes of it is new.
    fn enter(&mut self, op: usize) -> bool {
        let Some(state) = self.next(op) else { return false };
        let in_vain = state == self.state || self.model.is_unseen(state);
        if in_vain && self.spans[op].ret.is_none() {
            return false;
        }
        let pair = (self.set ^ self.names[op], state);
        if self.tried.contains(&pair) {
            return false;
        }
        if self.tried.len() < MEMORY {
            self.tried.insert(pair);
        }
        self.push(op, state, false);
        self.read();
        true
    }

    /// Whether the next read that must be done can still come to fit; if not, takes back what was done last.
    fn is_hopeful(&mut self) -> bool {
        while self.reads.get(self.first_read).is_some_and(|read| self.done[*read]) {
            self.first_read += 1;
        }
        let Some(&read) = self.reads.get(self.first_read) else { return true };
        let end = self.spans[read].end();
        let is_left = |op: usize| !self.done[op] && self.spans[op].call < end;
        let may = self.model.may_yet(self.state, read, is_left);
        if !may {
            self.back();
        }
        may
    }

    /// Does all that writes nothing and fits.
    fn read(&mut self) {
        let mut event = self.list.first();
        while let Event::Call(op) = event {
            if !self.writes[op] && self.next(op).is_some() {
                self.push(op, self.state, true);
            }
            event = self.list.after(op);
        }
    }

    fn push(&mut self, op: usize, state: M::State, certain: bool) {
        self.stack.push(Done { op, before: self.state, certain });
        self.list.remove(op);
        self.done[op] = true;
        self.set ^= self.names[op];
        self.missing -= usize::from(self.spans[op].ret.is_some());
        self.state = state;
    }

    /// Takes back what was done last, of that for which something else may be done. Returns it.
    fn back(&mut self) -> Option<usize> {
        while let Some(Done { op, before, certain }) = self.stack.pop() {
            self.list.restore(op);
            self.done[op] = false;
            self.first_read = self.first_read.min(self.turn[op]);
            self.set ^= self.names[op];
            self.missing += usize::from(self.spans[op].ret.is_some());
            self.state = before;
            if !certain {
                return Some(op);
            }
        }
        None
    }
}

/// The spans, with equal operations of unknown outcome in turn.
fn in_turn<M: Model>(ops: &[&M::Op], spans: &[Span]) -> Vec<Span> {
    let mut spans = spans.to_vec();
    let mut equal = BTreeMap::<_, Vec<usize>>::new();
    for (op, span) in spans.iter().enumerate() {
        if span.ret.is_none() && span.after.is_none() {
            equal.entry(M::effect(ops[op])).or_default().push(op);
        }
    }
    for mut equal in equal.into_values() {
        equal.sort_by_key(|op| spans[*op].call);
        for pair in equal.windows(2) {
            spans[pair[1]].after = Some(pair[0] as u32);
        }
    }
    spans
}
