//! The table of results: a row for each test, as the Go lab prints it, or with many seeds, a row for each test over all seeds.

use super::row::Row;
use crate::outcome::{Report, World};
use crate::suites::{self, LabTest};
use labrpc::time::Duration;
use serde::{Deserialize, Serialize};

/// The widths of the columns with the name of a test.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    part: usize,
    test: usize,
}

/// The minimum widths.
const USUAL: Names = Names { part: 4, test: 28 };

impl Names {
    /// As wide as the longest names of these tests need.
    pub fn of(tests: impl Iterator<Item = &'static LabTest>) -> Names {
        tests.fold(USUAL, |Names { part, test }, next| Names {
            part: part.max(next.part.len()),
            test: test.max(next.name.len()),
        })
    }

    fn show(self, part: &str, test: &str) -> String {
        format!("{part:<0$} {test:<1$}", self.part, self.test)
    }
}

/// The header of the columns of [`row`].
pub fn row_header(names: Names) -> Row {
    let heads = ["wall s", "lab s", "servers", "rpcs", "bytes", "commands"].map(String::from);
    Row::new(names.show("part", "test"), row_cells("", heads, "fingerprint"))
}

/// The row of a test. In a simulation, the fingerprint is the same on every machine.
pub fn row(report: &Report, names: Names) -> Row {
    let verdict = if report.result.is_ok() { "passed" } else { "FAILED" };
    let [rpcs, bytes, commands] = match &report.result {
        Ok(s) => [s.rpcs, s.bytes, s.commands].map(|number| number.to_string()),
        Err(_) => [(); 3].map(|()| "-".into()),
    };
    let fingerprint = match report.world {
        World::Simulated => format!("{:016x}", report.fingerprint),
        World::Real => "-".into(),
    };
    let numbers = [
        format!("{:.3}", report.wall.as_secs_f64()),
        format!("{:.2}", report.lab_time.as_secs_f64()),
        report.test.setup.servers.to_string(),
        rpcs,
        bytes,
        commands,
    ];
    let title = names.show(report.test.part, report.test.name);
    Row::new(title, row_cells(verdict, numbers, &fingerprint))
}

fn row_cells(
    verdict: &str,
    numbers: [String; 6],
    fingerprint: &str,
) -> impl Iterator<Item = String> {
    let numbers = padded(numbers, [8, 8, 7, 7, 10, 8]);
    let fingerprint = format!(" {fingerprint:<16}");
    [format!("{verdict:<6}")].into_iter().chain(numbers).chain([fingerprint])
}

fn padded<const N: usize>(values: [String; N], widths: [usize; N]) -> impl Iterator<Item = String> {
    values.into_iter().zip(widths).map(|(value, width)| format!("{value:>width$}"))
}

/// How many runs passed, failed, or were not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Runs that passed.
    pub passed: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Runs that were not done yet, or never were because an earlier failure ended the work.
    pub not_run: u64,
}

impl Counts {
    /// Counts a run that has just been done.
    pub fn add(&mut self, failed: bool) {
        self.not_run = self.not_run.saturating_sub(1);
        *(if failed { &mut self.failed } else { &mut self.passed }) += 1;
    }
}

/// The last lines of the output.
pub fn summary(counts: Counts, wall: Duration, lab_time: Duration) -> String {
    let Counts { passed, failed, not_run } = counts;
    let not_run = if not_run > 0 { format!(", {not_run} not run") } else { String::new() };
    format!(
        "{passed} passed, {failed} failed{not_run}\nin {:.2} s, for {:.0} s of lab time",
        wall.as_secs_f64(),
        lab_time.as_secs_f64()
    )
}

/// The runs of one test over many seeds.
#[derive(Clone, Serialize, Deserialize)]
pub struct Sweep {
    #[serde(with = "suites::by_name")]
    test: &'static LabTest,
    runs: u32,
    failed: u32,
    wall: Duration,
    lab: (Duration, Duration, Duration),
}

impl Sweep {
    /// No runs yet.
    pub fn new(test: &'static LabTest) -> Sweep {
        let lab = (Duration::MAX, Duration::ZERO, Duration::ZERO);
        Sweep { test, runs: 0, failed: 0, wall: Duration::ZERO, lab }
    }

    /// The test whose runs these are.
    pub fn test(&self) -> &'static LabTest {
        self.test
    }

    /// Whether there were no runs.
    pub fn is_empty(&self) -> bool {
        self.runs == 0
    }

    /// Adds a run.
    pub fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.failed += u32::from(report.result.is_err());
        self.wall += report.wall;
        let (min, sum, max) = self.lab;
        self.lab = (min.min(report.lab_time), sum + report.lab_time, max.max(report.lab_time));
    }

    /// The header of the columns of [`Sweep::row`].
    pub fn header(names: Names) -> Row {
        let heads = ["runs", "failed", "wall s", "min lab s", "mean", "max"].map(String::from);
        Row::new(names.show("part", "test"), Sweep::cells(heads))
    }

    /// The row of the test.
    pub fn row(&self, names: Names) -> Row {
        let (min, sum, max) = self.lab;
        let mean = sum.checked_div(self.runs).unwrap_or_default();
        let seconds = |time: Duration| format!("{:.2}", time.as_secs_f64());
        let values = [
            self.runs.to_string(),
            self.failed.to_string(),
            format!("{:.3}", self.wall.as_secs_f64()),
            seconds(min.min(max)),
            seconds(mean),
            seconds(max),
        ];
        Row::new(names.show(self.test.part, self.test.name), Sweep::cells(values))
    }

    fn cells(values: [String; 6]) -> impl Iterator<Item = String> {
        padded(values, [7, 7, 10, 9, 9, 9])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_stand_under_their_heads() {
        let names = Names::of(suites::all());
        let head = Sweep::header(names).fit(None);
        let end = |line: &str, word: &str| line.find(word).map(|at| at + word.len());
        for test in suites::all() {
            let row = Sweep::new(test).row(names).fit(None);
            assert_eq!(row.len(), head.len(), "{}", test.name);
            assert_eq!(row.find(test.name), Some(names.part + 1), "{}", test.name);
            assert_eq!(row.chars().nth(end(&head, "runs").unwrap() - 1), Some('0'));
        }
    }
}
