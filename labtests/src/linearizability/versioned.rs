//! The service of the 2025 lab: a key has a value with a version. Every put must name the version, and raises it by one.

use super::model::Decision;
use super::span::Spans;
use super::{Model, versions};
use serde::Deserialize;
use std::fmt;

/// An operation of a client in the 2025 lab, with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum VersionedOp {
    /// Reads the value.
    Get {
        /// The key.
        key: String,
        /// The value with its version; `None`: the key doesn't exist.
        output: Option<(String, u64)>,
    },
    /// Replaces the value, if it has this version; creates the key, if the version is 0 and the key doesn't exist.
    Put {
        /// The key.
        key: String,
        /// The new value.
        value: String,
        /// The version that the old value must have.
        version: u64,
        /// The answer.
        answer: Answer,
    },
}

/// The answer to a versioned put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The put was done.
    Ok,
    /// The put was not done, because the value had another version.
    Version,
    /// The put was not done, because the key did not exist and the version was not 0.
    NoKey,
    /// The put may have been done. Messages may be delayed and duplicated, so it may also be done later, or never.
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

/// The 2025 lab's get and versioned put. Versions and errors are part of the model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Versioned;

impl Model for Versioned {
    type Op = VersionedOp;
    /// The state of a key: a value with its version. `None`: the key doesn't exist.
    type State = Option<(String, u64)>;

    fn key(op: &VersionedOp) -> &str {
        match op {
            VersionedOp::Get { key, .. } | VersionedOp::Put { key, .. } => key,
        }
    }

    fn initial(&self) -> Self::State {
        None
    }

    fn step(&self, state: &Self::State, op: &VersionedOp) -> Option<Self::State> {
        let held = state.as_ref().map_or(0, |(_, version)| *version);
        match op {
            VersionedOp::Get { output, .. } => (state == output).then(|| state.clone()),
            VersionedOp::Put { value, version, answer, .. } => match answer {
                Answer::Ok | Answer::Maybe => {
                    (*version == held).then(|| Some((value.clone(), version.wrapping_add(1))))
                }
                Answer::Version => (held > 0 && *version != held).then(|| state.clone()),
                Answer::NoKey => (held == 0 && *version > 0).then(|| state.clone()),
            },
        }
    }

    fn writes(op: &VersionedOp) -> bool {
        matches!(op, VersionedOp::Put { answer: Answer::Ok | Answer::Maybe, .. })
    }

    fn is_open(op: &VersionedOp) -> bool {
        matches!(op, VersionedOp::Put { answer: Answer::Maybe, .. })
    }

    fn at_once(&self, ops: &[&VersionedOp], spans: &Spans) -> Option<Decision> {
        versions::decide(ops, spans)
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

    fn would_answer(&self, state: &Self::State, op: &VersionedOp) -> Option<String> {
        let there = state.as_ref().map_or(0, |(_, version)| *version);
        Some(match (op, state) {
            (VersionedOp::Get { .. }, Some((value, version))) => {
                format!("version {version} {value:?}")
            }
            (VersionedOp::Put { version, .. }, _) => match (*version, there) {
                (asked, there) if asked == there => Answer::Ok.to_string(),
                (_, 0) => Answer::NoKey.to_string(),
                _ => Answer::Version.to_string(),
            },
            (VersionedOp::Get { .. }, None) => Answer::NoKey.to_string(),
        })
    }
}
