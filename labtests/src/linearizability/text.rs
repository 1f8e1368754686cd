//! The 2022 lab's service: every key has a text, which is empty at first.

use super::authors::Values;
use super::output::Output;
use super::trie::{Place, Trie};
use super::{Model, Span, blocks};
use std::collections::BTreeMap;

/// What a client of the 2022 lab asks, and what it is told.
#[derive(Clone, Debug, PartialEq)]
pub enum TextOp {
    /// What is the text?
    Get {
        /// Where.
        key: String,
        /// The text.
        output: Output,
    },
    /// Replaces the text.
    Put {
        /// Where.
        key: String,
        /// By what.
        value: String,
    },
    /// Adds to the text's end.
    Append {
        /// Where.
        key: String,
        /// What.
        value: String,
    },
}

/// The 2022 lab's get, put and append.
///
/// A state is a place in the tree of all texts that were read: how far it has come there. A text that is no beginning
/// of one that was read is none of them, and all such are one state, for appends lead to none that was read, and puts
/// don't ask what was there. So a state is exact and takes a few bytes, and an append compares no more than its own.
pub struct Text {
    trie: Trie,
    steps: Vec<Step>,
    /// For each append that somebody saw: where it led to.
    seen: Vec<Option<Place>>,
    /// For each get: the puts that may have begun what it saw.
    begins: Vec<Vec<u32>>,
}

enum Step {
    Get(Place),
    Put(Option<Place>),
    Append(Vec<u8>),
}

impl Model for Text {
    type Op = TextOp;
    /// `None`: a text that nobody read, nor any that begins with it.
    type State = Option<Place>;

    fn key(op: &TextOp) -> &str {
        match op {
            TextOp::Get { key, .. } | TextOp::Put { key, .. } | TextOp::Append { key, .. } => key,
        }
    }

    fn writes(op: &TextOp) -> bool {
        !matches!(op, TextOp::Get { .. })
    }

    fn effect(op: &TextOp) -> (u64, &str) {
        match op {
            TextOp::Get { .. } => (0, ""),
            TextOp::Put { value, .. } => (1, value),
            TextOp::Append { value, .. } => (2, value),
        }
    }

    fn is_open(_: &TextOp) -> bool {
        false
    }

    fn at_once(ops: &[&TextOp], spans: &[Span]) -> Option<bool> {
        blocks::decide(ops, spans)
    }

    fn new(ops: &[&TextOp]) -> Text {
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
        Text { trie, seen: vec![None; steps.len()], begins: Vec::new(), steps }
    }

    fn look_ahead(&mut self, ops: &[&TextOp], spans: &[Span]) {
        if let Some(values) = Values::of(ops, spans) {
            for (text, line) in lines(ops).iter().enumerate() {
                // What nobody can have written, the search won't find either.
                let readings = values.readings(line).into_iter().flatten().flatten();
                for piece in readings.flat_map(|reading| reading.pieces) {
                    if let Some(author) = piece.author {
                        self.seen[author] = Some(self.trie.place(text, piece.len));
                    }
                }
            }
        }
        self.begins = vec![Vec::new(); ops.len()];
        for (put, step) in self.steps.iter().enumerate() {
            let Step::Put(Some(place)) = step else { continue };
            for (step, begins) in self.steps.iter().zip(&mut self.begins) {
                if matches!(step, Step::Get(seen) if self.trie.begins(*place, *seen)) {
                    begins.push(put as u32);
                }
            }
        }
    }

    fn initial(&self) -> Option<Place> {
        Some(Trie::ROOT)
    }

    fn step(&self, state: Option<Place>, op: usize) -> Option<Option<Place>> {
        match &self.steps[op] {
            Step::Get(seen) => (state == Some(*seen)).then_some(state),
            Step::Put(place) => Some(*place),
            Step::Append(value) => {
                let place = state.and_then(|place| self.trie.walk(place, value));
                let seen = self.seen[op];
                (seen.is_none() || seen == place).then_some(place)
            }
        }
    }

    fn may_yet(
        &self,
        state: Option<Place>,
        read: usize,
        mut is_left: impl FnMut(usize) -> bool,
    ) -> bool {
        let (Step::Get(seen), Some(begins)) = (&self.steps[read], self.begins.get(read)) else {
            return true;
        };
        state.is_some_and(|place| self.trie.begins(place, *seen))
            || begins.iter().any(|put| is_left(*put as usize))
    }

    fn is_unseen(&self, state: Option<Place>) -> bool {
        state.is_none()
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

    fn answer_after(order: &[&TextOp], next: &TextOp) -> String {
        let mut text = String::new();
        for op in order {
            match op {
                TextOp::Get { .. } => {}
                TextOp::Put { value, .. } => text.clone_from(value),
                TextOp::Append { value, .. } => text += value,
            }
        }
        match next {
            TextOp::Get { .. } => format!("{text:?}"),
            TextOp::Put { .. } | TextOp::Append { .. } => String::new(),
        }
    }
}

/// A text that was read, with all that are the beginning of it in the same [`Output`] line.
pub struct Line {
    /// The longest.
    pub text: String,
    /// The gets, with how much of it they saw, the least first.
    pub gets: Vec<(usize, usize)>,
}

/// What the gets among these operations saw.
pub fn lines(ops: &[&TextOp]) -> Vec<Line> {
    let mut numbers = BTreeMap::new();
    let mut lines: Vec<(&Output, Vec<(usize, usize)>)> = Vec::new();
    for (get, op) in ops.iter().enumerate() {
        let TextOp::Get { output, .. } = op else { continue };
        let line = *numbers.entry(output.line()).or_insert(lines.len());
        if line == lines.len() {
            lines.push((output, Vec::new()));
        }
        let (longest, gets) = &mut lines[line];
        if longest.len() < output.len() {
            *longest = output;
        }
        gets.push((output.len(), get));
    }
    let line = |(longest, mut gets): (&Output, Vec<_>)| {
        gets.sort_unstable();
        Line { text: longest.to_string(), gets }
    };
    lines.into_iter().map(line).collect()
}
