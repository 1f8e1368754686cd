//! The groups of failures as lines, for the end of a session.

use super::{Failed, Group, Groups, OfTest};
use crate::outcome::World;
use crate::report::Again;
use crate::report::pattern::on_a_line;
use crate::report::row::wrapped;
use std::cmp::Reverse;

/// Rarer groups are only counted. Their failures are further up in the output.
const MOST_GROUPS: usize = 10;
/// The tests with fewer failures are only counted.
const MOST_TESTS: usize = 6;
const MOST_SEEDS: usize = 5;

/// What the reader of the lines knows about the runs.
#[derive(Clone, Copy)]
pub struct Runs<'a> {
    /// How to see a failure again.
    pub again: &'a Again,
    /// Where the runs were made.
    pub world: World,
    /// Whether there were several seeds.
    pub is_sweep: bool,
}

impl Groups {
    /// The groups: each with its shortest run and with the command that replays it, on lines of that width (`None`: no limit).
    /// Only the commands may be longer, because a command that is broken can't be copied.
    pub fn text(&self, runs: Runs<'_>, width: Option<usize>) -> String {
        let groups = self.by_frequency();
        let failed: u64 = groups.iter().map(|group| group.runs).sum::<u64>() + self.others;
        let head = match groups[..] {
            [_] => format!("{} failed, all in the same way:", plural(failed, "run")),
            _ => format!(
                "{} failed, in {} ways, the most frequent first:",
                plural(failed, "run"),
                groups.len()
            ),
        };
        let mut lines = vec![wrapped(&head, width)];
        for group in groups.iter().take(MOST_GROUPS) {
            lines.push(String::new());
            lines.extend(group.lines(runs, width));
        }
        let rare = groups.get(MOST_GROUPS..).unwrap_or_default();
        if !rare.is_empty() {
            let failed = rare.iter().map(|group| group.runs).sum();
            let text = format!(
                "and {} more ways to fail, in {}; see above, or --json, for each of them",
                rare.len(),
                plural(failed, "run")
            );
            lines.extend([String::new(), wrapped(&text, width)]);
        }
        if let Some((others, first)) = self.others() {
            let text = format!(
                "and {} that failed in yet other ways: no more than {} ways are told apart. The first was {} {}, seed {}: {}",
                plural(others, "run"),
                self.groups.len(),
                first.test.part,
                first.test.name,
                first.seed,
                on_a_line(&first.message)
            );
            lines.extend([String::new(), wrapped(&text, width)]);
        }
        lines.join("\n")
    }
}

impl Group {
    fn lines(&self, runs: Runs<'_>, width: Option<usize>) -> Vec<String> {
        let Failed { test, seed, at, message, .. } = &self.shortest;
        let (number, count) = (self.number, plural(self.runs, "run"));
        let at = at.as_secs_f64();
        let property = self.key.property.as_ref().map_or(String::new(), |it| format!("{it}: "));
        let shortest = match self.runs {
            1 => String::new(),
            _ => "the shortest is ".into(),
        };
        let under = if runs.is_sweep { format!(", seed {seed}") } else { String::new() };
        let head = format!("failure {number}, {count}: {property}{}", on_a_line(message));
        let place = self.key.place.as_ref().map_or(String::new(), |place| format!(", at {place}"));
        let shortest =
            format!("  {shortest}{}{under}, which fails after {at:.2} s{place}", test.name);
        let mut lines = vec![wrapped(&head, width), wrapped(&shortest, width)];
        lines.push(format!("    {}", runs.again.command(runs.world, test, *seed)));
        if self.runs > 1 {
            lines.push(wrapped(&format!("  all: {}", self.all(runs.is_sweep)), width));
        }
        lines
    }

    /// The tests with their seeds.
    fn all(&self, is_sweep: bool) -> String {
        let mut tests: Vec<_> = self.tests.iter().collect();
        tests.sort_by_key(|it| Reverse(it.runs));
        let shown = tests.iter().take(MOST_TESTS).map(|it| it.named(is_sweep));
        let mut text = shown.collect::<Vec<_>>().join(", ");
        let more = tests.get(MOST_TESTS..).unwrap_or_default();
        if !more.is_empty() {
            text += &format!(" and {}", plural(more.len() as u64, "more test"));
        }
        if is_sweep && !more.is_empty() {
            let runs = more.iter().map(|it| it.runs).sum();
            text += &format!(" with {}", plural(runs, "run"));
        }
        text
    }
}

impl OfTest {
    fn named(&self, is_sweep: bool) -> String {
        if !is_sweep {
            return self.test.name.into();
        }
        let seeds: Vec<_> = self.first_seeds.iter().take(MOST_SEEDS).collect();
        let more = self.runs - seeds.len() as u64;
        let word = if self.runs == 1 { "seed" } else { "seeds" };
        let seeds: Vec<_> = seeds.iter().map(ToString::to_string).collect();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("{} ({word} {}{more})", self.test.name, seeds.join(", "))
    }
}

fn plural(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}
