//! Finds a few operations of a key that contradict one another.
//!
//! An operation that has nothing to do with the contradiction is made less constrained, as long as there is still no order. A
//! read is left out. A write may take effect at any time after its call, or never; or at any time at all. Any order that
//! explains the whole history also explains the less constrained one, so if there is none for that, there is none for the
//! whole. A write is never left out: the operations that saw it would then contradict, and wrongly so.

use super::budget::Budget;
use super::{Limit, Model, Part, Span};

/// The remaining operations of a key. There is no order for them.
pub struct Few<'a, M: Model> {
    /// These operations, together with the less constrained writes.
    pub part: Part<'a, M>,
    /// The operations that contradict, in the order of their calls.
    pub shown: Vec<usize>,
    /// Whether it is certain that there would be an order if any of these were less constrained.
    pub minimal: bool,
}

/// How an operation is constrained.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// It must fit between its call and its return.
    All,
    /// It must not be before its call.
    Call,
    /// Not at all.
    Nothing,
}

/// How many steps all attempts together may take, and a single attempt. With fewer steps, more operations remain; nothing else
/// changes.
const STEPS: u64 = 2_000_000;
const STEPS_AT_ONCE: u64 = 200_000;

/// Makes the operations of a key less and less constrained, as long as there is no order for them.
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
    /// Constrains as many of these operations as possible only this much. Returns the operations for which that would make an
    /// order possible.
    fn ask(&mut self, less: Asked, ops: &[usize]) -> Vec<usize> {
        let mut left = ops.to_vec();
        let mut needed = Vec::new();
        let mut size = left.len().next_power_of_two();
        while size > 0 {
            // From the end, so that the first operations that contradict remain.
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
        // Starting an attempt takes one step for each operation, too.
        self.budget.part(self.asked.len() as u64);
        if self.budget.is_spent() {
            return None;
        }
        let mut some = self.budget.part(STEPS_AT_ONCE);
        let verdict = self.attempt().is_linearizable(&mut some);
        self.budget.put_back(some);
        verdict
    }

    /// The remaining operations: all writes, and the reads that are still constrained.
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
