//! Searches for an order from one return to the next. This is for histories in which few operations are under way at a time.
//!
//! A *configuration* says which of the operations under way are done, and what the state of the service is after them. The
//! sweep goes through all calls and returns in the order of time, and keeps all configurations that are possible there. An
//! operation is done as late as possible: at its return, or when another operation must follow it. A read is done as soon as it
//! fits. If no configuration is left at a return, there is no order of the operations that were called before that return.
//!
//! The time is linear in the history, and the memory constant, as long as there are few configurations. Their number may double
//! with each operation that is under way, so the sweep gives up if there are too many. In that case [`super::search`] starts
//! from the beginning.

use super::Model;
use super::budget::Budget;
use super::model::{Decision, Why};
use super::span::Spans;
use super::steps::Steps;

/// The sweep is not tried if more operations than this are under way.
const UNDER_WAY: usize = Bits::BITS as usize;

/// The sweep gives up if there are more configurations than this.
const MOST: usize = 5_000;

/// Which of the operations under way are done, and the state.
type Configuration = (Bits, u64);

/// A set of the operations under way, one bit for each.
type Bits = u32;

/// Whether there is an order. `None`: this is not known.
pub fn decide<M: Model>(
    steps: &dyn Steps,
    ops: &[&M::Op],
    spans: &Spans,
    budget: &mut Budget,
) -> Option<Decision> {
    let mut events = Vec::with_capacity(2 * spans.len());
    for (op, span) in spans.iter().enumerate() {
        events.push((span.call, false, op as u32));
        // An operation without an end is under way forever.
        events.extend(span.ret.map(|ret| (ret, true, op as u32)));
    }
    events.sort_unstable();
    let writes = ops.iter().map(|op| M::writes(op)).collect();
    let mut sweep = Sweep::new(steps, spans, writes);
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
    /// For each operation of the history.
    writes: Vec<bool>,
    under_way: Bits,
    writing: Bits,
    /// The operation that each bit represents.
    ops: [usize; UNDER_WAY],
    /// For each bit, the operations that come before it by a link. An operation that is no longer under way is done.
    before: [Bits; UNDER_WAY],
    /// For each bit, the equal operations that return earlier.
    earlier: [Bits; UNDER_WAY],
    now: Vec<Configuration>,
    /// The next three are used at a return, and are empty otherwise. These configurations must still be examined.
    todo: Vec<Configuration>,
    /// The configurations that were met at this return, in order.
    met: Vec<Configuration>,
    /// The configurations in which the operation that returns is done.
    ended: Vec<Configuration>,
}

