//! Stores the answers to gets. A text that grows by appends is read many times, and every answer begins with the earlier ones.
//! If each answer were stored by itself, the answers of a few minutes would fill gigabytes.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A text that a get returned: the beginning of a line, which it may share with other outputs.
#[derive(Clone)]
pub struct Output {
    line: Arc<Mutex<String>>,
    len: usize,
}

impl Output {
    /// Calls `look` with the text.
    pub fn with<T>(&self, look: impl FnOnce(&str) -> T) -> T {
        look(&self.line.lock()[..self.len])
    }

    /// The length in bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Identifies the line that the text is the beginning of.
    pub(super) fn line(&self) -> *const () {
        Arc::as_ptr(&self.line).cast()
    }
}

impl From<&str> for Output {
    fn from(text: &str) -> Output {
        Output { line: Arc::new(Mutex::new(text.into())), len: text.len() }
    }
}

impl PartialEq for Output {
    fn eq(&self, other: &Output) -> bool {
        self.len == other.len
            && (self.line() == other.line() || self.to_string() == other.to_string())
    }
}

impl Eq for Output {}

impl Hash for Output {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.with(|text| text.hash(state));
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|text| f.write_str(text))
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|text| fmt::Debug::fmt(text, f))
    }
}

/// Makes the [`Output`]s of a history. Outputs that continue others share their memory.
#[derive(Default)]
pub struct Outputs {
    /// The last lines of each key, the most recent one last.
    lines: BTreeMap<String, Vec<Arc<Mutex<String>>>>,
}

/// How many lines of a key can be continued: the line of the current text, and lines that concurrent gets may still see from
/// before the last puts.
const LINES: usize = 4;

impl Outputs {
    /// Stores the answer to a get.
    pub fn keep(&mut self, key: &str, text: &str) -> Output {
        let lines = self.lines.entry(key.into()).or_default();
        let len = text.len();
        for line in lines.iter().rev() {
            if goes_on(&mut line.lock(), text) {
                return Output { line: line.clone(), len };
            }
        }
        let output = Output::from(text);
        if lines.len() == LINES {
            lines.remove(0);
        }
        lines.push(output.line.clone());
        output
    }
}

/// Extends the line by the text if possible. Returns whether the line then begins with the text.
fn goes_on(line: &mut String, text: &str) -> bool {
    // An empty text is the beginning of every line. But it gets a line of its own, which will grow from it.
    if let Some(more) = text.strip_prefix(line.as_str()).filter(|_| !line.is_empty()) {
        line.push_str(more);
        return true;
    }
    line.starts_with(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_that_go_on_share_a_line() {
        let mut outputs = Outputs::default();
        let texts = ["", "a", "abc", "ab", "x", "xy", "abcd", "", "abd"];
        let kept: Vec<_> = texts.iter().map(|text| outputs.keep("k", text)).collect();
        let texts_kept: Vec<_> = kept.iter().map(Output::to_string).collect();
        assert_eq!(texts_kept, texts);
        assert_eq!(kept[1].line(), kept[6].line());
        assert_eq!(kept[4].line(), kept[5].line());
        assert_ne!(kept[1].line(), kept[4].line());
        assert_ne!(kept[1].line(), outputs.keep("other", "a").line());
        assert_eq!(kept[1], Output::from("a"));
        assert_ne!(kept[1], Output::from("x"));
    }
}
