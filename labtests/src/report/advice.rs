//! What tests that passed had to say nevertheless.

use crate::runner::Report;
use crate::suites::LabTest;

/// What could be better, by test.
#[derive(Default)]
pub struct Advice(Vec<Advised>);

/// The runs of a test that had something to say.
struct Advised {
    test: &'static LabTest,
    runs: u64,
    /// What the first of them said, and its seed.
    first: String,
    seed: u64,
}

impl Advice {
    /// Takes a run in.
    pub fn add(&mut self, report: &Report) {
        let Some(first) = report.result.as_ref().ok().and_then(|stats| stats.advice.first()) else {
            return;
        };
        match self.0.iter_mut().find(|it| it.test.name == report.test.name) {
            Some(advised) => advised.runs += 1,
            None => self.0.push(Advised {
                test: report.test,
                runs: 1,
                first: first.clone(),
                seed: report.seed,
            }),
        }
    }

    /// Whether there is any.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// A sentence for each test.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|Advised { test, runs, first, seed }| {
            let (part, name) = (test.part, test.name);
            let runs = if *runs == 1 { "one run".into() } else { format!("{runs} runs") };
            format!("warning: {part} {name}, in {runs}; seed {seed}: {first}")
        })
    }
}
