//! The service of the 2022 lab: every key has a text, which is empty at first.

use super::authors::Values;
use super::model::Decision;
use super::register::Numbered;
use super::span::Spans;
use super::steps::{Blind, Steps, numbers};
pub use super::text_op::TextOp;
use super::text_op::{Line, lines};
use super::trie::{Place, Trie};
use super::unique::{self, Act};
use super::{Model, blocks};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// The 2022 lab's get, put and append.
#[derive(Clone, Copy, Debug, Default)]
pub struct Text;

impl Model for Text {
    type Op = TextOp;
    type State = String;

    fn key(op: &TextOp) -> &str {
        match op {
            TextOp::Get { key, .. } | TextOp::Put { key, .. } | TextOp::Append { key, .. } => key,
        }
    }

    fn initial(&self) -> String {
        String::new()
    }

    fn step(&self, state: &String, op: &TextOp) -> Option<String> {
        match op {
            TextOp::Get { output, .. } => output.with(|text| text == state).then(|| state.clone()),
            TextOp::Put { value, .. } => Some(value.clone()),
            TextOp::Append { value, .. } => Some(format!("{state}{value}")),
        }
    }

    fn writes(op: &TextOp) -> bool {
        !matches!(op, TextOp::Get { .. })
    }

    fn asked(op: &TextOp) -> String {
        match op {
            TextOp::Get { .. } => "get".into(),
            TextOp::Put { value, .. } => format!("put {value:?}"),
            TextOp::Append { value, .. } => format!("append {value:?}"),
        }
    }

    fn answer(op: &TextOp) -> String {
        match op {
            TextOp::Get { output, .. } => format!("{output:?}"),
            TextOp::Put { .. } | TextOp::Append { .. } => String::new(),
        }
    }

    fn would_answer(&self, state: &String, op: &TextOp) -> Option<String> {
        matches!(op, TextOp::Get { .. }).then(|| format!("{state:?}"))
    }

    fn shown(&self, op: &TextOp) -> Option<String> {
        match op {
            TextOp::Get { output, .. } => Some(output.to_string()),
            TextOp::Put { value, .. } => Some(value.clone()),
            TextOp::Append { .. } => None,
        }
    }

    fn at_once(&self, ops: &[&TextOp], spans: &Spans) -> Option<Decision> {
        match acts(ops) {
            Some(acts) => unique::decide(&acts, spans),
            None => blocks::decide(ops, spans),
        }
    }

