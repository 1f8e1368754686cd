//! Histories as the suites make them, and larger: everything is decided.

use super::super::{
    Answer, Budget, Limit, Model, Operation, Outputs, Text, TextOp, Verdict, Versioned,
    VersionedOp, check, parts,
};
use super::brute::{Concrete, put};
use labrpc::time::{Duration, Instant};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::collections::BTreeMap;

/// Clients that ask a server which does what it is asked, somewhere between call and return.
struct Lab {
    random: Pcg64,
    clients: u64,
    keys: u64,
    operations: u64,
    /// The share of operations that are never answered, in percent.
    unknown: u64,
    /// After how many of its operations a client begins again to count them, so that it writes the same again.
    round: u64,
}

/// Who asks, when it takes effect (if it does), what.
struct Plan {
    client: u64,
    call: u64,
    effect: Option<u64>,
    ret: Option<u64>,
    /// The client's number, which stays the same, and how many operations it has begun.
    writer: (u64, u64),
}

impl Lab {
    fn plans(&mut self) -> Vec<Plan> {
        let mut plans = Vec::new();
        let mut next_client = self.clients;
        let mut now: Vec<(u64, u64, u64)> =
            (0..self.clients).map(|client| (client, 0, 0)).collect();
        for _ in 0..self.operations {
            let writer = (0..now.len()).min_by_key(|client| now[*client].1).unwrap();
            let (client, call, begun) = &mut now[writer];
            let (asked, began) = (*client, *call + self.random.random_range(0..1000));
            let took = self.random.random_range(1000..20_000);
            let unknown = self.random.random_range(0..100) < self.unknown;
            let effect = began + self.random.random_range(0..=took);
            let late = self.random.random_range(0..took * 20);
            let effect = match (unknown, self.random.random_range(0..3)) {
                (false, _) => Some(effect),
                (true, 0) => Some(effect),
                (true, 1) => Some(effect + late),
                (true, _) => None,
            };
            *call = began + took;
            let ret = (!unknown).then_some(*call);
            let writer = (writer as u64, *begun % self.round);
            *begun += 1;
            if unknown {
                (*client, next_client) = (next_client, next_client + 1);
            }
            plans.push(Plan { client: asked, call: began, effect, ret, writer });
        }
        plans
    }

    fn texts(&mut self) -> Vec<Operation<TextOp>> {
        let plans = self.plans();
        let mut outputs = Outputs::default();
        let mut state = BTreeMap::<String, String>::new();
        let mut ops: Vec<Option<TextOp>> = vec![None; plans.len()];
        for number in in_order(&plans) {
            let key = self.random.random_range(0..self.keys).to_string();
            let (client, count) = plans[number].writer;
            let value = format!("x {client} {count} y");
            let state = state.entry(key.clone()).or_default();
            let op = match self.random.random_range(0..100) {
                0..45 => TextOp::Get { output: outputs.keep(&key, state), key },
                45..50 => TextOp::Put { key, value },
                _ => TextOp::Append { key, value },
            };
            if plans[number].effect.is_some() {
                op.apply(state);
            }
            ops[number] = Some(op);
        }
        operations(plans, ops)
    }
}

fn in_order(plans: &[Plan]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..plans.len()).collect();
    order.sort_by_key(|plan| plans[*plan].effect.unwrap_or(plans[*plan].call));
    order
}

fn operations<Op>(plans: Vec<Plan>, ops: Vec<Option<Op>>) -> Vec<Operation<Op>> {
    let at = |micros| Instant::at(Duration::from_micros(micros));
    let operation = |(plan, op): (Plan, Option<Op>)| Operation {
        client: plan.client,
        call: at(plan.call),
        ret: plan.ret.map(at),
        op: op.expect("every plan is carried out"),
    };
    plans.into_iter().zip(ops).map(operation).collect()
}

#[test]
fn try_it() {
    for (clients, keys, operations, unknown, round) in [
        (15, 15, 20_000, 0, 1 << 40),
        (15, 15, 20_000, 0, 300),
        (15, 15, 20_000, 5, 1 << 40),
        (15, 15, 20_000, 5, 300),
        (15, 15, 20_000, 20, 300),
        (15, 1, 5_000, 0, 300),
        (15, 1, 5_000, 5, 300),
        (15, 1, 5_000, 5, 30),
        (50, 1, 5_000, 0, 30),
        (50, 1, 5_000, 5, 30),
        (50, 5, 10_000, 5, 30),
    ] {
        let random = Pcg64::seed_from_u64(7);
        let mut lab = Lab { random, clients, keys, operations, unknown, round };
        let mut history = lab.texts();
        for bad in [false, true] {
            if bad {
                let at = history.len() * 2 / 3;
                let op = history[at..].iter_mut().find_map(|op| match &mut op.op {
                    TextOp::Get { output, .. } if output.len() > 200 && op.ret.is_some() => {
                        Some(output)
                    }
                    _ => None,
                });
                let output = op.unwrap();
                let cut = output.with(|text| text[..text.len() / 2].rfind('x').unwrap_or(0));
                *output = output.with(|text| (&text[..cut]).into());
            }
            for forced in [false, true] {
                let began = Instant::now();
                let mut budget = Budget::new(Limit::Steps(20_000_000));
                let (mut at_once, mut found) = (0, Vec::new());
                for part in parts::<Text>(&history) {
                    match Text::at_once(&part.ops, &part.spans).filter(|_| !forced) {
                        Some(ok) => {
                            at_once += 1;
                            found.push(Some(ok));
                        }
                        None => found.push(part.search(&mut budget)),
                    }
                }
                let steps = budget.spent(20_000_000);
                let unknowns = found.iter().filter(|f| f.is_none()).count();
                let nots = found.iter().filter(|f| **f == Some(false)).count();
                println!(
                    "{clients} {keys} {operations} {unknown}% {round} bad={bad}: at once {at_once}, not {nots}, undecided {unknowns}, steps {steps} {:?}",
                    began.elapsed()
                );
            }
        }
    }
}
