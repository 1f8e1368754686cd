//! Tests that passed and checked nothing.

use crate::runner::Report;
use crate::suites::LabTest;

/// Which tests never came to what they are for, over all their runs.
#[derive(Default)]
pub struct Unreached(Vec<Passed>);

/// The runs of a test that it passed.
struct Passed {
    test: &'static LabTest,
    runs: u64,
    reached: bool,
}

impl Unreached {
    /// Takes a run in.
    pub fn add(&mut self, report: &Report) {
        let Some(reached) = report.reached_check() else { return };
        let passed = match self.0.iter_mut().find(|it| it.test.name == report.test.name) {
            Some(passed) => passed,
            None => {
                self.0.push(Passed { test: report.test, runs: 0, reached: false });
                self.0.last_mut().expect("just pushed")
            }
        };
        passed.runs += 1;
        passed.reached |= reached;
    }

    /// A sentence for each.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let never = self.0.iter().filter(|it| !it.reached);
        never.map(|Passed { test, runs, .. }| {
            let runs = if *runs == 1 { "one run".into() } else { format!("{runs} runs") };
            format!(
                "not reached: {} {} passed {runs} without ever coming to what it checks, so it says nothing of this Raft",
                test.part, test.name
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Stats;
    use crate::invariants::Coverage;
    use crate::runner::{World, select};
    use labrpc::time::Duration;

    fn passed(name: &str, reached_check: bool) -> Report {
        Report {
            test: select(name).unwrap()[0],
            seed: 1,
            world: World::Simulated,
            wall: Duration::ZERO,
            lab_time: Duration::ZERO,
            fingerprint: 0,
            result: Ok(Stats { reached_check, ..Stats::default() }),
            last_events: Vec::new(),
            coverage: Coverage::default(),
        }
    }

    #[test]
    fn a_test_that_never_comes_to_its_check_is_told() {
        let mut unreached = Unreached::default();
        for reached in [false, true, false] {
            unreached.add(&passed("deaf_leader", reached));
            unreached.add(&passed("late_votes", false));
            unreached.add(&passed("basic_agree", false));
        }
        let lines: Vec<_> = unreached.lines().collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("late_votes passed 3 runs without"), "{}", lines[0]);
    }
}
