//! The search for an order from one return to the next, for histories in which few operations are under way at a time.
//!
//! A *configuration* is which of the operations under way are done, and what the service has then. At each call and return all
//! configurations are known that may be: nothing is done before it must be, that is, before its return or that of another which
//! needs it; only what writes nothing is done as soon as it fits. Where no configuration is left, there is no order, and the
//! return at which this happened shows where.
//!
//! Time and memory are linear in the history for as long as a bounded number of operations is under way. Where there are more the
//! configurations may double with each, so this gives up, and [`super::search`] goes on.

use super::Model;
use super::budget::Budget;
use super::model::{Decision, Why};
use super::span::Spans;
use super::steps::Steps;

/// With more operations under way than this, it isn't tried.
const UNDER_WAY: usize = 12;

/// With more configurations than this it is given up.
const MOST: usize = 5_000;

/// Which of those under way are done, a bit for each, and the state.
type Configuration = (u32, u64);

/// Whether there is an order. `None`: it isn't known.
pub fn decide<M: Model>(
    steps: &dyn Steps,
    ops: &[&M::Op],
    spans: &Spans,
    budget: &mut Budget,
) -> Option<Decision> {
    let mut events = Vec::with_capacity(2 * spans.len());
    for (op, span) in spans.iter().enumerate() {
        events.push((span.call, false, op as u32));
        // One that has no end is under way for ever.
        events.extend(span.ret.map(|ret| (ret, true, op as u32)));
    }
    events.sort_unstable();
    let mut sweep = Sweep {
        steps,
        spans,
        writes: ops.iter().map(|op| M::writes(op)).collect(),
        under_way: Vec::new(),
        now: vec![(0, steps.initial())],
    };
    for (_, is_ret, op) in events {
        let op = op as usize;
        if !is_ret {
            sweep.call(op)?;
            continue;
        }
        sweep.ret(op, budget)?;
        if sweep.now.is_empty() {
            return Some(Decision::Illegal(Why::By(op)));
        }
    }
    Some(Decision::Legal)
}

struct Sweep<'a> {
    steps: &'a dyn Steps,
    spans: &'a Spans,
    writes: Vec<bool>,
    /// Which operation each bit stands for.
    under_way: Vec<Option<usize>>,
    now: Vec<Configuration>,
}

impl Sweep<'_> {
    fn call(&mut self, op: usize) -> Option<()> {
        let free = self.under_way.iter().position(Option::is_none);
        let bit = free.unwrap_or(self.under_way.len());
        if bit == UNDER_WAY {
            return None;
        }
        if bit == self.under_way.len() {
            self.under_way.push(None);
        }
        self.under_way[bit] = Some(op);
        if !self.writes[op] {
            let mut now = std::mem::take(&mut self.now);
            now.iter_mut().for_each(|one| *one = self.read(*one));
            tidy(&mut now);
            self.now = now;
        }
        Some(())
    }

    /// Does what writes nothing and fits.
    fn read(&self, (mut done, state): Configuration) -> Configuration {
        // What was done lets what was called in the moment of its return begin.
        loop {
            let before = done;
            for (bit, op) in self.left(done) {
                if !self.writes[op] && self.may_begin(op, done) {
                    done |= u32::from(self.steps.step(state, op).is_some()) << bit;
                }
            }
            if done == before || self.spans.links().len() == 0 {
                return (done, state);
            }
        }
    }

    /// What is under way and not done.
    fn left(&self, done: u32) -> impl Iterator<Item = (usize, usize)> {
        let under_way = self.under_way.iter().enumerate();
        under_way
            .filter_map(move |(bit, op)| op.filter(|_| done >> bit & 1 == 0).map(|op| (bit, op)))
    }

    /// Whether everything is done that comes before it by a link. What isn't under way any more is.
    fn may_begin(&self, op: usize, done: u32) -> bool {
        self.spans.before(op).all(|first| !self.left(done).any(|(_, left)| left == first))
    }

    /// Whether an equal operation is to be done first: the one that must be done first.
    fn is_in_turn(&self, op: usize, done: u32) -> bool {
        let kinds = self.steps.kinds();
        let key = |op: usize| (self.spans[op].end(), op);
        self.spans.links().len() > 0
            || !self.left(done).any(|(_, other)| kinds[other] == kinds[op] && key(other) < key(op))
    }

    fn ret(&mut self, op: usize, budget: &mut Budget) -> Option<()> {
        let bit = self.under_way.iter().position(|other| *other == Some(op))?;
        let is_done = |one: &Configuration| one.0 >> bit & 1 == 1;
        if self.now.iter().all(is_done) {
            self.ends(bit);
            return Some(());
        }
        let (mut ended, mut todo): (Vec<_>, Vec<_>) = self.now.drain(..).partition(is_done);
        let mut met = todo.clone();
        while let Some(one) = todo.pop() {
            let mut next = Vec::new();
            for (bit, write) in self.left(one.0).filter(|(_, op)| self.writes[*op]) {
                if !budget.spend() {
                    return None;
                }
                if !self.may_begin(write, one.0) || !self.is_in_turn(write, one.0) {
                    continue;
                }
                if let Some(state) = self.steps.step(one.1, write) {
                    next.push(self.read((one.0 | 1 << bit, state)));
                }
            }
            for one in next {
                if is_done(&one) {
                    ended.push(one);
                } else if let Err(place) = met.binary_search(&one) {
                    met.insert(place, one);
                    todo.push(one);
                }
            }
            if met.len() > MOST {
                return None;
            }
        }
        self.now = ended;
        self.ends(bit);
        Some(())
    }

    /// What this bit stood for is done in all configurations, and not under way any more.
    fn ends(&mut self, bit: usize) {
        self.under_way[bit] = None;
        self.now.iter_mut().for_each(|(done, _)| *done &= !(1 << bit));
        tidy(&mut self.now);
    }
}

fn tidy(all: &mut Vec<Configuration>) {
    all.sort_unstable();
    all.dedup();
}
