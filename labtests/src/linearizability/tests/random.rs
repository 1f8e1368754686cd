//! Small random histories of one key: what a server may have answered, and often something else in one place.

use super::super::{Answer, Operation, Output, TextOp, VersionedOp};
use super::brute::{self, Concrete};
use labrpc::time::{Duration, Instant};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Makes a history.
pub struct Random(Pcg64);

/// An operation before it is answered: who, from when to when, and when it takes effect.
struct Plan {
    client: u64,
    call: u64,
    ret: Option<u64>,
    effect: u64,
}

fn at(nanos: u64) -> Instant {
    Instant::at(Duration::from_nanos(nanos))
}

impl Random {
    /// The one of this seed.
    pub fn new(seed: u64) -> Random {
        Random(Pcg64::seed_from_u64(seed))
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0.random_range(0..n)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A few operations of a few clients, each client's in their order, so close that many of their times are equal.
    fn plans(&mut self) -> Vec<Plan> {
        let (clients, each) = (1 + self.below(4), 1 + self.below(3));
        let (gap, long) = (1 + self.below(3), 1 + self.below(6));
        // Servers that do things too early or too late.
        let astray = if self.one_in(2) { 0 } else { self.below(4) };
        let mut plans = Vec::new();
        for client in 0..clients {
            let mut now = self.below(3);
            for _ in 0..each {
                let call = now + self.below(gap);
                now = call + self.below(long);
                let ret = (!self.one_in(6)).then_some(now);
                let effect = call + self.below(ret.map_or(9, |ret| ret - call + 1));
                let effect = (effect + self.below(2 * astray + 1)).saturating_sub(astray);
                plans.push(Plan { client, call, ret, effect });
                if ret.is_none() {
                    break;
                }
            }
        }
        plans
    }

    /// The plans by when they take effect.
    fn in_order(plans: &[Plan]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..plans.len()).collect();
        order.sort_by_key(|plan| plans[*plan].effect);
        order
    }

    /// Gets, puts and appends.
    pub fn texts(&mut self) -> Vec<Operation<TextOp>> {
        let plans = self.plans();
        let values: &[&str] = match self.below(3) {
            0 => &["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"],
            1 => &["a", "b", "c"],
            _ => &["", "a", "b", "ab", "ba"],
        };
        let mut state = String::new();
        let mut ops = vec![None; plans.len()];
        for number in Self::in_order(&plans) {
            // The first are enough for all to differ.
            let turn =
                if values.len() > 5 { number as u64 } else { self.below(values.len() as u64) };
            let value = values[turn as usize].to_string();
            let op = match self.below(5) {
                0..2 => self.get(&state),
                2..4 => TextOp::Append { key: "k".into(), value },
                _ => TextOp::Put { key: "k".into(), value },
            };
            // What has an unknown outcome may not happen.
            if plans[number].ret.is_some() || self.one_in(2) {
                op.apply(&mut state);
            }
            ops[number] = Some(op);
        }
        operations(plans, ops)
    }

    fn get(&mut self, state: &str) -> TextOp {
        let mut seen = state.to_string();
        if self.one_in(4) {
            match self.below(4) {
                0 => drop(seen.pop()),
                1 => seen.push((b'a' + self.below(8) as u8) as char),
                2 if !seen.is_empty() => drop(seen.remove(0)),
                _ => seen = seen.chars().rev().collect(),
            }
        }
        TextOp::Get { key: "k".into(), output: Output::from(seen.as_str()) }
    }

    /// Gets and versioned puts.
    pub fn versions(&mut self) -> Vec<Operation<VersionedOp>> {
        let plans = self.plans();
        let mut state = None;
        let mut ops = vec![None; plans.len()];
        for number in Self::in_order(&plans) {
            let op = if self.one_in(3) {
                self.versioned_get(&state)
            } else {
                self.versioned_put(&mut state, plans[number].ret.is_some())
            };
            ops[number] = Some(op);
        }
        operations(plans, ops)
    }

    fn versioned_get(&mut self, state: &Option<(String, u64)>) -> VersionedOp {
        let mut output = state.clone();
        if self.one_in(6) {
            output = match output {
                Some((value, 1)) => Some((value, 2)),
                Some((value, version)) => Some((value, version + self.below(3) - 1)),
                None => Some(("x".into(), 1 + self.below(2))),
            };
        }
        VersionedOp::Get { key: "k".into(), output }
    }

    fn versioned_put(&mut self, state: &mut Option<(String, u64)>, returns: bool) -> VersionedOp {
        let value = ["x", "y"][self.below(2) as usize];
        let held = state.as_ref().map_or(0, |(_, version)| *version);
        let version = if self.one_in(2) { held } else { self.below(4) };
        let maybe = !returns || self.one_in(5);
        let happens = !maybe || self.one_in(2);
        let mut answer = match happens {
            true => brute::put(state, value, version),
            false => Answer::Maybe,
        };
        if maybe {
            answer = Answer::Maybe;
        } else if self.one_in(10) {
            answer = [Answer::Ok, Answer::Version, Answer::NoKey][self.below(3) as usize];
        }
        VersionedOp::Put { key: "k".into(), value: value.into(), version, answer }
    }
}

fn operations<Op>(plans: Vec<Plan>, ops: Vec<Option<Op>>) -> Vec<Operation<Op>> {
    let operation = |(plan, op): (Plan, Option<Op>)| Operation {
        client: plan.client,
        call: at(plan.call),
        ret: plan.ret.map(at),
        op: op.expect("every plan is carried out"),
    };
    plans.into_iter().zip(ops).map(operation).collect()
}
