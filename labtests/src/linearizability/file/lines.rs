//! Reads the lines of a file as operations.

use super::events::{self, Events};
use super::raw::{Asked, More, Raw};
use super::source::Lines;
use super::{TOLD, all_wrong};
use crate::linearizability::Value;
use serde::Deserialize;
use std::borrow::Cow;

/// All operations of a file, each with its line.
///
/// # Errors
/// The first 20 lines that are malformed.
pub fn read(mut lines: Lines<'_>) -> Result<Vec<(u32, Raw)>, String> {
    let mut all = Vec::new();
    let (mut wrong, mut more) = (Vec::new(), 0);
    let mut events = Events::default();
    while let Some((number, line)) = lines.next()? {
        if all.is_empty() && events.is_empty() && line.starts_with('[') && !line.contains("{:") {
            return Err(format!(
                "line {number}: this is a JSON array; expected one operation per line (jq -c '.[]' splits the array into lines)"
            ));
        }
        let taken = if events::is_event(line) {
            events.take(number, line)
        } else {
            parse(line).map(|raw| all.push((number, raw)))
        };
        match taken {
            Ok(()) => {}
            Err(text) if wrong.len() < TOLD => wrong.push(format!("line {number}: {text}")),
            Err(_) => more += 1,
        }
    }
    if !wrong.is_empty() {
        return Err(all_wrong(wrong, more));
    }
    match (all.is_empty(), events.is_empty()) {
        (false, false) => Err("it has both operations and events; expected only one kind".into()),
        (false, true) => Ok(all),
        (true, _) => Ok(events.finish()),
    }
}

/// The fields that a line may have.
#[derive(Deserialize)]
struct Line<'a> {
    client: u64,
    call: u64,
    // Read in this way, a line without the field gives an error, because null has a meaning.
    #[serde(rename = "return", deserialize_with = "Option::deserialize")]
    ret: Option<u64>,
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(default)]
    key: Value,
    #[serde(default, deserialize_with = "some")]
    value: Option<Value>,
    #[serde(default, deserialize_with = "some")]
    output: Option<Value>,
    version: Option<u64>,
    result: Option<String>,
    #[serde(default, deserialize_with = "some")]
    from: Option<Value>,
    #[serde(default, deserialize_with = "some")]
    to: Option<Value>,
    ops: Option<Value>,
    note: Option<String>,
}

/// A null that is present is a value.
fn some<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// The operation with this name.
pub fn asked(op: &str) -> Option<Asked> {
    Some(match op {
        "get" | "read" => Asked::Get,
        "put" | "write" => Asked::Put,
        "append" => Asked::Append,
        "cas" => Asked::Cas,
        "add" | "inc" => Asked::Add,
        "remove" => Asked::Remove,
        "enqueue" => Asked::Enqueue,
        "dequeue" => Asked::Dequeue,
        "txn" => Asked::Txn,
        _ => return None,
    })
}

fn parse(text: &str) -> Result<Raw, String> {
    if !text.starts_with('{') {
        return Err("expected an operation, such as {\"client\":0,\"call\":10,\"return\":25,\
            \"op\":\"get\",\"key\":\"k\",\"output\":\"x\"}"
            .into());
    }
    let line: Line<'_> = serde_json::from_str(text).map_err(|error| {
        let text = error.to_string();
        // The text has only one line, so its number is removed.
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        let hint = if error.is_eof() { "; is the file cut off?" } else { "" };
        format!("{what} at column {}{hint}", error.column())
    })?;
    if let Some(ret) = line.ret.filter(|ret| *ret < line.call) {
        return Err(format!("it returns at {ret}, before its call at {}", line.call));
    }
    let asked = asked(&line.op).ok_or_else(|| {
        format!(
            "{:?} is not one of get, put, append, cas, add, remove, enqueue, dequeue or txn",
            line.op
        )
    })?;
    let key = match line.key {
        Value::Text(text) => text.into(),
        Value::Null => "".into(),
        other => other.to_string().into(),
    };
    let Line { version, result, from, to, ops, note, .. } = line;
    let some = version.is_some()
        || [&result, &note].iter().any(|text| text.is_some())
        || [&from, &to, &ops].iter().any(|value| value.is_some());
    let more = some.then(|| Box::new(More { version, result, from, to, ops, note }));
    let (client, call, ret) = (line.client, line.call, line.ret);
    Ok(Raw { client, call, ret, asked, key, value: line.value, output: line.output, more })
}
