//! Tests that passed and checked nothing.

use crate::cluster::Check;
use crate::runner::Report;
use crate::suites::{self, LabTest};
use serde::{Deserialize, Serialize};

/// Which tests never came to what they are for, over all their runs.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Unreached(Vec<Passed>);

/// The runs of a test that it passed.
#[derive(Clone, Serialize, Deserialize)]
struct Passed {
    #[serde(with = "suites::by_name")]
    test: &'static LabTest,
    runs: u64,
    #[serde(with = "check")]
    best: Check,
}

/// A [`Check`] in a file.
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
            // There are a few such reasons.
            Stored::DoesNotFit(why) => Check::DoesNotFit(why.leak()),
        })
    }
}

impl Unreached {
    /// Takes a run in.
    pub fn add(&mut self, report: &Report) {
        let Some(check) = report.check() else { return };
        match self.0.iter_mut().find(|it| it.test.name == report.test.name) {
            Some(passed) => passed.add(check),
            None => self.0.push(Passed { test: report.test, runs: 1, best: check }),
        }
    }

    /// Whether there is such a test. One that doesn't fit is none.
    pub fn any(&self) -> bool {
        self.0.iter().any(|it| it.best == Check::Missed)
    }

    /// A sentence for each, and for each that doesn't fit.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(|Passed { test, runs, best }| {
            let (part, name) = (test.part, test.name);
            let times = if *runs == 1 { "once".into() } else { format!("{runs} times") };
            match best {
                Check::Reached => None,
                Check::Missed => Some(format!(
                    "not reached: {part} {name} passed {times} and never came to what it checks; so it says nothing of this Raft"
                )),
                Check::DoesNotFit(why) => {
                    Some(format!("does not fit this Raft: {part} {name}, for {why}"))
                }
            }
        })
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
            coverage: Coverage::default(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_test_that_never_comes_to_its_check_is_told() {
        let mut unreached = Unreached::default();
        for check in [Check::Missed, Check::Reached, Check::Missed] {
            unreached.add(&passed("deaf_leader", check));
            unreached.add(&passed("late_votes", Check::Missed));
            unreached.add(&passed("basic_agree", Check::Missed));
        }
        let lines: Vec<_> = unreached.lines().collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("late_votes passed 3 times and never"), "{}", lines[0]);
        assert!(unreached.any());
    }

    #[test]
    fn what_does_not_fit_is_told_and_no_failure() {
        let mut unreached = Unreached::default();
        unreached.add(&passed("deaf_leader", Check::Missed));
        unreached.add(&passed("deaf_leader", Check::DoesNotFit("it has none")));
        let lines: Vec<_> = unreached.lines().collect();
        assert!(lines[0].ends_with("deaf_leader, for it has none"), "{lines:?}");
        assert!(!unreached.any());
    }
}
