//! An operation as it was read, for any service.

use crate::linearizability::Value;
use std::collections::BTreeMap;

/// The operations of all models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Get,
    Put,
    Append,
    Cas,
    Add,
    Remove,
    Enqueue,
    Dequeue,
    Txn,
}

/// An operation as it was read, for any model.
#[derive(Debug)]
pub struct Raw {
    pub client: u64,
    pub call: u64,
    pub ret: Option<u64>,
    pub asked: Asked,
    pub key: Box<str>,
    pub value: Option<Value>,
    pub output: Option<Value>,
    pub more: Option<Box<More>>,
}

/// Fields that few operations have.
#[derive(Debug, Default)]
pub struct More {
    pub version: Option<u64>,
    pub result: Option<String>,
    pub from: Option<Value>,
    pub to: Option<Value>,
    pub ops: Option<Value>,
    pub note: Option<String>,
}

/// Takes out the notes of operations.
pub fn take_notes(raw: &mut [Raw]) -> BTreeMap<usize, String> {
    let note = |(place, raw): (usize, &mut Raw)| Some((place, raw.more.as_mut()?.note.take()?));
    raw.iter_mut().enumerate().filter_map(note).collect()
}

impl Raw {
    /// Whether the operation has to do with versions: it has a version or a result.
    pub fn has_version(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.version.is_some() || more.result.is_some())
    }

    /// Takes out the rare fields.
    pub fn more(&mut self) -> More {
        self.more.take().map(|more| *more).unwrap_or_default()
    }

    /// The answer to a get. `Ok(None)`: the get was never answered.
    pub fn answered(&mut self) -> Result<Option<Value>, String> {
        if self.value.is_some() {
            return Err("a get must not have a \"value\"".into());
        }
        match (self.ret, self.output.take()) {
            (None, None) => Ok(None),
            (Some(_), Some(output)) => Ok(Some(output)),
            (None, Some(_)) => {
                Err("a get that was never answered must not have an \"output\"".into())
            }
            (Some(_), None) => Err("a get that was answered must have an \"output\"".into()),
        }
    }

    /// The value of a write.
    pub fn written(&mut self, what: &str) -> Result<Value, String> {
        match (self.value.take(), &self.output) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(format!("{what} must have a \"value\"")),
            (Some(_), Some(_)) => Err(format!("{what} must not have an \"output\"")),
        }
    }

    /// The error that `service` has no such operation.
    pub fn stranger<T>(&self, service: &str) -> Result<T, String> {
        Err(format!("{service} has no {}", format!("{:?}", self.asked).to_lowercase()))
    }
}
