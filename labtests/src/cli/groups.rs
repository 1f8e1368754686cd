//! What a session prints about failures: the same failure is told once.

use super::found::Found;
use crate::report::{self, Runs, Told, in_short, wrapped};
use crate::runner::Report;

/// What the reader has been told so far.
#[derive(Default)]
pub struct Telling(Told);

impl Telling {
    /// The text for a run that failed: the whole report for the first failure of a group, and one line for each later one. Also
    /// whether it is the whole report.
    pub fn tell(
        &mut self,
        report: &Report,
        group: Option<usize>,
        runs: Runs<'_>,
        width: Option<usize>,
    ) -> Option<(String, bool)> {
        let failure = report.result.as_ref().err()?;
        let above = match group {
            Some(number) if self.0.is_news(group) => {
                let text = report::failure(report, runs.again);
                let (title, rest) = text.split_once('\n').unwrap_or((&text, ""));
                return Some((format!("\n{title}: failure {number}\n{rest}"), true));
            }
            Some(number) => format!("as failure {number} above: "),
            None => String::new(),
        };
        let (part, name, seed) = (report.test.part, report.test.name, report.seed);
        let message = in_short(&failure.message);
        let line = format!("FAILED {part} {name}, seed {seed}: {above}{message}");
        Some((wrapped(&line, width), false))
    }

    /// The groups, for the end of the session; `None` if they would only repeat what stands right above.
    pub fn conclude(&self, found: &Found, runs: Runs<'_>, width: Option<usize>) -> Option<String> {
        let failed = found.counts.failed;
        let known = failed == 0 || failed == 1 && self.0.knows_all(&found.failures);
        (!known).then(|| format!("\n{}\n", found.failures.text(runs, width)))
    }
}
