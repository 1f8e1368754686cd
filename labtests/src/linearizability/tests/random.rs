//! Small random histories of one key: answers that a server may have given, often with one answer changed.

use super::super::{
    Answer, CounterAct, CounterOp, Micro, Operation, Output, QueueAct, QueueOp, RegisterAct,
    RegisterOp, SetAct, SetOp, TextOp, Transaction, Value, VersionedOp,
};
use super::brute::{self, Concrete};
use labrpc::time::{Duration, Instant};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Makes a history.
pub struct Random(Pcg64);

/// An operation before it is answered: the client, its call and return, and when it takes effect.
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
    /// The history generator for this seed.
    pub fn new(seed: u64) -> Random {
        Random(Pcg64::seed_from_u64(seed))
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0.random_range(0..n)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A few operations of a few clients, so close together that many of their times are equal. The operations of each client
    /// are in order.
    fn plans(&mut self) -> Vec<Plan> {
        let (clients, each) = (1 + self.below(4), 1 + self.below(3));
        let (gap, long) = (1 + self.below(3), 1 + self.below(6));
        // How many operations are done too early or too late by the server.
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

    /// The plans in the order in which they take effect.
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
            // The first values are enough for all of them to differ.
            let turn =
                if values.len() > 5 { number as u64 } else { self.below(values.len() as u64) };
            let value = values[turn as usize].to_string();
            let op = match self.below(5) {
                0..2 => self.get(&state),
                2..4 => TextOp::Append { key: "k".into(), value },
                _ => TextOp::Put { key: "k".into(), value },
            };
            // An operation of unknown outcome may not happen.
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

    /// Operations of any kind, with the answers that its model gives.
    fn any<Op: Concrete + Clone>(
        &mut self,
        op: impl Fn(&mut Random, u64, &Op::State) -> Op,
    ) -> Vec<Operation<Op>> {
        let plans = self.plans();
        let mut state = Op::State::default();
        let mut ops = vec![None; plans.len()];
        for number in Self::in_order(&plans) {
            let op = op(self, number as u64, &state);
            // An operation of unknown outcome may not happen. A wrong answer does not change what the operation does.
            if plans[number].ret.is_some() || self.one_in(2) {
                op.apply(&mut state);
            }
            ops[number] = Some(op);
        }
        operations(plans, ops)
    }

    /// Gets and puts on two keys. Most values differ.
    pub fn puts(&mut self) -> Vec<Operation<TextOp>> {
        let few = self.one_in(3);
        let mut history = self.any(|random, number, state: &String| {
            let value = match (few, random.below(8)) {
                (true, value) => ["", "1", "11", "2"][value as usize % 4].to_string(),
                (false, 0) => String::new(),
                (false, _) => (number + 1).to_string(),
            };
            match random.below(5) {
                0..3 => random.get(state),
                _ => TextOp::Put { key: "k".into(), value },
            }
        });
        if self.one_in(4) {
            for operation in &mut history {
                let other = self.one_in(2);
                let (TextOp::Get { key, .. }
                | TextOp::Put { key, .. }
                | TextOp::Append { key, .. }) = &mut operation.op;
                *key = if other { "l" } else { "k" }.into();
            }
        }
        history
    }

    fn value(&mut self, state: &Value) -> Value {
        if self.one_in(6) { Value::Number(self.below(4) as i64) } else { state.clone() }
    }

    /// Reads, writes and compare-and-swaps.
    pub fn registers(&mut self) -> Vec<Operation<RegisterOp>> {
        self.any(|random, _, state: &Value| {
            let some = Value::Number(random.below(4) as i64);
            let act = match random.below(4) {
                0 => RegisterAct::Read(random.value(state)),
                1 => RegisterAct::Write(some),
                _ => {
                    let from = random.value(state);
                    let done = match random.below(8) {
                        0 => None,
                        1 => Some(random.one_in(2)),
                        _ => Some(from == *state),
                    };
                    RegisterAct::Cas { from, to: some, done }
                }
            };
            RegisterOp { key: "k".into(), act }
        })
    }

    /// Adds and reads.
    pub fn counters(&mut self) -> Vec<Operation<CounterOp>> {
        self.any(|random, _, state: &i64| {
            let wrong = i64::from(random.one_in(8));
            let more = random.below(3) as i64;
            let act = match random.below(3) {
                0 => CounterAct::Add(more, None),
                1 => CounterAct::Add(more, Some(state + more + wrong)),
                _ => CounterAct::Read(state + wrong),
            };
            CounterOp { key: "k".into(), act }
        })
    }

    /// Adds, removes and reads of a set.
    pub fn sets(&mut self) -> Vec<Operation<SetOp>> {
        self.any(|random, _, state: &std::collections::BTreeSet<Value>| {
            let some = Value::Number(random.below(3) as i64);
            let act = match random.below(3) {
                0 => SetAct::Add(some),
                1 => SetAct::Remove(some),
                _ => {
                    let mut seen = state.clone();
                    if random.one_in(5) && !seen.remove(&some) {
                        seen.insert(some);
                    }
                    SetAct::Read(seen)
                }
            };
            SetOp { key: "k".into(), act }
        })
    }

    /// Enqueues and dequeues.
    pub fn queues(&mut self) -> Vec<Operation<QueueOp>> {
        self.any(|random, number, state: &std::collections::VecDeque<Value>| {
            let some = Value::Number(number as i64 % 5);
            let act = match random.below(5) {
                0..2 => QueueAct::Enqueue(some),
                2 if random.one_in(4) => QueueAct::Lost,
                _ if random.one_in(8) => QueueAct::Dequeue(Some(some)),
                _ => QueueAct::Dequeue(state.front().cloned()),
            };
            QueueOp { key: "k".into(), act }
        })
    }

    /// Transactions on two keys.
    pub fn transactions(&mut self) -> Vec<Operation<Transaction>> {
        self.any(|random, number, state: &std::collections::BTreeMap<String, Value>| {
            let mut state = state.clone();
            let mut all = Vec::new();
            for _ in 0..1 + random.below(3) {
                let key = ["x", "y"][random.below(2) as usize].to_string();
                let there = state.get(&key).cloned().unwrap_or_default();
                let micro = match random.below(4) {
                    0 => Micro::Write(key, Value::Number(number as i64)),
                    1 => Micro::Append(key, Value::Number(number as i64)),
                    _ if random.one_in(10) => Micro::Read(key, None),
                    _ => Micro::Read(key, Some(random.value(&there))),
                };
                vec![micro.clone()].apply(&mut state);
                all.push(micro);
            }
            all
        })
    }
}

fn operations<Op>(plans: Vec<Plan>, ops: Vec<Option<Op>>) -> Vec<Operation<Op>> {
    let operation = |(plan, op): (Plan, Option<Op>)| Operation {
        client: plan.client,
        call: at(plan.call),
        ret: plan.ret.map(at),
        op: op.expect("every plan has an operation"),
    };
    plans.into_iter().zip(ops).map(operation).collect()
}
