//! Tests that passed without checking anything.

use crate::cluster::Check;
use crate::outcome::Report;
use crate::suites::{self, LabTest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The tests that, in all their runs, never reached the situation that they check.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Unreached(Vec<Passed>);

/// The passed runs of one test.
#[derive(Clone, Serialize, Deserialize)]
struct Passed {
    #[serde(with = "suites::by_name")]
    test: &'static LabTest,
    runs: u64,
    #[serde(with = "check")]
    best: Check,
}

/// Stores a [`Check`] in a file.
mod check {
    use super::Check;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    enum Stored {
        Missed,
        Reached,
        DoesNotFit(String),
    }

    pub fn serialize<S: Serializer>(check: &Check, to: S) -> Result<S::Ok, S::Error> {
        let stored = match check {
            Check::Missed => Stored::Missed,
            Check::Reached => Stored::Reached,
            Check::DoesNotFit(why) => Stored::DoesNotFit((*why).to_string()),
        };
        stored.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Check, D::Error> {
        Ok(match Stored::deserialize(from)? {
            Stored::Missed => Check::Missed,
            Stored::Reached => Check::Reached,
            // There are only a few such reasons, so leaking them costs little.
            Stored::DoesNotFit(why) => Check::DoesNotFit(why.leak()),
        })
    }
}

impl Unreached {
    /// Adds a run.
    pub fn add(&mut self, report: &Report) {
        let Some(check) = report.check() else { return };
        match self.0.iter_mut().find(|it| it.test.name == report.test.name) {
            Some(passed) => passed.add(check),
            None => self.0.push(Passed { test: report.test, runs: 1, best: check }),
        }
    }

    /// Whether there is such a test. A test that does not fit this Raft does not count.
    pub fn any(&self) -> bool {
        self.0.iter().any(|it| it.best == Check::Missed)
    }

    /// One line for the tests that never reached their check, and one line for each reason why other tests don't fit.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let title = |it: &Passed| format!("{} {}", it.test.part, it.test.name);
        let mut missed = Vec::new();
        let mut unfit = BTreeMap::<_, Vec<_>>::new();
        for it in &self.0 {
            match it.best {
                Check::Reached => {}
                Check::Missed => missed.push(format!("{} ({} runs)", title(it), it.runs)),
                Check::DoesNotFit(why) => unfit.entry(why).or_default().push(title(it)),
            }
        }
        let missed = (!missed.is_empty()).then(|| {
            let tests = missed.join(", ");
            format!("not reached: {tests} passed but never reached the situation they check, so this says nothing about this Raft")
        });
        let unfit = unfit.into_iter().map(|(why, tests)| {
            format!("does not fit this Raft: {}, because {why}", tests.join(", "))
        });
        missed.into_iter().chain(unfit)
    }
}

impl Passed {
    fn add(&mut self, check: Check) {
        self.runs += 1;
        if check == Check::Reached || self.best == Check::Missed {
            self.best = check;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Stats;
    use crate::invariants::Coverage;
    use crate::runner::{World, select};
    use labrpc::time::Duration;

    fn passed(name: &str, check: Check) -> Report {
        Report {
            test: select(name).unwrap()[0],
            seed: 1,
            world: World::Simulated,
            wall: Duration::ZERO,
            lab_time: Duration::ZERO,
            fingerprint: 0,
            result: Ok(Stats { check, ..Stats::default() }),
            last_events: Vec::new(),
            standing: Vec::new(),
            coverage: Coverage::default(),
            warnings: Vec::new(),
            tape: None,
        }
    }

    #[test]
    fn a_test_that_never_comes_to_its_check_is_told() {
        let mut unreached = Unreached::default();
        for check in [Check::Missed, Check::Reached, Check::Missed] {
            unreached.add(&passed("deaf_leader_steps_down_at_newer_term", check));
            unreached.add(&passed("elections_with_delayed_votes", Check::Missed));
            unreached.add(&passed("basic_agree", Check::Missed));
        }
        let lines: Vec<_> = unreached.lines().collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].contains("elections_with_delayed_votes (3 runs) passed but never"),
            "{}",
            lines[0]
        );
        assert!(unreached.any());
    }

    #[test]
    fn a_reason_is_told_once() {
        let mut unreached = Unreached::default();
        for name in ["deaf_leader_steps_down_at_newer_term", "elections_with_delayed_votes"] {
            unreached.add(&passed(name, Check::DoesNotFit("it has none")));
        }
        let lines: Vec<_> = unreached.lines().collect();
        assert_eq!(
            lines,
            [
                "does not fit this Raft: 2A+ deaf_leader_steps_down_at_newer_term, 2A+ elections_with_delayed_votes, because it has none"
            ]
        );
    }

    #[test]
    fn what_does_not_fit_is_told_and_no_failure() {
        let mut unreached = Unreached::default();
        unreached.add(&passed("deaf_leader_steps_down_at_newer_term", Check::Missed));
        unreached
            .add(&passed("deaf_leader_steps_down_at_newer_term", Check::DoesNotFit("it has none")));
        let lines: Vec<_> = unreached.lines().collect();
        assert!(
            lines[0].ends_with("deaf_leader_steps_down_at_newer_term, because it has none"),
            "{lines:?}"
        );
        assert!(!unreached.any());
    }
}
