//! Histories like those of the suites, and harder ones: all of them are decided, and errors in them are found.

use super::super::{
    Answer, Contradiction, Limit, Model, Operation, Outputs, Text, TextOp, Verdict, Versioned,
    VersionedOp, check, parts,
};
use super::brute::{Concrete, put};
use labrpc::time::{Duration, Instant};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::collections::{BTreeMap, BTreeSet};

/// Clients of a correct server, which does each operation at some time between call and return.
struct Lab {
    random: Pcg64,
    clients: u64,
    keys: u64,
    operations: u64,
    /// The share of operations of unknown outcome, in percent.
    unknown: u64,
    /// After this many operations, a client starts to write the same values again.
    round: u64,
}

/// 15 clients on 15 keys. All operations are answered, and all written values differ.
fn lab() -> Lab {
    let random = Pcg64::seed_from_u64(7);
    Lab { random, clients: 15, keys: 15, operations: 6000, unknown: 0, round: u64::MAX }
}

/// An operation before it is answered.
struct Plan {
    client: u64,
    call: u64,
    ret: Option<u64>,
    /// When it takes effect. `None`: it never does.
    effect: Option<u64>,
    /// The client, whatever number it has, and how many operations it had begun in this round.
    writer: u64,
    begun: u64,
}

impl Lab {
    fn below(&mut self, n: u64) -> u64 {
        self.random.random_range(0..n)
    }

    fn plans(&mut self) -> Vec<Plan> {
        let mut next_client = self.clients;
        // Number, time, and operations begun.
        let mut writers: Vec<_> = (0..self.clients).map(|client| (client, 0, 0)).collect();
        let mut plans = Vec::new();
        for _ in 0..self.operations {
            let writer = (0..writers.len()).min_by_key(|writer| writers[*writer].1).unwrap();
            let (client, now, begun) = writers[writer];
            let (wait, took) = (self.below(1000), 1000 + self.below(19_000));
            let (call, ret) = (now + wait, now + wait + took);
            let is_unknown = self.below(100) < self.unknown;
            let effect = match is_unknown.then(|| self.below(3)) {
                None | Some(0) => Some(call + self.below(took + 1)),
                Some(1) => Some(call + self.below(20 * took)),
                Some(_) => None,
            };
            let number = if is_unknown { next_client } else { client };
            next_client += u64::from(is_unknown);
            writers[writer] = (number, ret, begun + 1);
            plans.push(Plan {
                client,
                call,
                ret: (!is_unknown).then_some(ret),
                effect,
                writer: writer as u64,
                begun: begun % self.round,
            });
        }
        plans
    }

