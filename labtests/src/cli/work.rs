//! What to run: tests under seeds, or a shard of these runs.

use crate::suites::LabTest;
use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// One of `n` equal parts of some work; on the command line `i/n`, counted from 1.
///
/// The work is a table with a row for each seed and a column for each test. Its diagonals are dealt out in turn: the run in row
/// `r` and column `c` (counted from 0) belongs to the shard whose number is `(r + c) % n`. So every run is in exactly one
/// shard, and each shard gets its share of the seeds of every test and of the tests of every seed, the slow tests too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Counted from 0.
    number: u32,
    of: u32,
}

impl Shard {
    /// All of the work.
    pub const WHOLE: Shard = Shard { number: 0, of: 1 };

    /// Whether the run in this row and column belongs to the shard. For a list of tests, the row is 0.
    pub fn has(self, row: u64, column: usize) -> bool {
        (row % self.n() + column as u64 % self.n()) % self.n() == u64::from(self.number)
    }

    /// How many of the first `rows` runs of a column belong to it.
    fn rows(self, rows: u64, column: usize) -> u64 {
        let first = (u64::from(self.number) + self.n() - column as u64 % self.n()) % self.n();
        rows.saturating_sub(first).div_ceil(self.n())
    }

    fn n(self) -> u64 {
        u64::from(self.of)
    }
}

impl Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", u64::from(self.number) + 1, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let parsed = text.split_once('/').and_then(|(i, n)| {
            let (i, of): (u32, u32) = (i.parse().ok()?, n.parse().ok()?);
            (1..=of).contains(&i).then(|| Shard { number: i - 1, of })
        });
        parsed.ok_or_else(|| {
            let most = u32::MAX;
            format!(
                "expected I/N, such as 2/4: part I of N, with I from 1 to N and N at most {most}"
            )
        })
    }
}

/// Tests, each under all seeds, restricted to the runs in the shard.
#[derive(Clone)]
pub struct Work {
    /// The tests, with their columns in the table.
    tests: Vec<(usize, &'static LabTest)>,
    seeds: RangeInclusive<u64>,
    shard: Shard,
}

impl Work {
    /// The work for `count` seeds, counted up from `first`. `count` is at least 1.
    ///
    /// # Errors
    /// There are not that many seeds, or the shard is empty. A command that runs nothing would have tested nothing.
    pub fn new(
        tests: Vec<&'static LabTest>,
        first: u64,
        count: u64,
        shard: Shard,
    ) -> Result<Work, String> {
        let last = first.checked_add(count - 1).ok_or_else(|| {
            format!("the largest seed is {}: use a smaller --seed or fewer --seeds", u64::MAX)
        })?;
        let columns = tests.len() as u64;
        let mut tests: Vec<_> = tests.into_iter().enumerate().collect();
        tests.retain(|(column, _)| shard.rows(count, *column) > 0);
        if tests.is_empty() {
            // Diagonals are dealt out in turn, so the first shards are the ones with work.
            let full = count.saturating_add(columns).saturating_sub(1);
            return Err(format!(
                "shard {shard} is empty: for these tests and seeds, N in --shard I/N can be at most {full}"
            ));
        }
        Ok(Work { tests, seeds: first..=last, shard })
    }

    /// The tests that have at least one run.
    pub fn tests(&self) -> impl Iterator<Item = &'static LabTest> {
        self.tests.iter().map(|(_, test)| *test)
    }

    /// Whether there are several seeds.
    pub fn is_sweep(&self) -> bool {
        self.seeds.start() != self.seeds.end()
    }

    /// How many seeds there are.
    pub fn seeds(&self) -> u64 {
        (self.seeds.end() - self.seeds.start()).saturating_add(1)
    }

    /// The first of the seeds.
    pub fn first_seed(&self) -> u64 {
        *self.seeds.start()
    }

