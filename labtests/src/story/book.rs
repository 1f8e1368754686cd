//! A whole run as one JSON object, for its page.

use super::Told;
use super::json::{self, Head, Line, Tail};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that was told of a run. Each text is kept once, and events have its number: heartbeats say the same all the time.
#[derive(Default)]
pub struct Book {
    strings: Vec<String>,
    numbers: FxHashMap<String, usize>,
    /// The events, as the items of a JSON array.
    events: String,
    operations: Vec<Operation>,
    contradictions: Vec<Contradiction>,
}

/// An operation of a client, as the page shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Operation {
    /// The name: its number in the history, or its line.
    pub name: String,
    /// The client.
    pub client: u64,
    /// When it was called, in milliseconds.
    pub call: f64,
    /// When it returned, in milliseconds.
    #[serde(rename = "return")]
    pub returned: Option<f64>,
    /// The request.
    pub operation: String,
    /// The answer.
    pub answer: String,
    /// Its place in the longest order that fits, from 0.
    pub order: Option<usize>,
    /// Whether it fits nowhere behind that order.
    pub misfit: bool,
    /// The key. The page has a history for each key.
    #[serde(skip)]
    pub key: String,
}

/// Why a history is not linearizable.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Contradiction {
    /// The key.
    pub key: String,
    /// The longest order that fits, as places in the history.
    #[serde(default)]
    pub longest: Vec<usize>,
    /// The operation that fits nowhere behind it.
    #[serde(default)]
    pub misfit: Option<usize>,
    /// The explanation.
    #[serde(default)]
    pub text: String,
}

/// The operations on one key.
#[derive(Serialize)]
struct History<'a> {
    key: &'a str,
    verdict: &'static str,
    text: &'a str,
    operations: Vec<&'a Operation>,
}

#[derive(Serialize)]
struct Heads<'a> {
    #[serde(flatten)]
    head: &'a Head,
    #[serde(flatten)]
    tail: &'a Tail,
}

/// A page shows at most this many operations of one key.
const OPERATIONS: usize = 20_000;

impl Book {
    /// Adds what was told.
    pub fn add(&mut self, told: &Told) {
        if let Some(operation) = &told.operation {
            self.operations.push((**operation).clone());
        }
        if let Some(why) = &told.contradiction {
            self.contradictions.push((**why).clone());
        }
        let comma = if self.events.is_empty() { "" } else { ",\n" };
        let (numbers, strings) = (&mut self.numbers, &mut self.strings);
        let line = Line::of(told, false, |text| number(numbers, strings, text));
        let line = json::line(&line);
        self.events.push_str(comma);
        self.events.push_str(&line);
    }

    /// Adds a history that no run has told, and why it is not linearizable. Operations are numbered as they are given.
    pub fn add_history(&mut self, operations: Vec<Operation>, whys: Vec<Contradiction>) {
        self.operations = operations;
        self.contradictions = whys;
    }

    /// The run as one JSON object.
    pub fn to_json(&mut self, head: &Head, tail: &Tail) -> String {
        self.mark();
        let heads = json::line(&Heads { head, tail });
        let strings = json::line(&self.strings);
        let histories = json::line(&self.histories());
        let events = &self.events;
        format!(
            "{{\"head\":{heads},\n\"strings\":{strings},\n\"events\":[{events}],\n\"histories\":{histories}}}"
        )
    }

    /// Marks the operations of the longest order, and the one that does not fit.
    fn mark(&mut self) {
        for why in &self.contradictions {
            for (order, place) in why.longest.iter().enumerate() {
                if let Some(operation) = self.operations.get_mut(*place) {
                    operation.order = Some(order);
                }
            }
            if let Some(misfit) = why.misfit.and_then(|place| self.operations.get_mut(place)) {
                misfit.misfit = true;
            }
        }
    }

    /// The histories of all keys; first the one that is not linearizable.
    fn histories(&self) -> Vec<History<'_>> {
        let mut by_key: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
        for operation in &self.operations {
            let all = by_key.entry(&operation.key).or_default();
            if all.len() < OPERATIONS || operation.order.is_some() || operation.misfit {
                all.push(operation);
            }
        }
        let history = |(key, operations)| {
            let why = self.contradictions.iter().find(|why| why.key == key);
            let verdict = if why.is_some() { "not linearizable" } else { "" };
            let text = why.map_or("", |why| why.text.as_str());
            History { key, verdict, text, operations }
        };
        let mut histories: Vec<_> = by_key.into_iter().map(history).collect();
        histories.sort_by_key(|history| history.verdict.is_empty());
        histories
    }
}

fn number(numbers: &mut FxHashMap<String, usize>, strings: &mut Vec<String>, text: &str) -> usize {
    if let Some(number) = numbers.get(text) {
        return *number;
    }
    let number = strings.len();
    strings.push(text.into());
    numbers.insert(text.into(), number);
    number
}