impl Sweep<'_> {
    fn new<'a>(steps: &'a dyn Steps, spans: &'a Spans, writes: Vec<bool>) -> Sweep<'a> {
        Sweep {
            steps,
            spans,
            writes,
            under_way: 0,
            writing: 0,
            ops: [0; UNDER_WAY],
            before: [0; UNDER_WAY],
            earlier: [0; UNDER_WAY],
            now: vec![(0, steps.initial())],
            todo: Vec::new(),
            met: Vec::new(),
            ended: Vec::new(),
        }
    }

    fn call(&mut self, op: usize) -> Option<()> {
        let bit = (!self.under_way).trailing_zeros() as usize;
        if bit == UNDER_WAY {
            return None;
        }
        (self.before[bit], self.earlier[bit]) = (0, 0);
        for other in each(self.under_way) {
            self.compare(bit, op, other, self.ops[other]);
            self.compare(other, self.ops[other], bit, op);
        }
        self.ops[bit] = op;
        self.under_way |= 1 << bit;
        if self.writes[op] {
            self.writing |= 1 << bit;
        } else {
            let mut now = std::mem::take(&mut self.now);
            now.iter_mut().for_each(|one| *one = self.read(*one));
            tidy(&mut now);
            self.now = now;
        }
        Some(())
    }

    /// Records whether the other operation comes before this one, and whether it is an equal one that returns earlier.
    fn compare(&mut self, bit: usize, op: usize, other_bit: usize, other: usize) {
        let is_before = self.spans.before(op).any(|first| first == other);
        self.before[bit] |= Bits::from(is_before) << other_bit;
        let kinds = self.steps.kinds();
        // If two return at the same moment, a link may put an operation after one of them and before the other.
        let is_linked = self.spans.links().len() > 0;
        let key = |op: usize| (self.spans[op].end(), if is_linked { 0 } else { op });
        let is_earlier = kinds[other] == kinds[op] && key(other) < key(op);
        self.earlier[bit] |= Bits::from(is_earlier) << other_bit;
    }

    /// Does all operations that write nothing and fit.
    fn read(&self, (mut done, state): Configuration) -> Configuration {
        // A done operation may allow another one to begin that was called at the moment of its return.
        loop {
            let before = done;
            for bit in each(self.under_way & !self.writing & !done) {
                if self.may_begin(bit, done) {
                    done |= Bits::from(self.steps.step(state, self.ops[bit]).is_some()) << bit;
                }
            }
            if done == before || self.spans.links().len() == 0 {
                return (done, state);
            }
        }
    }

    /// Whether every operation that comes before it by a link is done.
    fn may_begin(&self, bit: usize, done: Bits) -> bool {
        self.before[bit] & !done == 0
    }

    /// Whether no equal operation that returns earlier could begin, because that one is done first.
    fn is_in_turn(&self, bit: usize, done: Bits) -> bool {
        !each(self.earlier[bit] & !done).any(|other| self.may_begin(other, done))
    }

    /// Whether a read may still fit later.
    fn may_yet(&self, (done, state): Configuration, read: usize) -> bool {
        let kinds = self.steps.kinds();
        let left = self.under_way & !done;
        let mut is_left = |kind| each(left).any(|bit| kinds[self.ops[bit]] == kind);
        self.steps.may_yet(state, read, &mut is_left)
    }

    fn ret(&mut self, op: usize, budget: &mut Budget) -> Option<()> {
        let bit = each(self.under_way).find(|bit| self.ops[*bit] == op)?;
        let is_done = |one: &Configuration| one.0 >> bit & 1 == 1;
        if self.now.iter().all(is_done) {
            self.ends(bit);
            return Some(());
        }
        for one in self.now.drain(..) {
            if is_done(&one) { self.ended.push(one) } else { self.todo.push(one) }
        }
        self.met.clone_from(&self.todo);
        while let Some(one) = self.todo.pop() {
            if !self.writes[op] && !self.may_yet(one, op) {
                continue;
            }
            for write in each(self.writing & !one.0) {
                if !budget.spend() {
                    return None;
                }
                if !self.may_begin(write, one.0) || !self.is_in_turn(write, one.0) {
                    continue;
                }
                let Some(state) = self.steps.step(one.1, self.ops[write]) else { continue };
                let next = self.read((one.0 | 1 << write, state));
                if is_done(&next) {
                    self.ended.push(next);
                } else if let Err(place) = self.met.binary_search(&next) {
                    self.met.insert(place, next);
                    self.todo.push(next);
                }
            }
            if self.met.len() > MOST {
                return None;
            }
        }
        self.met.clear();
        std::mem::swap(&mut self.now, &mut self.ended);
        self.ends(bit);
        Some(())
    }

    /// The operation of this bit is done in all configurations, and is no longer under way.
    fn ends(&mut self, bit: usize) {
        let others: Bits = !(1 << bit);
        self.under_way &= others;
        self.writing &= others;
        self.before.iter_mut().for_each(|bits| *bits &= others);
        self.earlier.iter_mut().for_each(|bits| *bits &= others);
        self.now.iter_mut().for_each(|(done, _)| *done &= others);
        tidy(&mut self.now);
    }
}

/// The positions of the bits that are set.
fn each(mut bits: Bits) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (bit < Bits::BITS).then_some(bit as usize)
    })
}

fn tidy(all: &mut Vec<Configuration>) {
    all.sort_unstable();
    all.dedup();
}
