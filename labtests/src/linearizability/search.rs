//! Searches for an order (Wing and Gong, 1993, with the memory of Lowe, 2017).
//!
//! Calls and returns are in a list, in the order of time. The next operation of an order may be any operation that is called
//! before the first return in the list, because the operation that returns there must have taken effect by then. An operation
//! that is chosen leaves the list. If the search can't get past a return, the last operation is restored, and another one is
//! tried in its place. What can follow depends only on two things: which operations are done, and the state of the server. So
//! the same pair of these is never tried twice.
//!
//! Some rules make the search shorter without changing its result:
//!
//! - An operation that writes nothing is done as soon as it fits, and nothing else is tried instead. In any order that begins
//!   with the operations done so far, it can be moved to this place.
//! - An operation of unknown outcome is done only where it changes something that was seen.
//! - Among equal operations, the one that must be done first is done first, because in any order they can change places.
//! - A choice is undone at once if the next read can no longer fit after it, or if the model knows that the operation happened
//!   somewhere else.

use super::Model;
use super::budget::Budget;
use super::list::{Event, List};
use super::span::Spans;
use super::steps::Steps;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::collections::BTreeSet;

/// The state of a search.
pub struct Search<'a> {
    steps: &'a dyn Steps,
    spans: &'a Spans,
    writes: Vec<bool>,
    equal: Equal,
    /// The operations that must be done and write nothing, sorted by return.
    reads: Vec<usize>,
    /// The index of each operation in `reads`, and a lower bound for how many at the start of `reads` are done.
    turn: Vec<usize>,
    first_read: usize,
    /// The operations that must be done, sorted by return, and a lower bound for how many at the start are done.
    ends: Vec<usize>,
    end_turn: Vec<usize>,
    first_end: usize,
    list: List,
    done: Vec<bool>,
    /// How many operations must still be done.
    missing: usize,
    state: u64,
    /// The operations that were done, each with the state of the server before it.
    stack: Vec<Done>,
    /// A random number for each operation. A set of operations is represented by the sum of their numbers, without carry. The
    /// chance that any two of the remembered sets have the same sum is less than one in 10^25.
    names: Vec<u128>,
    set: u128,
    tried: BTreeSet<(u128, u64)>,
    /// The smallest number of missing operations so far, and the order where that was.
    longest: Option<(usize, Longest)>,
}

/// The longest order that a search found.
pub struct Longest {
    /// The operations that were done, in order.
    pub order: Vec<usize>,
    /// The operation that had to be done next and did not fit.
    pub misfit: usize,
}

struct Done {
    op: usize,
    before: u64,
    /// Nothing else needs to be tried instead.
    certain: bool,
}

