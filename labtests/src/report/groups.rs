//! Groups the failures of many runs by what broke. The size is limited, whatever the number of runs.

mod summary;
mod text;

pub use summary::Summary;
pub use text::Runs;

use super::pattern::{clause, clipped, first_line};
use crate::outcome::Report;
use crate::property::Property;
use crate::suites::{self, LabTest};
use labrpc::run::{Failure, FailureKind};
use labrpc::time::Duration;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Failures in yet more groups are only counted.
const MOST_GROUPS: usize = 50;

/// How many seeds a group keeps for each test.
const FIRST_SEEDS: usize = 8;

/// Of longer first lines only the beginning is kept.
const LONGEST_LINE: usize = 1000;

/// What the failures of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The property that does not hold, see [`property`].
    pub property: Option<String>,
    /// The kind of the failure.
    pub kind: String,
    /// The file and line of a panic. A check of a test has no place here, because its place is where a test calls it: the same
    /// failure of twenty tests would have twenty places. What the check says identifies it.
    pub place: Option<String>,
    /// The message without what differs between runs, see [`clause`].
    pub pattern: String,
}

impl Key {
    fn of(failure: &Failure) -> Key {
        Key {
            property: property(failure),
            kind: format!("{:?}", failure.kind),
            place: failure.place.clone().filter(|_| failure.kind != FailureKind::Test),
            pattern: clause(&failure.message),
        }
    }
}

/// The property that the failure breaks, as its message names it.
pub(super) fn property(failure: &Failure) -> Option<String> {
    Property::of(failure).map(|property| property.to_string())
}

/// A run that failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failed {
    /// The test.
    #[serde(with = "suites::by_name")]
    pub test: &'static LabTest,
    /// The seed.
    pub seed: u64,
    /// When it failed, on the run's own clock.
    pub at: Duration,
    /// The first line of the message.
    pub message: String,
    /// The file and line, if the failure has one.
    pub place: Option<String>,
}

impl Failed {
    fn new(report: &Report, failure: &Failure) -> Failed {
        Failed {
            test: report.test,
            seed: report.seed,
            at: failure.at,
            message: clipped(first_line(&failure.message), LONGEST_LINE),
            place: failure.place.clone(),
        }
    }
}

/// The runs of one test in a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OfTest {
    /// The test.
    #[serde(with = "suites::by_name")]
    pub test: &'static LabTest,
    /// How many runs there are.
    pub runs: u64,
    /// The seeds of the first of them.
    pub first_seeds: Vec<u64>,
}

/// Runs that failed in the same way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    /// Counted from 1, in the order in which the groups were found.
    pub number: usize,
    /// What they have in common.
    pub key: Key,
    /// How many runs there are.
    pub runs: u64,
    /// Their tests.
    pub tests: Vec<OfTest>,
    /// The run that failed first on its own clock.
    pub shortest: Failed,
}

impl Group {
    fn add(&mut self, run: Failed) {
        self.runs += 1;
        let name = run.test.name;
        let place = self.tests.iter().position(|it| it.test.name == name);
        let place = place.unwrap_or_else(|| {
            self.tests.push(OfTest { test: run.test, runs: 0, first_seeds: Vec::new() });
            self.tests.len() - 1
        });
        let of_test = &mut self.tests[place];
        of_test.runs += 1;
        if of_test.first_seeds.len() < FIRST_SEEDS {
            of_test.first_seeds.push(run.seed);
        }
        if run.at < self.shortest.at {
            self.shortest = run;
        }
    }
}

/// See the [module](self).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Groups {
    groups: Vec<Group>,
    /// How many failures are in no group, and the first of them.
    others: u64,
    first_other: Option<Failed>,
}

impl Groups {
    /// Adds a failure of a run. Returns the number of its group; `None` if there are too many groups already.
    pub fn add(&mut self, report: &Report, failure: &Failure) -> Option<usize> {
        let (key, run) = (Key::of(failure), Failed::new(report, failure));
        if let Some(group) = self.groups.iter_mut().find(|group| group.key == key) {
            group.add(run);
            return Some(group.number);
        }
        if self.groups.len() == MOST_GROUPS {
            self.others += 1;
            self.first_other.get_or_insert(run);
            return None;
        }
        let number = self.groups.len() + 1;
        let mut group = Group { number, key, runs: 0, tests: Vec::new(), shortest: run.clone() };
        group.add(run);
        self.groups.push(group);
        Some(number)
    }

    /// The groups, the most frequent first: a bug that shows in more runs is easier to find. Of two that are as frequent, the one
    /// that was found earlier comes first.
    pub fn by_frequency(&self) -> Vec<&Group> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|group| Reverse(group.runs));
        groups
    }

    /// The failures that are in no group because there are too many groups: how many there are, and the first of them.
    pub fn others(&self) -> Option<(u64, &Failed)> {
        Some((self.others, self.first_other.as_ref()?))
    }
}

/// The groups of which the reader has already seen a failure in full.
#[derive(Default)]
pub struct Told(BTreeSet<usize>);

impl Told {
    /// Whether the failure must be shown in full, because it is the first of its group. Failures in no group are too many for that.
    pub fn is_news(&mut self, group: Option<usize>) -> bool {
        group.is_some_and(|number| self.0.insert(number))
    }

    /// Whether the reader has seen a failure of each group.
    pub fn knows_all(&self, groups: &Groups) -> bool {
        groups.others == 0 && groups.groups.iter().all(|group| self.0.contains(&group.number))
    }
}

#[cfg(test)]
pub(super) mod tests;
