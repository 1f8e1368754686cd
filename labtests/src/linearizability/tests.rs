//! The verdicts against each other: by blocks or versions, by search, and by trying every order, on thousands of
//! small histories.

mod brute;
mod garbled;
mod lab;
mod random;
mod shrink;

use super::*;
use random::Random;

/// How often each verdict was given, and how often without a search.
#[derive(Debug, Default)]
struct Count {
    linearizable: u32,
    not: u32,
    at_once: u32,
}

/// Compares the verdicts on one history; returns the one.
fn compare<M: Model<Op: brute::Concrete>>(history: &[Operation<M::Op>], count: &mut Count) -> bool
where
    M::Op: std::fmt::Debug,
{
    let truth = brute::is_linearizable(history);
    for part in parts::<M>(history) {
        let searched = part.search(&mut Budget::new(Limit::None));
        let Some(at_once) = M::at_once(&part.ops, &part.spans) else { continue };
        count.at_once += 1;
        assert_eq!(searched, Some(at_once), "{:?} {:#?}", part.spans, part.ops);
    }
    let verdict = matches!(check::<M>(history, Limit::None), Verdict::Linearizable);
    assert_eq!(verdict, truth, "{history:#?}");
    *(if truth { &mut count.linearizable } else { &mut count.not }) += 1;
    truth
}

#[test]
fn texts_are_judged_as_by_trying_every_order() {
    let mut count = Count::default();
    for seed in 0..10_000 {
        compare::<Text>(&Random::new(seed).texts(), &mut count);
    }
    let Count { linearizable, not, at_once } = count;
    assert!(linearizable.min(not).min(at_once) > 2_000, "{count:?} tells too little");
}

#[test]
fn versions_are_judged_as_by_trying_every_order() {
    let mut count = Count::default();
    for seed in 0..10_000 {
        compare::<Versioned>(&Random::new(seed).versions(), &mut count);
    }
    let Count { linearizable, not, at_once } = count;
    assert!(linearizable.min(not).min(at_once) > 2_000, "{count:?} tells too little");
}
