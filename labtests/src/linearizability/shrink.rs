//! The few operations of a key that contradict one another.
//!
//! Of an operation that has nothing to do with it, less is asked, as long as there is still no order: a read is left
//! out; a write may be at any time after its call, or never; or at any time at all. Whatever order explains the whole
//! history explains what is left of it, too, so if there is none for that, there is none for the whole. A write is
//! never left out: whoever saw it would contradict then, and wrongly.

use super::budget::Budget;
use super::{Limit, Model, Part, Span};

/// What is left of the operations of a key, without an order.
pub struct Few<'a, M: Model> {
    /// They, and the writes of which less is asked.
    pub part: Part<'a, M>,
    /// Those that contradict, in the order of their calls.
    pub shown: Vec<usize>,
    /// Whether it is known that there would be an order if less were asked of any of these.
    pub minimal: bool,
}

/// What is asked of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// That it fits between its call and its return.
    All,
    /// That it isn't before its call.
    Call,
    /// Nothing.
    Nothing,
}

/// How many steps all attempts together may take, and one of them. With less, more operations are left; that is all.
const STEPS: u64 = 2_000_000;
const STEPS_AT_ONCE: u64 = 200_000;

/// Asks less and less of a key's operations, while there is no order for them.
pub fn shrink<'a, M: Model>(part: &Part<'a, M>) -> Few<'a, M> {
    let mut ops: Vec<usize> = (0..part.ops.len()).collect();
    ops.sort_by_key(|op| part.spans[*op].call);
    let mut shrinking = Shrinking {
        part,
        asked: vec![Asked::All; ops.len()],
        budget: Budget::new(Limit::Steps(STEPS)),
        decided_all: true,
    };
    shrinking.ask(Asked::Call, &ops);
    let is_open = |op: &usize| shrinking.asked[*op] == Asked::Call && M::writes(part.ops[*op]);
    let open: Vec<usize> = ops.iter().copied().filter(is_open).collect();
    let called_too_late = shrinking.ask(Asked::Nothing, &open);
    let shown = |op: &usize| shrinking.asked[*op] == Asked::All || called_too_late.contains(op);
    let left = shrinking.left();
    let shown = ops.iter().filter(|op| shown(op));
    let shown = shown.filter_map(|op| left.binary_search(op).ok()).collect();
    Few { part: shrinking.attempt(), shown, minimal: shrinking.decided_all }
}

struct Shrinking<'p, 'a, M: Model> {
    part: &'p Part<'a, M>,
    asked: Vec<Asked>,
    budget: Budget,
    decided_all: bool,
}

impl<'a, M: Model> Shrinking<'_, 'a, M> {
    /// Asks only this of as many of these operations as it can. Returns those for which there would be an order then.
    fn ask(&mut self, less: Asked, ops: &[usize]) -> Vec<usize> {
        let mut left = ops.to_vec();
        let mut needed = Vec::new();
        let mut size = left.len().next_power_of_two();
        while size > 0 {
            // From the end, so that what contradicts first is left.
            for start in (0..left.len()).step_by(size).rev() {
                let end = left.len().min(start + size);
                let before = self.asked.clone();
                left[start..end].iter().for_each(|op| self.asked[*op] = less);
                match self.is_linearizable() {
                    Some(false) => drop(left.drain(start..end)),
                    verdict => {
                        self.asked = before;
                        self.decided_all &= verdict.is_some();
                        if verdict == Some(true) && size == 1 {
                            needed.push(left[start]);
                        }
                    }
                }
            }
            size /= 2;
        }
        needed
    }

    fn is_linearizable(&mut self) -> Option<bool> {
        // To begin with one takes a step for each operation, too.
        self.budget.part(self.asked.len() as u64);
        if self.budget.is_spent() {
            return None;
        }
        let mut some = self.budget.part(STEPS_AT_ONCE);
        let verdict = self.attempt().is_linearizable(&mut some);
        self.budget.put_back(some);
        verdict
    }

    /// The operations that are left: all writes, and the reads of which anything is asked.
    fn left(&self) -> Vec<usize> {
        let is_left = |op: &usize| self.asked[*op] == Asked::All || M::writes(self.part.ops[*op]);
        (0..self.asked.len()).filter(is_left).collect()
    }

    fn attempt(&self) -> Part<'a, M> {
        let span = |op: usize| match (self.asked[op], self.part.spans[op]) {
            (Asked::All, span) => span,
            (Asked::Call, Span { call, .. }) => Span { call, ..Span::ANY },
            (Asked::Nothing, _) => Span::ANY,
        };
        self.part.part(&self.left(), span, |op| self.asked[op] == Asked::All)
    }
}