    /// 45 % gets, 5 % puts, 50 % appends on random keys.
    fn texts(mut self) -> Vec<Operation<TextOp>> {
        let plans = self.plans();
        let mut outputs = Outputs::default();
        let mut states = BTreeMap::<String, String>::new();
        let mut ops: Vec<Option<TextOp>> = vec![None; plans.len()];
        for number in in_order(&plans) {
            let key = self.below(self.keys).to_string();
            let value = format!("x {} {} y", plans[number].writer, plans[number].begun);
            let state = states.entry(key.clone()).or_default();
            let op = match self.below(100) {
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

    /// Every client puts with the version that it believes to be current, and reads again when it was wrong.
    fn versions(mut self) -> Vec<Operation<VersionedOp>> {
        let plans = self.plans();
        let mut states = BTreeMap::<String, Option<(String, u64)>>::new();
        let mut known = BTreeMap::<(u64, String), u64>::new();
        let mut ops: Vec<Option<VersionedOp>> = vec![None; plans.len()];
        for number in in_order(&plans) {
            let Plan { writer, begun, effect, ret, .. } = plans[number];
            let key = self.below(self.keys).to_string();
            let state = states.entry(key.clone()).or_default();
            let held = state.as_ref().map_or(0, |(_, version)| *version);
            let known = known.entry((writer, key.clone())).or_default();
            if self.random.random_range(0..3) == 0 {
                *known = held;
                ops[number] = Some(VersionedOp::Get { key, output: state.clone() });
                continue;
            }
            let (value, version) = (format!("{writer} {begun}"), *known);
            let done = effect.map(|_| put(state, &value, version));
            let answer = done.filter(|_| ret.is_some()).unwrap_or(Answer::Maybe);
            *known = if answer == Answer::Ok { version + 1 } else { held };
            ops[number] = Some(VersionedOp::Put { key, value, version, answer });
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
        op: op.expect("every plan has an operation"),
    };
    plans.into_iter().zip(ops).map(operation).collect()
}

/// The check needs far fewer steps than this.
const STEPS: Limit = Limit::Steps(3_000_000);

#[track_caller]
fn is_right<M: Model + Default>(history: &[Operation<M::Op>]) {
    let verdict = check(&M::default(), history, STEPS);
    assert!(matches!(verdict, Verdict::Linearizable), "{verdict:?}");
}

#[track_caller]
fn is_wrong<M: Model + Default>(history: &[Operation<M::Op>], at: usize) -> Contradiction {
    match check(&M::default(), history, STEPS) {
        Verdict::Not(why) => {
            assert!(why.operations.contains(&at), "#{} is wrong: {why}", at + 1);
            *why
        }
        verdict => panic!("#{} is wrong: {verdict:?}", at + 1),
    }
}

/// How many keys are decided without a search.
fn at_once<M: Model + Default>(history: &[Operation<M::Op>]) -> usize {
    let model = M::default();
    let parts = parts(&model, history);
    parts.iter().filter(|part| model.at_once(&part.ops, &part.spans).is_some()).count()
}

/// A get late in the history that saw a long text, with the text.
fn a_get(history: &[Operation<TextOp>]) -> (usize, String) {
    let long = |(at, operation): (usize, &Operation<TextOp>)| match &operation.op {
        TextOp::Get { output, .. } if operation.ret.is_some() => {
            Some((at, output.to_string())).filter(|(_, text)| text.matches('x').count() > 12)
        }
        _ => None,
    };
    let later = history.iter().enumerate().skip(history.len() / 2);
    later.filter_map(long).next().expect("a long text")
}

/// The text that a get saw, changed in four ways: one piece left out, one piece twice, one piece moved to the end, and the text
/// from long before.
fn anomalies(text: &str) -> [String; 4] {
    let pieces: Vec<&str> = text.split_inclusive('y').collect();
    let (first, [second, rest @ ..]) = (pieces[0], &pieces[1..]) else { panic!("{text:?}") };
    let rest = rest.concat();
    [
        format!("{first}{rest}"),
        format!("{first}{second}{second}{rest}"),
        format!("{first}{rest}{second}"),
        format!("{first}{second}"),
    ]
}

#[test]
fn texts_are_decided_at_once_where_time_tells_who_wrote_what() {
    for (unknown, round) in [(0, u64::MAX), (5, u64::MAX), (20, u64::MAX), (0, 150)] {
        let mut history = Lab { unknown, round, ..lab() }.texts();
        assert_eq!(at_once::<Text>(&history), 15);
        is_right::<Text>(&history);
        let (at, text) = a_get(&history);
        for seen in anomalies(&text) {
            let TextOp::Get { output, .. } = &mut history[at].op else { unreachable!() };
            *output = seen.as_str().into();
            let why = is_wrong::<Text>(&history, at);
            assert!(why.operations.len() <= 4, "{why}");
        }
    }
}

#[test]
fn texts_of_equal_values_are_decided() {
    for (clients, keys, unknown) in [(15, 15, 5), (15, 15, 20), (15, 1, 5), (50, 5, 5)] {
        let operations = 3000;
        let mut history = Lab { clients, keys, unknown, operations, round: 100, ..lab() }.texts();
        is_right::<Text>(&history);
        let (at, text) = a_get(&history);
        let [lost, twice, late, _] = anomalies(&text);
        for seen in [lost, twice, late] {
            let TextOp::Get { output, .. } = &mut history[at].op else { unreachable!() };
            *output = seen.as_str().into();
            is_wrong::<Text>(&history, at);
        }
    }
}

#[test]
fn versions_are_always_decided_at_once() {
    for (clients, keys, unknown) in [(5, 1, 0), (5, 1, 20), (15, 100, 5), (50, 1, 50)] {
        let mut history = Lab { clients, keys, unknown, ..lab() }.versions();
        assert_eq!(at_once::<Versioned>(&history), keys as usize);
        is_right::<Versioned>(&history);
        let later = history.iter().skip(4000).position(|operation| {
            operation.ret.is_some()
                && matches!(operation.op, VersionedOp::Get { output: Some(_), .. })
        });
        let at = 4000 + later.unwrap();
        let VersionedOp::Get { output: Some((_, version)), .. } = &mut history[at].op else {
            unreachable!()
        };
        *version += 1;
        let why = is_wrong::<Versioned>(&history, at);
        assert!(why.operations.len() <= 4, "{why}");
    }
}

#[test]
fn what_clients_read_on_their_own_keys_is_kept_once() {
    let mut outputs = Outputs::default();
    let mut history = Vec::new();
    for client in 0..5_u64 {
        let mut text = String::new();
        for turn in 0..3000_u64 {
            let at = |nanos| Instant::at(Duration::from_nanos(10 * turn + nanos));
            let key = client.to_string();
            let op = if turn % 2 == 0 {
                let value = format!("x {client} {turn} y");
                text += &value;
                TextOp::Append { key, value }
            } else {
                TextOp::Get { output: outputs.keep(&key, &text), key }
            };
            history.push(Operation { client, call: at(0), ret: Some(at(9)), op });
        }
    }
    let lines: BTreeSet<_> = history
        .iter()
        .filter_map(|operation| match &operation.op {
            TextOp::Get { output, .. } => Some(output.line()),
            _ => None,
        })
        .collect();
    assert_eq!(lines.len(), 5);
    is_right::<Text>(&history);
}
