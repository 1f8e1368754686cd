//! The states that a search goes through.

use super::Model;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::hash::Hash;

/// The operations of a key, by their places among them, and what they make of a state. A state is known by a number.
pub trait Steps {
    /// What there is at first.
    fn initial(&self) -> u64;

    /// What there is after an operation; `None`: its answer would have been another.
    fn step(&self, state: u64, op: usize) -> Option<u64>;

    /// For each operation a number that is the same for equal ones.
    fn kinds(&self) -> &[u32];

    /// Whether this read may still come to fit, from this state and if writes of these kinds are left.
    fn may_yet(&self, _state: u64, _read: usize, _is_left: &mut dyn FnMut(u32) -> bool) -> bool {
        true
    }

    /// A state of which nothing is known: what fits some state fits it. `None`: the model has none.
    fn anything(&self) -> Option<u64> {
        None
    }

    /// Whether nobody has seen this state, nor one that becomes of it, unless somebody writes without regard to it.
    /// An operation of unknown outcome is no use there.
    fn is_unseen(&self, _state: u64) -> bool {
        false
    }
}

/// The same, from another state on.
pub struct From<'a>(pub Box<dyn Steps + 'a>, pub u64);

impl Steps for From<'_> {
    fn initial(&self) -> u64 {
        self.1
    }

    fn step(&self, state: u64, op: usize) -> Option<u64> {
        self.0.step(state, op)
    }

    fn kinds(&self) -> &[u32] {
        self.0.kinds()
    }

    fn may_yet(&self, state: u64, read: usize, is_left: &mut dyn FnMut(u32) -> bool) -> bool {
        self.0.may_yet(state, read, is_left)
    }

    fn anything(&self) -> Option<u64> {
        self.0.anything()
    }

    fn is_unseen(&self, state: u64) -> bool {
        self.0.is_unseen(state)
    }
}

/// The same, without looking ahead.
pub struct Blind<'a>(pub Box<dyn Steps + 'a>);

impl Steps for Blind<'_> {
    fn initial(&self) -> u64 {
        self.0.initial()
    }

    fn step(&self, state: u64, op: usize) -> Option<u64> {
        self.0.step(state, op)
    }

    fn kinds(&self) -> &[u32] {
        self.0.kinds()
    }
}

/// The states of any model: those that were met are kept, and each step is taken once.
pub struct Kept<'a, M: Model> {
    model: &'a M,
    ops: Vec<&'a M::Op>,
    kinds: Vec<u32>,
    states: RefCell<States<M::State>>,
}

struct States<S> {
    all: Vec<S>,
    numbers: FxHashMap<S, u32>,
    steps: FxHashMap<(u32, u32), Option<u32>>,
}

impl<'a, M: Model> Kept<'a, M> {
    /// Of these operations.
    pub fn new(model: &'a M, ops: &[&'a M::Op]) -> Kept<'a, M> {
        let initial = model.initial();
        let states = States {
            all: vec![initial.clone()],
            numbers: [(initial, 0)].into_iter().collect(),
            steps: FxHashMap::default(),
        };
        Kept { model, ops: ops.to_vec(), kinds: numbers(ops), states: RefCell::new(states) }
    }
}

/// For each a number that is the same for equal ones. The first has 0.
pub fn numbers<T: Hash + Eq>(all: impl IntoIterator<Item = T>) -> Vec<u32> {
    let mut known = FxHashMap::default();
    let number = |value| {
        let next = known.len() as u32;
        *known.entry(value).or_insert(next)
    };
    all.into_iter().map(number).collect()
}

impl<M: Model> Steps for Kept<'_, M> {
    fn initial(&self) -> u64 {
        0
    }

    fn step(&self, state: u64, op: usize) -> Option<u64> {
        let States { all, numbers, steps } = &mut *self.states.borrow_mut();
        let take = || {
            let next = self.model.step(&all[state as usize], self.ops[op])?;
            let number = all.len() as u32;
            let number = *numbers.entry(next.clone()).or_insert(number);
            if number as usize == all.len() {
                all.push(next);
            }
            Some(number)
        };
        let step = steps.entry((state as u32, self.kinds[op])).or_insert_with(take);
        step.map(u64::from)
    }

    fn kinds(&self) -> &[u32] {
        &self.kinds
    }
}
