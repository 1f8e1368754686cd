use super::*;
use crate::api::Command;
use serde::Serialize;

#[derive(Serialize)]
enum Entry {
    NoOp,
    Write { term: u64, command: Command },
}

#[derive(Serialize)]
struct AppendEntries {
    term: u64,
    leader: Option<usize>,
    entries: Vec<Entry>,
}

#[test]
fn a_message_reads_as_its_source_does() {
    let message = AppendEntries {
        term: 3,
        leader: Some(1),
        entries: vec![Entry::NoOp, Entry::Write { term: 3, command: Command::from(vec![0xab, 1]) }],
    };
    let value = Value::of(&message);
    assert_eq!(
        value.to_string(),
        "AppendEntries { term: 3, leader: 1, entries: [NoOp, Write { term: 3, command: 0xab01 }] }"
    );
    assert_eq!(value.field("term").and_then(Value::as_u64), Some(3));
    assert_eq!(value.field("leader").and_then(Value::as_u64), Some(1));
    assert_eq!(value.field("nobody"), None);
}

#[test]
fn long_values_are_cut_to_their_length() {
    assert_eq!(Value::of(&vec![1u8, 2, 3]).to_string(), "[3 items]");
    assert_eq!(Value::of(&Command::from(vec![0; 5000])).to_string(), "<5000 bytes>");
    assert_eq!(Value::of(&(1, "x")).to_string(), "[1, \"x\"]");
    assert_eq!(Value::brief(&vec![1u8, 2, 3]), Value::Many(3));
    assert_eq!(Value::brief(&vec![1u8, 2]), Value::of(&vec![1u8, 2]));
}
