//! Which parts of a story are shown.

use super::{Kind, Told};
use labrpc::time::Duration;
use regex_lite::Regex;

/// What to show. Every condition that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only what is about any of these servers.
    pub servers: Vec<usize>,
    /// Only what happened at this time or later.
    pub from: Option<Duration>,
    /// Only what happened at this time or earlier.
    pub to: Option<Duration>,
    /// Only what is about this term.
    pub term: Option<u64>,
    /// Only these kinds.
    pub kinds: Vec<Kind>,
    /// Only what is about this log index.
    pub index: Option<u64>,
    /// Only what has this pattern in its text, its reason or its detail.
    pub grep: Option<Regex>,
    /// Also idle heartbeats, and messages that arrive on time.
    pub all: bool,
}

impl Filter {
    /// Whether it is shown.
    pub fn shows(&self, told: &Told) -> bool {
        let within =
            self.from.is_none_or(|from| told.at >= from) && self.to.is_none_or(|to| told.at <= to);
        within
            && (self.all || !told.idle && !told.minor)
            && (self.servers.is_empty() || self.servers.iter().any(|i| told.is_about(*i)))
            && (self.kinds.is_empty() || self.kinds.contains(&told.kind))
            && self.term.is_none_or(|term| told.term == Some(term))
            && self.index.is_none_or(|index| told.is_about_index(index))
            && self.grep.as_ref().is_none_or(|pattern| has(told, pattern))
    }
}

fn has(told: &Told, pattern: &Regex) -> bool {
    let more = [&told.why, &told.detail].into_iter().flatten();
    [&told.text].into_iter().chain(more).any(|text| pattern.is_match(text))
}
