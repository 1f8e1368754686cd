//! The states that a search goes through.

use super::Model;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::hash::Hash;

/// The operations of a key, numbered by index, and their effect on a state. A state is represented by a number.
pub trait Steps {
    /// The initial state.
    fn initial(&self) -> u64;

    /// The state after an operation; `None`: its answer would have been a different one.
    fn step(&self, state: u64, op: usize) -> Option<u64>;

    /// A number for each operation. Equal operations have the same number.
    fn kinds(&self) -> &[u32];

    /// Whether this read may still fit later, given this state and the kinds of the writes that are left.
    fn may_yet(&self, _state: u64, _read: usize, _is_left: &mut dyn FnMut(u32) -> bool) -> bool {
        true
    }

    /// A state about which nothing is known: an operation that fits some state fits it. `None`: the model has no such state.
    fn anything(&self) -> Option<u64> {
        None
    }

    /// Whether no operation saw this state or any state that follows from it, until a write replaces it completely. An
    /// operation of unknown outcome is useless there.
    fn is_unseen(&self, _state: u64) -> bool {
        false
    }
}

/// The same steps from another initial state.
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

/// The same steps without looking ahead.
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

/// The states of any model. States are stored when they are first met, and each step is computed once.
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
    /// The steps of these operations.
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

/// A number for each item. Equal items have the same number, and the first item has 0.
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