impl<'a> Search<'a> {
    /// Prepares the search for an order of these operations.
    pub fn new<M: Model>(steps: &'a dyn Steps, ops: &[&M::Op], spans: &'a Spans) -> Search<'a> {
        let mut random = Pcg64::seed_from_u64(0);
        let is_read = |op: &usize| !M::writes(ops[*op]) && spans[*op].ret.is_some();
        let mut reads: Vec<usize> = (0..ops.len()).filter(is_read).collect();
        reads.sort_by_key(|op| spans[*op].ret);
        let mut ends: Vec<usize> = (0..ops.len()).filter(|op| spans[*op].ret.is_some()).collect();
        ends.sort_by_key(|op| spans[*op].ret);
        let writes: Vec<bool> = ops.iter().map(|op| M::writes(op)).collect();
        Search {
            steps,
            spans,
            equal: Equal::new(steps.kinds(), &writes, spans),
            writes,
            turn: turns(&reads, ops.len()),
            reads,
            first_read: 0,
            end_turn: turns(&ends, ops.len()),
            ends,
            first_end: 0,
            list: List::new(spans),
            done: vec![false; ops.len()],
            missing: spans.iter().filter(|span| span.ret.is_some()).count(),
            state: steps.initial(),
            stack: Vec::new(),
            names: ops.iter().map(|_| random.random()).collect(),
            set: 0,
            tried: BTreeSet::new(),
            longest: None,
        }
    }

    /// Whether there is an order; `None` if the budget ran out before that was certain, or if the memory was full.
    pub fn run(&mut self, budget: &mut Budget) -> Option<bool> {
        self.read();
        let mut event = self.list.first();
        while self.missing > 0 {
            match event {
                Event::Call(op) => {
                    if !budget.spend() || budget.is_full(self.tried.len()) {
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
                // An operation that is missing has a return, and the list has no returns left.
                Event::End => return Some(false),
            }
        }
        Some(true)
    }

    /// The longest order that fits, if the search found no complete order.
    pub fn longest(self) -> Option<Longest> {
        self.longest.map(|(_, longest)| longest)
    }

    fn note(&mut self, misfit: usize) {
        if self.longest.as_ref().is_none_or(|(least, _)| self.missing < *least) {
            let order = self.stack.iter().map(|done| done.op).collect();
            self.longest = Some((self.missing, Longest { order, misfit }));
        }
    }

    /// The state if this operation is done next; `None` if it can't be.
    fn next(&self, op: usize) -> Option<u64> {
        let may = self.spans.before(op).all(|first| self.done[first]);
        may.then(|| self.steps.step(self.state, op)).flatten()
    }

    /// Does this operation next, if that is possible and leads to a new pair.
    fn enter(&mut self, op: usize) -> bool {
        if self.is_out_of_turn(op) {
            return false;
        }
        let Some(state) = self.next(op) else { return false };
        let in_vain = state == self.state || self.steps.is_unseen(state);
        if in_vain && self.spans[op].ret.is_none() {
            return false;
        }
        if !self.tried.insert((self.set ^ self.names[op], state)) {
            return false;
        }
        self.push(op, state, false);
        self.read();
        true
    }

    /// Whether an equal operation could be done now and must be done before this one. If there are links, equal operations
    /// differ in what follows them.
    fn is_out_of_turn(&mut self, op: usize) -> bool {
        while self.ends.get(self.first_end).is_some_and(|op| self.done[*op]) {
            self.first_end += 1;
        }
        let first_end = self.ends.get(self.first_end).map_or(u32::MAX, |op| self.spans[*op].end());
        let can_be = |other: usize| self.spans[other].call < first_end;
        self.spans.links().len() == 0 && self.equal.before(op, &self.done).any(can_be)
    }

    /// Whether the next read that must be done can still fit. If not, undoes the last operation.
    fn is_hopeful(&mut self) -> bool {
        while self.reads.get(self.first_read).is_some_and(|read| self.done[*read]) {
            self.first_read += 1;
        }
        let Some(&read) = self.reads.get(self.first_read) else { return true };
        let end = self.spans[read].end();
        let mut is_left = |kind| self.equal.is_left(kind, end, &self.done, self.spans);
        let may = self.steps.may_yet(self.state, read, &mut is_left);
        if !may {
            self.back();
        }
        may
    }

    /// Does all operations that write nothing and fit.
    fn read(&mut self) {
        let mut event = self.list.first();
        while let Event::Call(op) = event {
            if !self.writes[op] && self.next(op).is_some() {
                self.push(op, self.state, true);
            }
            event = self.list.after(op);
        }
    }

    fn push(&mut self, op: usize, state: u64, certain: bool) {
        self.stack.push(Done { op, before: self.state, certain });
        self.list.remove(op);
        self.done[op] = true;
        self.equal.done(op, &self.done);
        self.set ^= self.names[op];
        self.missing -= usize::from(self.spans[op].ret.is_some());
        self.state = state;
    }

    /// Undoes operations up to the last one that can be replaced by another. Returns that one.
    fn back(&mut self) -> Option<usize> {
        while let Some(Done { op, before, certain }) = self.stack.pop() {
            self.list.restore(op);
            self.done[op] = false;
            self.equal.undone(op);
            self.first_end = self.first_end.min(self.end_turn[op]);
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

/// The index of each operation among these.
fn turns(some: &[usize], all: usize) -> Vec<usize> {
    let mut turns = vec![usize::MAX; all];
    some.iter().enumerate().for_each(|(at, op)| turns[*op] = at);
    turns
}

/// The writes by kind. Writes of the same kind are equal.
struct Equal {
    /// For each operation its kind, and its index among the operations of that kind.
    kinds: Vec<u32>,
    ranks: Vec<u32>,
    /// The writes of each kind, sorted by return; those without a return follow, sorted by call.
    writes: Vec<Vec<u32>>,
    /// A lower bound for how many at the start of each kind are done.
    begun: Vec<u32>,
}

/// How many equal operations are examined. Stopping there costs time, but the result stays right.
const LOOKS: usize = 64;

impl Equal {
    fn new(kinds: &[u32], writes: &[bool], spans: &Spans) -> Equal {
        let count = kinds.iter().max().map_or(0, |most| *most as usize + 1);
        let mut by_kind = vec![Vec::new(); count];
        for op in (0..writes.len()).filter(|op| writes[*op]) {
            by_kind[kinds[op] as usize].push(op as u32);
        }
        let mut ranks = vec![0; writes.len()];
        for equal in &mut by_kind {
            equal.sort_by_key(|op| (spans[*op as usize].end(), spans[*op as usize].call));
            equal.iter().enumerate().for_each(|(rank, op)| ranks[*op as usize] = rank as u32);
        }
        Equal { kinds: kinds.to_vec(), ranks, writes: by_kind, begun: vec![0; count] }
    }

    fn left<'e>(&'e self, kind: u32, done: &'e [bool]) -> impl Iterator<Item = usize> + 'e {
        let from = self.begun[kind as usize] as usize;
        let writes = self.writes[kind as usize][from..].iter().take(LOOKS);
        writes.map(|op| *op as usize).filter(|op| !done[*op])
    }

    /// The equal operations that must be done before this one and are not done.
    fn before<'e>(&'e self, op: usize, done: &'e [bool]) -> impl Iterator<Item = usize> + 'e {
        let before = move |other: &usize| self.ranks[*other] < self.ranks[op];
        self.left(self.kinds[op], done).take_while(before)
    }

    /// Whether a write of this kind is left that was called before `end`.
    fn is_left(&self, kind: u32, end: u32, done: &[bool], spans: &Spans) -> bool {
        let kind_writes = self.writes.get(kind as usize).map_or(0, Vec::len);
        let seen_all = kind_writes - self.begun[kind as usize] as usize <= LOOKS;
        self.left(kind, done).any(|op| spans[op].call < end) || !seen_all
    }

    fn done(&mut self, op: usize, done: &[bool]) {
        let kind = self.kinds[op] as usize;
        let writes = &self.writes[kind];
        let begun = &mut self.begun[kind];
        while writes.get(*begun as usize).is_some_and(|op| done[*op as usize]) {
            *begun += 1;
        }
    }

    fn undone(&mut self, op: usize) {
        let begun = &mut self.begun[self.kinds[op] as usize];
        // A read is in no list, and its rank is 0.
        *begun = (*begun).min(self.ranks[op]);
    }
}
