//! What a sweep has found so far. Its last lines are made from this. The size depends on how many causes the warnings have, and
//! not on the number of seeds or failures.

use super::work::Work;
use crate::invariants::Coverage;
use crate::report::{Causes, Counts, Groups, Sweep, Unreached};
use crate::runner::Report;
use labrpc::time::Duration;
use serde::{Deserialize, Serialize};

/// See the [module](self).
#[derive(Clone, Serialize, Deserialize)]
pub struct Found {
    pub counts: Counts,
    /// With many seeds: only failures are printed during the sweep, and a table at the end.
    pub sweeps: Option<Vec<Sweep>>,
    pub coverage: Coverage,
    pub unreached: Unreached,
    pub failures: Groups,
    pub warnings: Causes,
    pub lab_time: Duration,
    /// Wall time of the sessions before this one.
    pub wall: Duration,
}

impl Found {
    /// Nothing found yet.
    pub fn nothing(work: &Work) -> Found {
        Found {
            counts: Counts { not_run: work.runs(), ..Counts::default() },
            sweeps: work.is_sweep().then(|| work.tests().map(Sweep::new).collect()),
            coverage: Coverage::default(),
            unreached: Unreached::default(),
            failures: Groups::default(),
            warnings: Causes::default(),
            lab_time: Duration::ZERO,
            wall: Duration::ZERO,
        }
    }

    /// Adds the result of a run. If it failed, returns the number of its group, unless there are too many groups.
    pub fn add(&mut self, report: &Report) -> Option<usize> {
        self.counts.add(report.result.is_err());
        self.lab_time += report.lab_time;
        self.coverage.add(&report.coverage);
        self.unreached.add(report);
        let sweeps = self.sweeps.iter_mut().flatten();
        sweeps
            .filter(|sweep| sweep.test().name == report.test.name)
            .for_each(|sweep| sweep.add(report));
        match &report.result {
            Err(failure) => self.failures.add(report, failure),
            Ok(_) => {
                report.warnings.iter().for_each(|warning| self.warnings.add(report, warning));
                None
            }
        }
    }

    /// How many runs have been added.
    pub fn runs(&self) -> u64 {
        self.counts.passed + self.counts.failed
    }
}
