//! Long histories whose shapes are hard for some ways to decide them. Each is decided, within few steps for each operation.

use super::super::{
    Bounds, Limit, Operation, Output, Register, RegisterAct, RegisterOp, Text, TextOp, Value,
    Verdict, check,
};
use labrpc::time::{Duration, Instant};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// What the clocks show.
#[derive(Clone, Copy)]
enum Clock {
    Exact,
    /// Rounded down to a multiple of this many nanoseconds.
    Rounded(u64),
    /// Each client calls again at the moment of its return, and all clocks are coarse.
    BackToBack,
}

struct Shape {
    operations: u64,
    clients: u64,
    /// How many values there are; `None`: each value is written once.
    values: Option<u64>,
    clock: Clock,
    /// The share of operations that were never answered, in percent.
    unknown: u64,
}

impl Shape {
    /// Gets and puts on one key, with plain numbers as values.
    fn history(&self) -> Vec<Operation<TextOp>> {
        let mut random = Pcg64::seed_from_u64(self.operations ^ self.clients);
        let mut now: Vec<u64> = (0..self.clients).map(|_| random.random_range(0..50)).collect();
        let mut names: Vec<u64> = (0..self.clients).collect();
        let mut plans = Vec::new();
        for number in 0..self.operations {
            let client = (0..now.len()).min_by_key(|client| now[*client]).unwrap();
            let wait = if matches!(self.clock, Clock::BackToBack) {
                0
            } else {
                random.random_range(1..30)
            };
            let call = now[client] + wait;
            let ret = call + random.random_range(1..100);
            now[client] = ret;
            let is_unknown = random.random_range(0..100) < self.unknown;
            let name = names[client];
            if is_unknown {
                names[client] = self.clients + number;
            }
            let effect = random.random_range(call..=ret);
            plans.push((effect, number, name, call, (!is_unknown).then_some(ret)));
        }
        plans.sort_unstable();
        let tick = |at: u64| match self.clock {
            Clock::Exact => at,
            Clock::Rounded(to) => at / to * to,
            Clock::BackToBack => at / 20 * 20,
        };
        let at = |nanos| Instant::at(Duration::from_nanos(tick(nanos)));
        let mut state = String::new();
        let mut history = Vec::new();
        for (_, number, client, call, ret) in plans {
            let op = if random.random_range(0..2) == 0 {
                TextOp::Get { key: "k".into(), output: Output::from(state.as_str()) }
            } else {
                let value = match self.values {
                    Some(values) => random.random_range(0..values).to_string(),
                    None => number.to_string(),
                };
                if ret.is_some() || number % 2 == 0 {
                    state.clone_from(&value);
                }
                TextOp::Put { key: "k".into(), value }
            };
            history.push(Operation { client, call: at(call), ret: ret.map(at), op });
        }
        history
    }
}

/// This many steps for each operation are always enough.
const EACH: u64 = 400;

#[track_caller]
fn is_decided(history: &[Operation<TextOp>]) -> bool {
    is_decided_in(EACH * history.len() as u64, history)
}

#[track_caller]
fn is_decided_in(steps: u64, history: &[Operation<TextOp>]) -> bool {
    match check(&Text, history, Limit::Steps(steps)) {
        Verdict::Linearizable => true,
        Verdict::Not(why) => {
            assert!(why.operations.len() < 500, "{why}");
            false
        }
        Verdict::Undecided => panic!("undecided"),
    }
}

/// Makes a get late in the history return a value from long before.
fn corrupt(history: &mut [Operation<TextOp>]) {
    let values: Vec<_> = history
        .iter()
        .filter_map(|operation| match &operation.op {
            TextOp::Put { value, .. } if operation.ret.is_some() => Some(value.clone()),
            _ => None,
        })
        .collect();
    let late = history.len() * 9 / 10;
    let is_get = |operation: &&mut Operation<TextOp>| {
        operation.ret.is_some() && matches!(operation.op, TextOp::Get { .. })
    };
    let get = history[late..].iter_mut().find(is_get).unwrap();
    get.op =
        TextOp::Get { key: "k".into(), output: Output::from(values[values.len() / 3].as_str()) };
}

#[test]
fn values_that_differ_are_decided_whatever_they_are_and_clocks_say() {
    for clock in [Clock::Exact, Clock::Rounded(20), Clock::Rounded(1000), Clock::BackToBack] {
        for (clients, unknown) in [(5, 0), (25, 0), (500, 0), (25, 10)] {
            let operations = 6_000.max(40 * clients);
            let shape = Shape { operations, clients, values: None, clock, unknown };
            let mut history = shape.history();
            assert!(is_decided(&history));
            corrupt(&mut history);
            assert!(!is_decided(&history));
        }
    }
}

#[test]
fn a_few_values_are_decided_where_few_are_under_way() {
    for clock in [Clock::Exact, Clock::Rounded(20), Clock::BackToBack] {
        let shape = Shape { operations: 6_000, clients: 5, values: Some(5), clock, unknown: 0 };
        let mut history = shape.history();
        assert!(is_decided(&history));
        let TextOp::Get { output, .. } = history
            .iter_mut()
            .rev()
            .map(|operation| &mut operation.op)
            .find(|op| matches!(op, TextOp::Get { .. }))
            .unwrap()
        else {
            unreachable!()
        };
        *output = Output::from("7");
        assert!(!is_decided(&history));
    }
}

fn at(nanos: u64) -> Instant {
    Instant::at(Duration::from_nanos(nanos))
}

