//! The store alone.

use super::{append, open, put_in, value};
use crate::kv::store::{Op, Output, Store};
use labrpc::api::kv::StateMachine;

#[test]
fn a_write_is_done_once_however_often_it_comes() {
    let mut store = Store::default();
    let (a, b) = (open(&mut store), open(&mut store));
    for op in [append(a, 1, "x"), append(b, 1, "y"), append(a, 1, "x"), append(a, 2, "z")] {
        assert_eq!(store.apply(op), Output::Done);
    }
    assert_eq!(store.apply(append(a, 1, "x")), Output::Done, "a late copy of an old one");
    assert_eq!(value(&mut store), Some(("xyz".into(), 3)));
}

#[test]
fn sessions_are_in_the_snapshot() {
    let mut store = Store::default();
    let session = open(&mut store);
    store.apply(append(session, 1, "x"));
    let mut other = Store::default();
    other.restore(&store.snapshot());
    other.apply(append(session, 1, "x"));
    assert_eq!(value(&mut other), Some(("x".into(), 1)));
}

#[test]
fn idle_sessions_are_forgotten_at_the_same_entry_everywhere() {
    let mut store = Store::new(16);
    let (idle, busy) = (open(&mut store), open(&mut store));
    store.apply(append(idle, 1, "i"));
    let mut copy = Store::new(16);
    let mut forgotten = None;
    for number in 1..=40 {
        copy.restore(&store.snapshot()); // a restored store forgets it at the same entry
        for store in [&mut store, &mut copy] {
            assert_eq!(store.apply(append(busy, number, "b")), Output::Done);
        }
        assert_eq!(copy.snapshot(), store.snapshot());
        let gone = copy.apply(append(idle, 1, "i")) == Output::SessionExpired;
        forgotten = forgotten.or(gone.then_some(number));
    }
    assert!((15..=18).contains(&forgotten.unwrap()), "{forgotten:?} writes of others");
    assert_eq!(store.apply(append(idle, 2, "j")), Output::SessionExpired);
    let new = open(&mut store);
    assert_ne!(new, idle, "a session's number is never given again");
}

#[test]
fn a_session_goes_on_or_another_is_opened() {
    let mut store = Store::new(16);
    let session = open(&mut store);
    let again = Op::OpenSession { last: Some(session) };
    store.apply(append(session, 1, "x"));
    assert_eq!(store.apply(again.clone()), Output::Session(session));
    assert_eq!(store.apply(append(session, 1, "x")), Output::Done);
    assert_eq!(value(&mut store), Some(("x".into(), 1)), "its last write is remembered, too");
    (0..40).for_each(|_| _ = open(&mut store));
    let Output::Session(new) = store.apply(again) else { panic!("no session") };
    assert_ne!(new, session);
    assert_eq!(store.apply(append(new, 1, "y")), Output::Done);
}

#[test]
fn a_versioned_put_needs_its_version() {
    let mut store = Store::default();
    let session = open(&mut store);
    let mut number = 0;
    let mut put = |version| {
        number += 1;
        store.apply(put_in(session, number, version))
    };
    assert_eq!(put(1), Output::NoKey);
    assert_eq!(put(0), Output::Done);
    assert_eq!(put(0), Output::OtherVersion);
    assert_eq!(put(2), Output::OtherVersion);
    assert_eq!(put(1), Output::Done);
    assert_eq!(value(&mut store), Some(("v".into(), 2)));
}

#[test]
fn the_copy_of_a_put_is_answered_as_the_put_was() {
    let mut store = Store::default();
    let (a, b) = (open(&mut store), open(&mut store));
    assert_eq!(store.apply(put_in(a, 1, 1)), Output::NoKey);
    assert_eq!(store.apply(put_in(b, 1, 0)), Output::Done);
    assert_eq!(store.apply(put_in(b, 1, 0)), Output::Done);
    assert_eq!(store.apply(put_in(a, 1, 1)), Output::NoKey, "the first answer, again");
    assert_eq!(store.apply(put_in(a, 2, 2)), Output::OtherVersion);
    assert_eq!(store.apply(put_in(b, 2, 1)), Output::Done);
    assert_eq!(store.apply(put_in(a, 2, 2)), Output::OtherVersion);
    assert_eq!(value(&mut store), Some(("v".into(), 2)));
}