    /// Which part of the whole work this is.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// How many runs it has.
    pub fn runs(&self) -> u64 {
        let rows = (self.seeds.end() - self.seeds.start()).saturating_add(1);
        let runs = self.tests.iter().map(|(column, _)| self.shard.rows(rows, *column));
        runs.fold(0, u64::saturating_add)
    }

    /// The runs, seed by seed.
    pub fn into_runs(self) -> impl Iterator<Item = (&'static LabTest, u64)> + Send {
        let Work { tests, seeds, shard } = self;
        let first = *seeds.start();
        seeds.flat_map(move |seed| {
            let row = seed - first;
            let runs = tests.clone().into_iter().filter(move |(column, _)| shard.has(row, *column));
            runs.map(move |(_, test)| (test, seed))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suites;
    use std::collections::BTreeSet;

    fn work(tests: usize, seeds: u64, shard: Shard) -> Work {
        Work::new(suites::all().take(tests).collect(), 5, seeds, shard).unwrap()
    }

    #[test]
    fn the_shards_are_disjoint_complete_and_of_one_size() {
        for (tests, seeds, n) in [(28, 1, 4), (28, 7, 4), (3, 10, 7), (1, 9, 2), (2, 3, 50)] {
            let mut seen = BTreeSet::new();
            let mut sizes = Vec::new();
            let diagonals = tests as u64 + seeds - 1;
            for i in 1..=n.min(diagonals) {
                let work = work(tests, seeds, format!("{i}/{n}").parse().unwrap());
                let named: BTreeSet<_> = work.tests().map(|test| test.name).collect();
                let runs: Vec<_> = work.clone().into_runs().collect();
                assert_eq!(work.runs(), runs.len() as u64, "{i}/{n} of {tests} x {seeds}");
                assert_eq!(named, runs.iter().map(|(test, _)| test.name).collect());
                for (test, seed) in runs {
                    assert!(
                        seen.insert((test.name, seed)),
                        "{} {seed} is in two shards",
                        test.name
                    );
                }
                sizes.push(work.runs());
            }
            assert_eq!(seen.len() as u64, tests as u64 * seeds);
            let most_apart = seeds.min(tests as u64);
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= most_apart);
        }
    }

    #[test]
    fn an_empty_shard_is_told_how_many_there_may_be() {
        let shard = |text: &str| {
            let tests = suites::all().take(2).collect();
            Work::new(tests, 5, 3, text.parse().unwrap()).map(|work| work.runs())
        };
        assert_eq!(shard("4/50"), Ok(1));
        let error = shard("5/50").unwrap_err();
        assert!(error.starts_with("shard 5/50 is empty") && error.ends_with(" 4"), "{error}");
        assert_eq!(shard("4/4"), Ok(1), "as many as it says");
    }

    #[test]
    fn every_shard_has_a_share_of_every_test() {
        for i in 1..=4 {
            let shard: Shard = format!("{i}/4").parse().unwrap();
            assert_eq!(work(28, 4, shard).tests().count(), 28, "also where 4 divides 28");
            assert_eq!(work(28, 4, shard).runs(), 28);
        }
    }

    #[test]
    fn the_whole_is_everything_seed_by_seed() {
        let runs: Vec<_> = work(2, 2, Shard::WHOLE).into_runs().collect();
        let names: Vec<_> = runs.iter().map(|(test, seed)| (test.name, *seed)).collect();
        let (a, b) = ("initial_election", "re_election");
        assert_eq!(names, [(a, 5), (b, 5), (a, 6), (b, 6)]);
    }

    #[test]
    fn the_number_of_runs_does_not_overflow() {
        let tests = suites::all().collect();
        let work = Work::new(tests, 0, u64::MAX, Shard::WHOLE).unwrap();
        assert_eq!(work.runs(), u64::MAX);
        assert!(Work::new(Vec::new(), 2, u64::MAX, Shard::WHOLE).is_err());
    }
}
