//! An operation as it was read, of whatever service.

use crate::linearizability::Value;
use std::collections::BTreeMap;

/// What is asked, in all models.
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

/// An operation as it was read, of whatever model.
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

/// Takes out what was noted of operations.
pub fn take_notes(raw: &mut [Raw]) -> BTreeMap<usize, String> {
    let note = |(place, raw): (usize, &mut Raw)| Some((place, raw.more.as_mut()?.note.take()?));
    raw.iter_mut().enumerate().filter_map(note).collect()
}

impl Raw {
    /// Whether it has to do with versions: it has one, or says what came of it.
    pub fn has_version(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.version.is_some() || more.result.is_some())
    }

    /// Takes the fields that few have.
    pub fn more(&mut self) -> More {
        self.more.take().map(|more| *more).unwrap_or_default()
    }

    /// What a get answered. `Ok(None)`: it never was.
    pub fn answered(&mut self) -> Result<Option<Value>, String> {
        if self.value.is_some() {
            return Err("a get has no \"value\"".into());
        }
        match (self.ret, self.output.take()) {
            (None, None) => Ok(None),
            (Some(_), Some(output)) => Ok(Some(output)),
            (None, Some(_)) => Err("a get that was never answered has no \"output\"".into()),
            (Some(_), None) => Err("a get that was answered has an \"output\"".into()),
        }
    }

    /// The value of a write.
    pub fn written(&mut self, what: &str) -> Result<Value, String> {
        match (self.value.take(), &self.output) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(format!("{what} has a \"value\"")),
            (Some(_), Some(_)) => Err(format!("{what} has no \"output\"")),
        }
    }

    /// That `service` has no such operation.
    pub fn stranger<T>(&self, service: &str) -> Result<T, String> {
        Err(format!("{service} has no {}", format!("{:?}", self.asked).to_lowercase()))
    }
}
