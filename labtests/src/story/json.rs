//! A story for programs. `docs/STORY.md` documents the format.

use super::{Change, Kind, Told};
use serde::Serialize;

/// The name and the version of the format.
pub const SCHEMA: &str = "raftlab-story/1";

/// What stands before the events.
#[derive(Clone, Debug, Serialize)]
pub struct Head {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The part of the lab.
    pub part: String,
    /// The test.
    pub test: String,
    /// The seed. A history that comes from a file has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The world: simulated or real. A history that comes from a file has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world: Option<&'static str>,
    /// How many servers there are.
    pub servers: usize,
}

/// What stands behind the events.
#[derive(Clone, Debug, Serialize)]
pub struct Tail {
    /// When the run ended, in milliseconds.
    pub end_ms: f64,
    /// Whether it passed; `None`: undecided.
    pub passed: Option<bool>,
    /// The command that replays it.
    pub replay: String,
    /// Why it failed.
    pub failure: Option<FailureLine>,
    /// The run's fingerprint.
    pub fingerprint: String,
}

/// Why a run failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailureLine {
    /// The whole message.
    pub message: String,
    /// The property that is broken, if the message names one.
    pub property: Option<String>,
    /// When it was found, in milliseconds.
    pub at_ms: f64,
    /// The number of the last event before it.
    pub event: Option<u64>,
    /// The servers that the message names.
    pub servers: Vec<usize>,
    /// The log indices that it names.
    pub indices: Vec<u64>,
    /// The terms that it names.
    pub terms: Vec<u64>,
}

impl Head {
    /// The head of a history that no run has told: it has no servers.
    pub fn of_history() -> Head {
        let (part, test) = (String::new(), "history".into());
        Head { schema: SCHEMA, part, test, seed: None, world: None, servers: 0 }
    }
}

impl Tail {
    /// The end of a history that no run has told.
    pub fn of_history(end_ms: f64, failure: Option<FailureLine>, passed: Option<bool>) -> Tail {
        Tail { end_ms, passed, replay: String::new(), failure, fingerprint: String::new() }
    }
}

impl FailureLine {
    /// Why a history is not linearizable.
    pub fn of_history(message: String, at_ms: f64) -> FailureLine {
        let property = Some("Linearizability".to_string());
        let (servers, indices, terms) = (Vec::new(), Vec::new(), Vec::new());
        FailureLine { message, property, at_ms, event: None, servers, indices, terms }
    }
}

/// An event. `S` is how texts are written: as they are, or as numbers of a table.
#[derive(Serialize)]
pub struct Line<'a, S> {
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    at: f64,
    kind: Kind,
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<S>,
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    text: S,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<S>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<S>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    idle: bool,
    #[serde(skip_serializing_if = "<[Change]>::is_empty")]
    state: &'a [Change],
}

impl<'a, S> Line<'a, S> {
    /// The line of an event. `write` writes a text. A line that is not `numbered` stands in a page: its number is its place, its
    /// time is in whole microseconds, and a range of one index has no `last`.
    pub fn of(told: &'a Told, numbered: bool, mut write: impl FnMut(&'a str) -> S) -> Line<'a, S> {
        let message = told.message.as_ref();
        let at = ms(told.at);
        let last = told.indices.filter(|(first, last)| numbered || first < last);
        Line {
            n: numbered.then_some(told.n),
            at: if numbered { at } else { (at * 1e3).round() / 1e3 },
            kind: told.kind,
            what: told.what,
            server: told.server,
            from: message.and_then(|message| message.from),
            client: message.and_then(|message| message.client.as_deref()),
            to: message.map(|message| message.to),
            call: message.map(|message| message.call),
            method: message.map(|message| write(message.method)),
            term: told.term,
            first: told.indices.map(|(first, _)| first),
            last: last.map(|(_, last)| last),
            text: write(&told.text),
            detail: told.detail.as_deref().map(&mut write),
            why: told.why.as_deref().map(&mut write),
            idle: told.idle,
            state: &told.changes,
        }
    }
}

/// A time in milliseconds.
pub fn ms(time: labrpc::time::Duration) -> f64 {
    time.as_nanos() as f64 / 1e6
}

/// A value as one line of JSON.
pub fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .unwrap_or_else(|error| format!("{{\"error\": {:?}}}", error.to_string()))
}
