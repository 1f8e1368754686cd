//! Groups the warnings of many runs by their cause.

use super::pattern::numberless;
use crate::outcome::Report;
use labrpc::run::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Warnings by cause. Two warnings have the same cause if their messages differ only in numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Causes(BTreeMap<String, Cause>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cause {
    /// The whole message of the first warning.
    message: String,
    /// Where the first warning was.
    test: String,
    seed: u64,
    runs: u64,
    /// How many causes were found before this one.
    place: usize,
}

impl Causes {
    /// Adds a warning of a run.
    pub fn add(&mut self, report: &Report, failure: &Failure) {
        let place = self.0.len();
        let fresh = || Cause {
            message: failure.message.clone(),
            test: report.test.name.to_string(),
            seed: report.seed,
            runs: 0,
            place,
        };
        self.0.entry(numberless(&failure.message)).or_insert_with(fresh).runs += 1;
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
