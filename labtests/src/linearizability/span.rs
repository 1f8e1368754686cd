//! When an operation may have taken effect.

use super::Operation;
use labrpc::time::Instant;
use std::collections::BTreeMap;

/// The time that an operation may have taken effect in, by places in the order of all calls and returns of its key.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Not before this.
    pub call: u32,
    /// Not after this. `None`: at any time, or never.
    pub ret: Option<u32>,
    /// Not before this operation, whatever the places say.
    pub after: Option<u32>,
}

impl Span {
    /// At any time, or never.
    pub const ANY: Span = Span { call: 0, ret: None, after: None };

    /// The last place at which it may have taken effect.
    pub fn end(&self) -> u32 {
        self.ret.unwrap_or(u32::MAX)
    }
}

/// What several calls and returns at one moment are to each other: calls come first, so that clients who only meet
/// there count as concurrent.
///
/// But one client's call comes after its own return. While only one client does so at a moment, its calls and returns
/// go between the calls and the returns of the others. When two do, no order of places says what is meant (each
/// return comes before one call and not before the other), and [`Span::after`] says it.
enum Tie {
    One(u64),
    Several,
}

/// Of the operations of one key.
pub fn spans<Op>(operations: &[&Operation<Op>], is_open: impl Fn(&Op) -> bool) -> Vec<Span> {
    let ret = |operation: &Operation<Op>| operation.ret.filter(|_| !is_open(&operation.op));
    let mut by_client: Vec<usize> = (0..operations.len()).collect();
    let when = |op: usize| (operations[op].client, operations[op].call, operations[op].ret);
    by_client.sort_by_key(|op| {
        let (client, call, ret) = when(*op);
        (client, call, ret.is_none(), ret)
    });

    let mut ties = BTreeMap::<Instant, Tie>::new();
    let mut before = vec![None; operations.len()];
    let mut last = None;
    for &op in &by_client {
        let operation = operations[op];
        // What is open has no end for the next to wait for.
        let first: Option<usize> = last.filter(|first: &usize| {
            let first = operations[*first];
            first.client == operation.client && first.ret == Some(operation.call)
        });
        if let Some(first) = first {
            before[op] = Some(first as u32);
            let tie = ties.entry(operation.call).or_insert(Tie::One(operation.client));
            if matches!(tie, Tie::One(other) if *other != operation.client) {
                *tie = Tie::Several;
            }
        }
        if ret(operation).is_some() {
            last = Some(op);
        }
    }

    let class = |at: Instant, client: u64, is_ret: bool| match ties.get(&at) {
        Some(Tie::One(one)) if *one == client => 1,
        _ if is_ret => 2,
        _ => 0,
    };
    let mut events = Vec::with_capacity(2 * operations.len());
    for (turn, &op) in by_client.iter().enumerate() {
        let operation = operations[op];
        let mut event = |at: Instant, is_ret: bool| {
            let order = (at, class(at, operation.client, is_ret), 2 * turn + usize::from(is_ret));
            events.push((order, op, is_ret));
        };
        event(operation.call, false);
        if let Some(at) = ret(operation) {
            event(at, true);
        }
    }
    events.sort_unstable();

    let mut spans = vec![Span::ANY; operations.len()];
    for (place, (_, op, is_ret)) in events.into_iter().enumerate() {
        let place = place as u32 + 1;
        if is_ret {
            spans[op].ret = Some(place);
        } else {
            spans[op].call = place;
        }
    }
    for (op, span) in spans.iter_mut().enumerate() {
        if matches!(ties.get(&operations[op].call), Some(Tie::Several)) {
            span.after = before[op];
        }
    }
    spans
}
