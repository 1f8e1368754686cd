//! Finds the part of a long history that contains the contradiction.
//!
//! Operations that were called after the return at which no order was left have nothing to do with the contradiction.
//! Operations long before it often have nothing to do with it either. So only a window is examined, and before the window *any*
//! state is possible. If there is no order even so, the operations in the window contradict one another, whatever all others
//! did.

use super::budget::Budget;
use super::model::{Decision, Why};
use super::span::Span;
use super::{Limit, Model, Part};

/// How many steps the check of a window may take. A window that takes more is useless.
const STEPS: u64 = 2_000_000;

/// How many steps it may take to find out where the history goes wrong.
const SWEEP: u64 = 200_000;

/// If there are no more operations than this, all are examined, because a read may have returned what a later operation writes.
const WHOLE: usize = 64;

/// A part of the operations for which there is no order either.
pub fn window<'a, M: Model>(part: &Part<'a, M>, why: &Why) -> Option<Part<'a, M>> {
    let swept = (*why == Why::Unknown && part.ops.len() > WHOLE).then(|| sweep(part)).flatten();
    match swept.as_ref().unwrap_or(why) {
        // None of these operations saw what another write wrote.
        Why::These(ops) => {
            let mut ops = ops.clone();
            ops.sort_unstable();
            ops.dedup();
            Some(part.part(&ops, |op| part.spans[op], |_| true))
        }
        Why::By(op) => {
            let end = part.spans[*op].end();
            let sizes = std::iter::successors(Some(16), |size| Some(size * 4));
            let sizes = sizes.take_while(|size| *size < part.ops.len());
            let order = by_end(part, end);
            let from = |size: usize| order[order.len().saturating_sub(size)].0;
            sizes.map(|size| between(part, from(size), end)).find(is_contradictory).or_else(|| {
                // A sweep that looks ahead may stop before the read that shows why there is no order.
                let whole = between(part, 0, end);
                (whole.ops.len() < part.ops.len() && is_contradictory(&whole)).then_some(whole)
            })
        }
        Why::Unknown => None,
    }
}

/// Where the history goes wrong, if a sweep can find that.
fn sweep<M: Model>(part: &Part<'_, M>) -> Option<Why> {
    let mut budget = Budget::new(Limit::Steps(SWEEP));
    match part.sweep(&*part.plain_steps(), &mut budget) {
        Some(Decision::Illegal(why)) => Some(why),
        _ => None,
    }
}

/// The operations that were called before this position, sorted by end.
fn by_end<M: Model>(part: &Part<'_, M>, end: u32) -> Vec<(u32, usize)> {
    let spans = part.spans.iter().enumerate().filter(|(_, span)| span.call < end);
    let mut order: Vec<_> = spans.map(|(op, span)| (span.end().min(end), op)).collect();
    order.sort_unstable();
    order
}

/// The operations that were called between two positions. Writes that were under way at the first position may have been done
/// before it, and those under way at the second position after it.
fn between<'a, M: Model>(part: &Part<'a, M>, start: u32, end: u32) -> Part<'a, M> {
    let is_within = |op: &usize| {
        let span = part.spans[*op];
        let begun = span.call >= start || (span.end() >= start && M::writes(part.ops[*op]));
        let ends = span.end() <= end || M::writes(part.ops[*op]);
        begun && ends && span.call < end
    };
    let left: Vec<usize> = (0..part.ops.len()).filter(is_within).collect();
    let span = |op: usize| {
        let Span { call, ret } = part.spans[op];
        Span { call, ret: ret.filter(|ret| call >= start && *ret <= end) }
    };
    let mut window = part.part(&left, span, |_| true);
    window.from_anything |= start > 0;
    window
}

fn is_contradictory<M: Model>(part: &Part<'_, M>) -> bool {
    // Some models have no state that stands for any state.
    let can_begin =
        !part.from_anything || part.model.steps(&part.ops, &part.spans).anything().is_some();
    let mut budget = Budget::new(Limit::Steps(STEPS));
    can_begin && part.is_linearizable(&mut budget) == Some(false)
}
