//! The operations that are shown for a failing history are a contradiction by themselves, each of them is needed, and the order
//! that is shown is valid.

use super::super::budget::Budget;
use super::super::search::{Longest, Search};
use super::super::shrink::{Few, shrink};
use super::super::{
    Limit, Model, Operation, Part, Register, Span, Text, Verdict, Versioned, check, parts,
};
use super::brute::{self, Concrete};
use super::random::Random;
use labrpc::time::{Duration, Instant};
use std::fmt::Debug;

/// The operations of the part as a history, with their constraints.
fn history<M: Model<Op: Clone>>(part: &Part<'_, M>) -> Vec<Operation<M::Op>> {
    let at = |place: u32| Instant::at(Duration::from_nanos(place.into()));
    let operation = |(client, (op, span)): (usize, (&&M::Op, &Span))| Operation {
        client: client as u64,
        call: at(span.call),
        ret: span.ret.map(at),
        op: (*op).clone(),
    };
    part.ops.iter().zip(&*part.spans).enumerate().map(operation).collect()
}

/// Whether an order respects time and explains all answers except the last one.
fn fits<M: Model<Op: Concrete>>(part: &Part<'_, M>, longest: &Longest) -> bool {
    let in_time = longest.order.iter().enumerate().all(|(turn, op)| {
        let later = &longest.order[turn..];
        later.iter().all(|later| part.spans[*later].end() >= part.spans[*op].call)
    });
    let mut state = Default::default();
    let answered = longest.order.iter().all(|op| part.ops[*op].apply(&mut state));
    in_time && answered && !part.ops[longest.misfit].apply(&mut state)
}

/// Returns whether there is no order for this history; if so, checks how it is shrunk.
fn shrinks<M: Model<Op: Concrete + Clone + Debug>>(model: &M, whole: &[Operation<M::Op>]) -> bool {
    let Verdict::Not(why) = check(model, whole, Limit::None) else { return false };
    let Few { part, shown, minimal } = shrink(&parts(model, whole)[0]);
    assert!(minimal, "the search is complete for so few operations");
    if part.spans.links().len() > 0 {
        return false;
    }
    let few = history(&part);
    assert!(!brute::is_linearizable(&few), "{why} in {whole:#?}");
    for op in shown {
        let mut fewer = few.clone();
        match part.spans[op].ret {
            Some(_) => fewer[op].ret = None,
            None => fewer[op].call = Instant::at(Duration::ZERO),
        }
        // A read without an answer is not a constraint.
        fewer.retain(|operation| operation.ret.is_some() || operation.op.writes());
        assert!(brute::is_linearizable(&fewer), "without #{}: {why}", part.places[op] + 1);
    }
    let steps = part.plain_steps();
    let mut search = Search::new::<M>(&*steps, &part.ops, &part.spans);
    assert_eq!(search.run(&mut Budget::new(Limit::None)), Some(false));
    let longest = search.longest().expect("it failed somewhere");
    assert!(fits(&part, &longest), "{why} in {whole:#?}");
    true
}

#[test]
fn texts() {
    let failed = (0..3000).filter(|seed| {
        let history = Random::new(*seed).texts();
        history.len() < 8 && shrinks(&Text, &history)
    });
    assert!(failed.count() > 300);
}

#[test]
fn versions() {
    let failed = (0..3000).filter(|seed| {
        let history = Random::new(*seed).versions();
        history.len() < 8 && shrinks(&Versioned, &history)
    });
    assert!(failed.count() > 300);
}

#[test]
fn registers() {
    let failed = (0..3000).filter(|seed| {
        let history = Random::new(*seed).registers();
        history.len() < 8 && shrinks(&Register::default(), &history)
    });
    assert!(failed.count() > 300);
}