    fn steps<'a>(&'a self, ops: &[&'a TextOp], spans: &Spans) -> Box<dyn Steps + 'a> {
        match acts(ops) {
            Some(acts) => Box::new(Numbered::of_acts(&acts)),
            None => Box::new(Places::new(ops, Some(spans))),
        }
    }

    fn plain_steps<'a>(&'a self, ops: &[&'a TextOp]) -> Box<dyn Steps + 'a> {
        match acts(ops) {
            Some(acts) => Box::new(Blind(Box::new(Numbered::of_acts(&acts)))),
            None => Box::new(Blind(Box::new(Places::new(ops, None)))),
        }
    }
}

/// What the operations do to a register, if there are no appends.
fn acts(ops: &[&TextOp]) -> Option<Vec<Act>> {
    // The initial value has number 0.
    let mut known = FxHashMap::from_iter([(String::new(), 0)]);
    let mut number = |text: &str| {
        let next = known.len() as u32;
        known.get(text).copied().unwrap_or_else(|| *known.entry(text.into()).or_insert(next))
    };
    let act = |op: &&TextOp| match op {
        TextOp::Get { output, .. } => Some(Act::Read(output.with(&mut number))),
        TextOp::Put { value, .. } => Some(Act::Write(number(value))),
        TextOp::Append { .. } => None,
    };
    ops.iter().map(act).collect()
}

/// The states of texts that grow.
///
/// A state is a place in the tree of all texts that were read. A text that is not a prefix of a text that was read has no
/// place. All such texts are one state, because appends to them lead to no text that was read, and puts don't depend on the
/// text before. So a state is exact and takes a few bytes, and an append compares only as many bytes as it has.
struct Places {
    trie: Trie,
    steps: Vec<Step>,
    kinds: Vec<u32>,
    /// For each append that somebody saw: the place that it led to.
    seen: Vec<Option<Place>>,
    /// For each get: the kinds of puts that may be the start of what it saw.
    begins: Vec<Vec<u32>>,
}

enum Step {
    Get(Place),
    Put(Option<Place>),
    Append(Vec<u8>),
}

/// The state of texts that are not a prefix of any text that was read.
const NOWHERE: u64 = u64::MAX;

impl Places {
    /// If spans are given, an append that was seen must lead to the place where it was seen.
    fn new(ops: &[&TextOp], spans: Option<&Spans>) -> Places {
        let lines = lines(ops);
        let trie = Trie::new(lines.iter().map(|line| line.text.clone()).collect());
        let step = |op: &&TextOp| match op {
            TextOp::Get { .. } => Step::Get(Trie::ROOT),
            TextOp::Put { value, .. } => Step::Put(trie.walk(Trie::ROOT, value.as_bytes())),
            TextOp::Append { value, .. } => Step::Append(value.as_bytes().into()),
        };
        let mut steps: Vec<Step> = ops.iter().map(step).collect();
        for (text, line) in lines.iter().enumerate() {
            for (len, get) in &line.gets {
                steps[*get] = Step::Get(trie.place(text, *len));
            }
        }
        let mut places = Places {
            seen: vec![None; steps.len()],
            begins: Vec::new(),
            kinds: kinds_of_writes(ops),
            trie,
            steps,
        };
        if let Some(spans) = spans {
            places.see(ops, spans, &lines);
        }
        places.begins = places.begins();
        places
    }

    fn see(&mut self, ops: &[&TextOp], spans: &Spans, lines: &[Line]) {
        let Some(values) = Values::of(ops, spans) else { return };
        for (text, line) in lines.iter().enumerate() {
            // If nobody can have written a text, the error is ignored here: the search will find no order.
            let readings = values.readings(line).into_iter().flatten().flatten();
            for piece in readings.flat_map(|reading| reading.pieces) {
                if let Some(author) = piece.author {
                    self.seen[author] = Some(self.trie.place(text, piece.len));
                }
            }
        }
    }

    fn begins(&self) -> Vec<Vec<u32>> {
        let mut puts = BTreeMap::<Place, Vec<u32>>::new();
        for (put, step) in self.steps.iter().enumerate() {
            if let Step::Put(Some(place)) = step {
                puts.entry(*place).or_default().push(self.kinds[put]);
            }
        }
        puts.values_mut().for_each(|kinds| kinds.dedup());
        let mut known = BTreeMap::<Place, Vec<u32>>::new();
        let begin = |step: &Step| {
            let Step::Get(seen) = step else { return Vec::new() };
            let find = || {
                let begin = puts.iter().filter(|(place, _)| self.trie.begins(**place, *seen));
                begin.map(|(_, kinds)| kinds[0]).collect()
            };
            known.entry(*seen).or_insert_with(find).clone()
        };
        self.steps.iter().map(begin).collect()
    }
}

/// Gets need no kinds, because what they saw tells them apart.
fn kinds_of_writes<'o>(ops: &[&'o TextOp]) -> Vec<u32> {
    let write = |op: &&'o TextOp| match *op {
        TextOp::Get { .. } => None,
        TextOp::Put { value, .. } => Some((true, value.as_str())),
        TextOp::Append { value, .. } => Some((false, value.as_str())),
    };
    numbers(ops.iter().map(write))
}

impl Steps for Places {
    fn initial(&self) -> u64 {
        Trie::ROOT.number()
    }

    fn step(&self, state: u64, op: usize) -> Option<u64> {
        let number = |place: Option<Place>| place.map_or(NOWHERE, Place::number);
        match &self.steps[op] {
            Step::Get(seen) => (state == seen.number()).then_some(state),
            Step::Put(place) => Some(number(*place)),
            Step::Append(value) => {
                let place = Place::of_number(state).and_then(|place| self.trie.walk(place, value));
                let seen = self.seen[op];
                (seen.is_none() || seen == place).then_some(number(place))
            }
        }
    }

    fn kinds(&self) -> &[u32] {
        &self.kinds
    }

    fn may_yet(&self, state: u64, read: usize, is_left: &mut dyn FnMut(u32) -> bool) -> bool {
        let Step::Get(seen) = &self.steps[read] else { return true };
        Place::of_number(state).is_some_and(|place| self.trie.begins(place, *seen))
            || self.begins[read].iter().any(|kind| is_left(*kind))
    }

    fn is_unseen(&self, state: u64) -> bool {
        state == NOWHERE
    }
}
