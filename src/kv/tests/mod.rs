//! Tests of the store alone, of the replicated state machine on a Raft that does what the test says, and of the clerk on a network
//! that duplicates requests.

mod clerk;
mod rsm;
mod store;

use super::store::{Op, Output, Stamp, Store, Write};
use labrpc::api::kv::StateMachine;
use labrpc::run::Run;

fn append(session: u64, number: u64, value: &str) -> Op {
    let (key, value) = ("k".into(), value.into());
    Op::Write { stamp: Stamp { session, number }, key, value, how: Write::Append }
}

fn put_in(session: u64, number: u64, version: u64) -> Op {
    let (key, value, how) = ("k".into(), "v".into(), Write::IfVersion(version));
    Op::Write { stamp: Stamp { session, number }, key, value, how }
}

fn open(store: &mut Store) -> u64 {
    match store.apply(Op::OpenSession { last: None }) {
        Output::Session(session) => session,
        other => panic!("{other:?}"),
    }
}

fn value(store: &mut Store) -> Option<(String, u64)> {
    match store.apply(Op::Get { key: "k".into() }) {
        Output::Value(value) => value,
        other => panic!("{other:?}"),
    }
}

fn simulated(test: impl FnOnce() + Send + 'static) {
    Run::simulated(1).run(test).result.unwrap_or_else(|failure| panic!("{failure}"));
}
