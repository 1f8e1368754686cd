//! A story for programs. `docs/STORY.md` documents the format.

use super::{Change, Concerns, Kind, Told};
use crate::outcome::{Report, World};
use crate::suites::LabTest;
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
    /// The seed.
    pub seed: u64,
    /// The world: simulated or real.
    pub world: &'static str,
    /// How many servers there are.
    pub servers: usize,
}

/// What stands behind the events.
#[derive(Clone, Debug, Serialize)]
pub struct Tail {
    /// When the run ended, in milliseconds.
    pub end_ms: f64,
    /// Whether it passed.
    pub passed: bool,
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
    /// The head of a run.
    pub fn of(test: &LabTest, seed: u64) -> Head {
        Head {
            schema: SCHEMA,
            part: test.part.into(),
            test: test.name.into(),
            seed,
            world: World::Simulated.name(),
            servers: test.setup.servers,
        }
    }
}

impl Tail {
    /// The end of a run. `last` is the number of the last event; `program` is the command that runs this program again.
    pub fn of(report: &Report, last: Option<u64>, program: &str) -> Tail {
        let failure = report.result.as_ref().err();
        let concerns = |message: &str| Concerns::of(message, report.test.setup.servers);
        Tail {
            end_ms: ms(report.lab_time),
            passed: failure.is_none(),
            replay: format!("{program} replay {} {}", report.seed, report.test.name),
            failure: failure.map(|failure| {
                let Concerns { servers, indices, terms } = concerns(&failure.message);
                FailureLine {
                    message: failure.message.clone(),
                    property: None,
                    at_ms: ms(failure.at),
                    event: last,
                    servers: servers.into_iter().collect(),
                    indices: indices.into_iter().collect(),
                    terms: terms.into_iter().collect(),
                }
            }),
            fingerprint: format!("{:016x}", report.fingerprint),
        }
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
    /// The line of an event. `write` writes a text; `numbered` says whether the line has the event's number.
    pub fn of(told: &'a Told, numbered: bool, mut write: impl FnMut(&'a str) -> S) -> Line<'a, S> {
        let message = told.message.as_ref();
        Line {
            n: numbered.then_some(told.n),
            at: ms(told.at),
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
            last: told.indices.map(|(_, last)| last),
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
