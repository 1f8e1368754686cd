//! What is shown of a failing history is a contradiction by itself, needs all that it shows, and its order is one.

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

/// What is asked, as a history.
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

/// Whether an order keeps to time and explains all answers but the last one's.
fn fits<M: Model<Op: Concrete>>(part: &Part<'_, M>, longest: &Longest) -> bool {
    let in_time = longest.order.iter().enumerate().all(|(turn, op)| {
        let later = &longest.order[turn..];
        later.iter().all(|later| part.spans[*later].end() >= part.spans[*op].call)
    });
    let mut state = Default::default();
    let answered = longest.order.iter().all(|op| part.ops[*op].apply(&mut state));
    in_time && answered && !part.ops[longest.misfit].apply(&mut state)
}

/// Whether this is no history for which there is an order, and how what is left of it is shown.
fn shrinks<M: Model<Op: Concrete + Clone + Debug>>(model: &M, whole: &[Operation<M::Op>]) -> bool {
    let Verdict::Not(why) = check(model, whole, Limit::None) else { return false };
    let Few { part, shown, minimal } = shrink(&parts(model, whole)[0]);
    assert!(minimal, "so few are looked into to the end");
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
        // A read that nobody heard of isn't one.
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
