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
/// A state is a place in the tree of all texts that were read: how far it has come there. A text that is no beginning of one
/// that was read is none of them, and all such are one state, for appends lead to none that was read, and puts don't ask
/// what was there. So a state is exact, costs eight bytes, and an append the comparison of its own bytes.
pub struct Text {
    trie: Trie,
    steps: Vec<Step>,
}

enum Step {
    /// What it saw, and the puts that may have begun that.
    Get(Place, Vec<u32>),
    Put(Option<Place>),
    /// What is added; and where it leads to, if somebody saw that.
    Append(Vec<u8>, Option<Place>),
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

    fn new(ops: &[&TextOp], spans: &[Span]) -> Text {
        let lines = lines(ops);
        let trie = Trie::new(lines.iter().map(|line| line.text.clone()).collect());
        let step = |op: &&TextOp| match op {
            TextOp::Get { .. } => Step::Get(Trie::ROOT, Vec::new()),
            TextOp::Put { value, .. } => Step::Put(trie.walk(Trie::ROOT, value.as_bytes())),
            TextOp::Append { value, .. } => Step::Append(value.as_bytes().into(), None),
        };
        let mut steps: Vec<Step> = ops.iter().map(step).collect();
        let values = Values::of(ops, spans);
        for (text, line) in lines.iter().enumerate() {
            for (len, get) in &line.gets {
                steps[*get] = Step::Get(trie.place(text, *len), Vec::new());
            }
            // What can't have been written, the search won't find either.
            let readings = values.as_ref().and_then(|values| values.readings(line).ok());
            for piece in readings.into_iter().flatten().flatten().flat_map(|reading| reading.pieces)
            {
                if let Some(Step::Append(_, place)) = piece.author.map(|author| &mut steps[author])
                {
                    *place = Some(trie.place(text, piece.len));
                }
            }
        }
        for put in 0..steps.len() {
            let Step::Put(Some(place)) = steps[put] else { continue };
            for step in &mut steps {
                if let Step::Get(seen, puts) = step
                    && trie.begins(place, *seen)
                {
                    puts.push(put as u32);
                }
            }
        }
        Text { trie, steps }
    }

    fn initial(&self) -> Option<Place> {
        Some(Trie::ROOT)
    }

    fn step(&self, state: Option<Place>, op: usize) -> Option<Option<Place>> {
        match &self.steps[op] {
            Step::Get(place, _) => (state == Some(*place)).then_some(state),
            Step::Put(place) => Some(*place),
            Step::Append(value, seen) => {
                let place = state.and_then(|place| self.trie.walk(place, value));
                (seen.is_none() || *seen == place).then_some(place)
            }
        }
    }

    fn may_yet(
        &self,
        state: Self::State,
        read: usize,
        mut is_left: impl FnMut(usize) -> bool,
    ) -> bool {
        let Step::Get(seen, puts) = &self.steps[read] else { return true };
        state.is_some_and(|place| self.trie.begins(place, *seen))
            || puts.iter().any(|put| is_left(*put as usize))
    }

    fn is_unseen(&self, state: Option<Place>) -> bool {
        state.is_none()
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
    let mut lines = BTreeMap::<_, (&Output, Vec<(usize, usize)>)>::new();
    for (number, op) in ops.iter().enumerate() {
        if let TextOp::Get { output, .. } = op {
            let (longest, gets) = lines.entry(output.line()).or_insert((output, Vec::new()));
            if longest.len() < output.len() {
                *longest = output;
            }
            gets.push((output.len(), number));
        }
    }
    let line = |(longest, mut gets): (&Output, Vec<_>)| {
        gets.sort_unstable();
        Line { text: longest.to_string(), gets }
    };
    lines.into_values().map(line).collect()
}