/// All operations at the same time, or nested: the operation that was called first is answered last.
fn concurrent(ops: Vec<TextOp>, nested: bool) -> Vec<Operation<TextOp>> {
    let count = ops.len() as u64;
    let ret = |client| 1_000_000 + if nested { count - client } else { client };
    let operation =
        |(client, op)| Operation { client, call: at(client), ret: Some(at(ret(client))), op };
    (0..).zip(ops).map(operation).collect()
}

fn put(value: &str) -> TextOp {
    TextOp::Put { key: "k".into(), value: value.into() }
}

fn append(value: &str) -> TextOp {
    TextOp::Append { key: "k".into(), value: value.into() }
}

fn get(text: &str) -> TextOp {
    TextOp::Get { key: "k".into(), output: Output::from(text) }
}

/// Gets, one after another, while everything else is under way.
fn gets<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<Operation<TextOp>> {
    let operation = |(turn, text): (u64, &str)| Operation {
        client: 1_000,
        call: at(10_000 + 10 * turn),
        ret: Some(at(10_005 + 10 * turn)),
        op: get(text),
    };
    (0..).zip(texts).map(operation).collect()
}

/// In each of its states, a search looks at all operations that are under way.
const SQUARE: u64 = 20 * 500 * 500;

#[test]
fn equal_operations_are_ordered_once() {
    for nested in [false, true] {
        for many in [10, 40] {
            let puts = (0..2 * many).map(|turn| put(if turn % 2 == 0 { "a" } else { "b" }));
            let mut history = concurrent(puts.collect(), nested);
            let reads = (0..4 * many + 2).map(|turn| if turn % 2 == 0 { "a" } else { "b" });
            history.extend(gets(reads));
            assert!(
                !is_decided_in(SQUARE, &history),
                "there are {many} of each, and one more was seen"
            );
        }
        let mut history = concurrent(vec![append("x"); 300], nested);
        history.extend(gets(["x".repeat(299).as_str()]));
        assert!(is_decided_in(SQUARE, &history));
        history.extend([Operation {
            client: 1_001,
            call: at(20_000),
            ret: Some(at(20_001)),
            op: get(&"x".repeat(298)),
        }]);
        assert!(!is_decided_in(SQUARE, &history));
    }
}

#[test]
fn what_nobody_wrote_is_not_linearizable_wherever_it_stands() {
    for first in [false, true] {
        let mut history = concurrent(
            (0..20).map(|turn| put(if turn % 2 == 0 { "a" } else { "b" })).collect(),
            false,
        );
        history.extend(gets((0..40).map(|turn| if turn % 3 == 0 { "a" } else { "b" })));
        let stranger =
            Operation { client: 99, call: at(2_000_000), ret: Some(at(2_000_001)), op: get("zz") };
        history.insert(if first { 0 } else { history.len() }, stranger);
        let Verdict::Not(why) = check(&Text, &history, Limit::Steps(10_000)) else {
            panic!("nobody wrote zz")
        };
        assert_eq!(why.rows.len(), 1, "{why}");
    }
}

#[test]
fn values_that_begin_one_another_may_be_pending() {
    let mut history: Vec<_> = (1..=200u64)
        .map(|client| Operation { client, call: at(0), ret: None, op: put(&client.to_string()) })
        .collect();
    let texts: Vec<String> = (1..=200).rev().map(|value: u64| value.to_string()).collect();
    history.extend(gets(texts.iter().map(String::as_str)));
    assert!(is_decided(&history));
    history.extend([Operation {
        client: 1_001,
        call: at(90_000),
        ret: Some(at(90_001)),
        op: get("200"),
    }]);
    assert!(!is_decided(&history));
}

#[test]
fn clients_that_all_call_again_at_one_moment_are_decided() {
    // At each moment, one of the two clients calls again; the client that called before has written.
    let mut history = Vec::new();
    for turn in 0..2_000u64 {
        for client in 0..4u64 {
            let op = put(&format!("{turn} {client}"));
            history.push(Operation { client, call: at(turn), ret: Some(at(turn + 1)), op });
        }
    }
    history.push(Operation { client: 9, call: at(3_000), ret: Some(at(3_001)), op: get("1999 2") });
    assert!(is_decided(&history));
    history.push(Operation { client: 9, call: at(3_002), ret: Some(at(3_003)), op: get("1998 2") });
    assert!(!is_decided(&history));
}

#[test]
fn a_search_that_would_remember_too_much_is_undecided() {
    let cas = |client: u64, from: u64, to: u64| Operation {
        client,
        call: at(client),
        ret: Some(at(1_000_000 + client)),
        op: RegisterOp {
            key: "k".into(),
            act: RegisterAct::Cas {
                from: Value::Number(from as i64),
                to: Value::Number(to as i64),
                done: None,
            },
        },
    };
    let mut history: Vec<_> =
        (0..60).map(|client| cas(client, client % 7, client * 3 % 7)).collect();
    let act = RegisterAct::Read(Value::Number(6));
    for turn in 0..2 {
        let (call, ret) = (at(2_000_000 + 10 * turn), Some(at(2_000_001 + 10 * turn)));
        let act = if turn == 0 { act.clone() } else { RegisterAct::Read(Value::Number(5)) };
        let op = RegisterOp { key: "k".into(), act };
        history.push(Operation { client: 100, call, ret, op });
    }
    let register = Register { initial: Value::Number(0) };
    let verdict = check(&register, &history, Bounds { limit: Limit::None, memory: 4 << 10 });
    assert!(matches!(verdict, Verdict::Undecided), "{verdict:?}");
}
