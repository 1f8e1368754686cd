//! The 2022 lab's service: every key has a text, which is empty at first.

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
    ops: Vec<Step>,
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
        let lines = Lines::of(ops);
        let trie = Trie::new(lines.texts);
        let step = |(op, at): (&&TextOp, &Option<(usize, usize)>)| match op {
            TextOp::Put { value, .. } => Step::Put(trie.walk(Trie::ROOT, value.as_bytes())),
            TextOp::Append { value, .. } => Step::Append(value.as_bytes().into()),
            TextOp::Get { .. } => {
                let (line, len) = at.expect("a get's line");
                Step::Get(trie.place(line, len))
            }
        };
        Text { ops: ops.iter().zip(&lines.of_op).map(step).collect(), trie }
    }

    fn initial(&self) -> Option<Place> {
        Some(Trie::ROOT)
    }

    fn step(&self, state: Option<Place>, op: usize) -> Option<Option<Place>> {
        match &self.ops[op] {
            Step::Get(place) => (state == Some(*place)).then_some(state),
            Step::Put(place) => Some(*place),
            Step::Append(value) => Some(state.and_then(|place| self.trie.walk(place, value))),
        }
    }

    fn is_unseen(&self, state: Option<Place>) -> bool {
        state.is_none()
    }
}

/// The texts that gets of one key answered.
pub(super) struct Lines {
    /// Those that don't begin others of the same line.
    pub texts: Vec<String>,
    /// For each operation that is a get: in which of the texts its answer stands, and how long it is.
    pub of_op: Vec<Option<(usize, usize)>>,
}

impl Lines {
    /// Of these operations.
    pub fn of(ops: &[&TextOp]) -> Lines {
        let mut numbers = BTreeMap::new();
        let mut longest = Vec::<&Output>::new();
        let mut of_op = vec![None; ops.len()];
        for (&op, at) in ops.iter().zip(&mut of_op) {
            let TextOp::Get { output, .. } = op else { continue };
            let line = *numbers.entry(output.line()).or_insert(longest.len());
            match longest.get_mut(line) {
                None => longest.push(output),
                Some(known) if known.len() < output.len() => *known = output,
                Some(_) => {}
            }
            *at = Some((line, output.len()));
        }
        Lines { texts: longest.into_iter().map(Output::to_string).collect(), of_op }
    }
}
