//! Compares the verdicts with each other on thousands of small histories: the verdicts by blocks or versions, by search, and by
//! trying every order.

mod brute;
mod cliffs;
mod files;
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

/// Compares the verdicts on one history and returns the verdict. The history has one key, or every key would have the same
/// verdict.
fn compare<M>(model: &M, history: &[Operation<M::Op>], count: &mut Count) -> bool
where
    M: Model<Op: brute::Concrete + Clone + std::fmt::Debug>,
{
    let of_key = |part: &Part<'_, M>| -> Vec<_> {
        part.places.iter().map(|place| history[*place].clone()).collect()
    };
    let mut truth = true;
    for part in parts(model, history) {
        let legal = brute::is_linearizable(&of_key(&part));
        truth &= legal;
        let legal = if legal { Some(true) } else { Some(false) };
        let searched = part.search(&mut Budget::new(Limit::None)).map(|d| d == Decision::Legal);
        assert_eq!(searched, legal, "{:?} {:#?}", part.spans, part.ops);
        let steps = part.steps();
        let mut search = Search::new::<M>(&*steps, &part.ops, &part.spans);
        assert_eq!(search.run(&mut Budget::new(Limit::None)), legal, "{:#?}", part.ops);
        let Some(at_once) = model.at_once(&part.ops, &part.spans) else { continue };
        count.at_once += 1;
        let at_once = Some(at_once == Decision::Legal);
        assert_eq!(at_once, legal, "{:?} {:#?}", part.spans, part.ops);
    }
    let verdict = matches!(check(model, history, Limit::None), Verdict::Linearizable);
    assert_eq!(verdict, truth, "{history:#?}");
    *(if truth { &mut count.linearizable } else { &mut count.not }) += 1;
    truth
}

/// How many histories of each kind are tried; `LAB_HISTORIES` says how many otherwise.
fn histories() -> u64 {
    std::env::var("LAB_HISTORIES").map_or(2_500, |text| text.parse().expect("a number"))
}

/// Compares the verdicts on many histories. Enough of them must have each verdict.
fn compare_all<M>(model: &M, at_once: bool, make: impl Fn(&mut Random) -> Vec<Operation<M::Op>>)
where
    M: Model<Op: brute::Concrete + Clone + std::fmt::Debug>,
{
    let mut count = Count::default();
    for seed in 0..histories() {
        compare(model, &make(&mut Random::new(seed)), &mut count);
    }
    let Count { linearizable, not, .. } = count;
    let least = linearizable.min(not).min(if at_once { count.at_once } else { not });
    assert!(u64::from(least) > histories() / 8, "{count:?} is too few of one verdict");
}

#[test]
fn texts_are_judged_as_by_trying_every_order() {
    compare_all(&Text, true, Random::texts);
}

#[test]
fn puts_and_gets_are_judged_as_by_trying_every_order() {
    compare_all(&Text, true, Random::puts);
}

#[test]
fn versions_are_judged_as_by_trying_every_order() {
    compare_all(&Versioned, true, Random::versions);
}

#[test]
fn registers_are_judged_as_by_trying_every_order() {
    compare_all(&Register::default(), false, Random::registers);
}

#[test]
fn counters_are_judged_as_by_trying_every_order() {
    compare_all(&Counter::default(), false, Random::counters);
}

#[test]
fn sets_are_judged_as_by_trying_every_order() {
    compare_all(&Set, false, Random::sets);
}

#[test]
fn queues_are_judged_as_by_trying_every_order() {
    compare_all(&Queue, false, Random::queues);
}

#[test]
fn transactions_are_judged_as_by_trying_every_order() {
    compare_all(&Map, false, Random::transactions);
}
