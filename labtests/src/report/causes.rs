//! Groups the failures of many runs by their cause.

use crate::outcome::Report;
use labrpc::run::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Failures by cause. Two failures have the same cause if their messages differ only in numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Causes(BTreeMap<String, Cause>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cause {
    /// The whole message of the first failure.
    message: String,
    /// Where the first failure was.
    test: String,
    seed: u64,
    runs: u64,
    /// How many causes were found before this one.
    place: usize,
}

impl Causes {
    /// Adds a failure of a run.
    pub fn add(&mut self, report: &Report, failure: &Failure) {
        let place = self.0.len();
        let fresh = || Cause {
            message: failure.message.clone(),
            test: report.test.name.to_string(),
            seed: report.seed,
            runs: 0,
            place,
        };
        self.0.entry(pattern(&failure.message)).or_insert_with(fresh).runs += 1;
    }

    /// A line for each cause: how often it was seen, the first message, and where that was.
    pub fn lines(&self) -> Vec<String> {
        let line = |cause: &&Cause| {
            let Cause { message, test, seed, runs, .. } = cause;
            format!("{runs:>6} times: {} (first: {test}, seed {seed})", first_line(message))
        };
        self.in_order().iter().map(line).collect()
    }

    /// The first message of each cause in full, with the number of runs.
    pub fn in_full(&self) -> Vec<String> {
        let text = |cause: &&Cause| {
            let Cause { message, test, seed, runs, .. } = cause;
            let runs = if *runs == 1 { "1 run".into() } else { format!("{runs} runs") };
            format!("in {runs} (first: {test}, seed {seed}): {message}")
        };
        self.in_order().iter().map(text).collect()
    }

    fn in_order(&self) -> Vec<&Cause> {
        let mut causes: Vec<_> = self.0.values().collect();
        causes.sort_by_key(|cause| cause.place);
        causes
    }
}

/// The first line of a message: what happened.
pub fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// The first line of a message with its numbers removed.
pub fn pattern(message: &str) -> String {
    let mut pattern = String::new();
    for letter in first_line(message).chars() {
        match letter {
            '0'..='9' | '.' if pattern.ends_with('#') => {}
            '0'..='9' => pattern.push('#'),
            other => pattern.push(other),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_differ_in_numbers_have_one_pattern() {
        let one = "S0 applied index 2 after index 0; it took 1.25 s\nmore";
        let other = "S2 applied index 14 after index 11; it took 10 s\nelse";
        assert_eq!(pattern(one), pattern(other));
        assert_eq!(pattern(one), "S# applied index # after index #; it took # s");
        assert_ne!(pattern(one), pattern("S0 applied index 2 twice"));
    }
}
