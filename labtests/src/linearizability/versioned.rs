//! The 2025 lab's service: a key has a value with a version, which every put raises by one and must name.

use super::{Model, Span, versions};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// What a client of the 2025 lab asks, and what it is told.
#[derive(Clone, Debug, PartialEq)]
pub enum VersionedOp {
    /// What is there?
    Get {
        /// Where.
        key: String,
        /// The value with its version; `None`: there is no such key.
        output: Option<(String, u64)>,
    },
    /// Replaces the value, if it has this version; makes the key, if this is 0 and there is none.
    Put {
        /// Where.
        key: String,
        /// By what.
        value: String,
        /// The version that it must have.
        version: u64,
        /// What came of it.
        answer: Answer,
    },
}

/// What came of a versioned put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is done.
    Ok,
    /// It isn't, for the value had another version.
    Version,
    /// It isn't, for there was no such key, and it named a version.
    NoKey,
    /// It may have been done. Messages come late and twice, so it may also be done yet, or never.
    Maybe,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Answer::Ok => "ok",
            Answer::Version => "another version",
            Answer::NoKey => "no key",
            Answer::Maybe => "maybe",
        })
    }
}

/// The 2025 lab's get and versioned put. Versions and errors are part of it.
pub struct Versioned {
    steps: Vec<Step>,
}

/// What a key has: a version, and the number of a value. `None`: nothing.
type Held = Option<(u64, u32)>;

enum Step {
    Get(Held),
    Put { value: u32, version: u64, answer: Answer },
}

impl Model for Versioned {
    type Op = VersionedOp;
    type State = Held;

    fn key(op: &VersionedOp) -> &str {
        match op {
            VersionedOp::Get { key, .. } | VersionedOp::Put { key, .. } => key,
        }
    }

    fn writes(op: &VersionedOp) -> bool {
        matches!(op, VersionedOp::Put { answer: Answer::Ok | Answer::Maybe, .. })
    }

    fn effect(op: &VersionedOp) -> (u64, &str) {
        match op {
            VersionedOp::Get { .. } => (0, ""),
            VersionedOp::Put { version, value, .. } => (*version, value),
        }
    }

    fn is_open(op: &VersionedOp) -> bool {
        matches!(op, VersionedOp::Put { answer: Answer::Maybe, .. })
    }

    fn at_once(ops: &[&VersionedOp], spans: &[Span]) -> Option<bool> {
        versions::decide(ops, spans)
    }

    fn new(ops: &[&VersionedOp]) -> Versioned {
        let mut values = BTreeMap::new();
        let step = |op: &&VersionedOp| {
            let (VersionedOp::Get { output: Some((value, _)), .. }
            | VersionedOp::Put { value, .. }) = op
            else {
                return Step::Get(None);
            };
            let next = values.len() as u32;
            let value = *values.entry(value.clone()).or_insert(next);
            match **op {
                VersionedOp::Get { ref output, .. } => {
                    Step::Get(output.as_ref().map(|(_, version)| (*version, value)))
                }
                VersionedOp::Put { version, answer, .. } => Step::Put { value, version, answer },
            }
        };
        Versioned { steps: ops.iter().map(step).collect() }
    }

    fn look_ahead(&mut self, _: &[&VersionedOp], _: &[Span]) {}

    fn initial(&self) -> Held {
        None
    }

    fn step(&self, state: Held, op: usize) -> Option<Held> {
        let held = state.map_or(0, |(version, _)| version);
        match self.steps[op] {
            Step::Get(output) => (state == output).then_some(state),
            Step::Put { value, version, answer } => match answer {
                Answer::Ok | Answer::Maybe => (version == held).then(|| Some((version + 1, value))),
                Answer::Version => (held > 0 && version != held).then_some(state),
                Answer::NoKey => (held == 0 && version > 0).then_some(state),
            },
        }
    }

    fn may_yet(&self, _: Held, _: usize, _: impl FnMut(usize) -> bool) -> bool {
        true
    }

    fn is_unseen(&self, _: Held) -> bool {
        false
    }

    fn asked(op: &VersionedOp) -> String {
        match op {
            VersionedOp::Get { .. } => "get".into(),
            VersionedOp::Put { value, version, .. } => format!("put version {version} {value:?}"),
        }
    }

    fn answer(op: &VersionedOp) -> String {
        match op {
            VersionedOp::Get { output: None, .. } => Answer::NoKey.to_string(),
            VersionedOp::Get { output: Some((value, version)), .. } => {
                format!("version {version} {value:?}")
            }
            VersionedOp::Put { answer, .. } => answer.to_string(),
        }
    }

    fn answer_after(order: &[&VersionedOp], next: &VersionedOp) -> String {
        let mut held: Option<(&str, u64)> = None;
        for op in order {
            if let VersionedOp::Put { value, version, answer: Answer::Ok | Answer::Maybe, .. } = op
            {
                held = Some((value, version + 1));
            }
        }
        match (next, held) {
            (VersionedOp::Get { .. }, Some((value, version))) => {
                format!("version {version} {value:?}")
            }
            (VersionedOp::Put { version, .. }, held) => {
                let there = held.map_or(0, |(_, version)| version);
                let answer = match (*version, there) {
                    (asked, there) if asked == there => Answer::Ok,
                    (_, 0) => Answer::NoKey,
                    _ => Answer::Version,
                };
                answer.to_string()
            }
            (VersionedOp::Get { .. }, None) => Answer::NoKey.to_string(),
        }
    }
}
