//! The few operations of a key that contradict one another.
//!
//! Of an operation that has nothing to do with it, less may be asked, and there is still no order: a read is left out; a
//! write may be at any time, or never. Whatever order explains the whole history explains what is left of it, too, so if there is none for
//! that, there is none for the whole. A write is never left out: whoever saw it would contradict then, and wrongly.

use super::search::Budget;
use super::{Limit, Model, Part, Span};

/// How many steps each attempt may take. One that takes more has failed; only, more operations are left then.
const STEPS: u64 = 20_000;

/// Asks less and less of a key's operations while there is no order for them.
pub fn shrink<'a, M: Model>(part: &Part<'a, M>) -> Part<'a, M> {
    let mut left: Vec<usize> = (0..part.ops.len()).collect();
    left.sort_by_key(|op| part.spans[*op].call);
    let mut smallest = part.with_only(&left);
    let mut size = left.len().next_power_of_two();
    while size > 1 {
        size /= 2;
        // From the end, so that what contradicts first is left.
        for start in (0..left.len()).step_by(size).rev() {
            let end = left.len().min(start + size);
            let fewer = [&left[..start], &left[end..]].concat();
            let attempt = part.with_only(&fewer);
            if attempt.is_linearizable(&mut Budget::new(Limit::Steps(STEPS))) == Some(false) {
                (left, smallest) = (fewer, attempt);
            }
        }
    }
    smallest
}

impl<'a, M: Model> Part<'a, M> {
    /// The same, if nothing is asked of the others.
    fn with_only(&self, asked: &[usize]) -> Part<'a, M> {
        let mut is_asked = vec![false; self.ops.len()];
        asked.iter().for_each(|op| is_asked[*op] = true);
        let stays = |op: &usize| is_asked[*op] || M::writes(self.ops[*op]);
        let stay: Vec<usize> = (0..self.ops.len()).filter(stays).collect();
        let span = |op: &usize| {
            if !is_asked[*op] {
                return Span::ANY;
            }
            let after = self.spans[*op].after.filter(|first| is_asked[*first as usize]);
            let after = after.and_then(|first| stay.binary_search(&(first as usize)).ok());
            Span { after: after.map(|first| first as u32), ..self.spans[*op] }
        };
        Part {
            ops: stay.iter().map(|op| self.ops[*op]).collect(),
            places: stay.iter().map(|op| self.places[*op]).collect(),
            spans: stay.iter().map(span).collect(),
        }
    }
}
