//! The operations of the 2022 lab's store, and what their reads saw.

use super::output::Output;
use std::collections::BTreeMap;

/// An operation of a client in the 2022 lab, with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TextOp {
    /// Reads the text.
    Get {
        /// The key.
        key: String,
        /// The answer.
        output: Output,
    },
    /// Replaces the text.
    Put {
        /// The key.
        key: String,
        /// The new text.
        value: String,
    },
    /// Appends to the text.
    Append {
        /// The key.
        key: String,
        /// The text to append.
        value: String,
    },
}

/// A text that was read, with all texts that are a prefix of it in the same [`Output`] line.
pub struct Line {
    /// The longest text.
    pub text: String,
    /// The gets, each with the length of the text that it saw, shortest first.
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
