//! A line of a figure: the range from which election timeouts are chosen at random.

use labrpc::rand::Stream;
use labrpc::time::Duration;
use labtests::cli::whole_number;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Election timeouts in a range of milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    from: u64,
    to: u64,
}

impl Line {
    /// The line for this range.
    pub const fn new(from: u64, to: u64) -> Line {
        Line { from, to }
    }

    /// The range.
    pub fn timeouts(self) -> Range<Duration> {
        Duration::from_millis(self.from)..Duration::from_millis(self.to)
    }

    /// How many trials the line has if the others have `trials`. Without any randomness, a trial takes 100 s of the
    /// simulation's time, and for this line the paper also has a tenth of the trials.
    pub fn trials(self, trials: u64) -> u64 {
        if self.from == self.to { trials.div_ceil(10) } else { trials }
    }

    /// The seeds of its trials. They do not depend on the other lines.
    pub fn seeds(self, seed: u64, trials: u64) -> Vec<u64> {
        let stream = Stream::new(seed, self.from * (LATEST + 1) + self.to);
        (0..self.trials(trials)).map(|_| stream.below("seed of a trial", u64::MAX)).collect()
    }
}

/// With a shorter timeout, the old leader of a trial might not be elected in time.
const EARLIEST: u64 = 10;
const LATEST: u64 = 60_000;

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{} ms", self.from, self.to))
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Line, String> {
        let range = text.split_once('-').and_then(|(from, to)| {
            let (from, to) = (from.parse().ok()?, to.parse().ok()?);
            (EARLIEST <= from && from <= to && to <= LATEST).then_some(Line { from, to })
        });
        range.ok_or_else(|| {
            format!(
                "expected a range of whole milliseconds from {EARLIEST} to {LATEST}, such as 150-300"
            )
        })
    }
}

/// Parses a number of milliseconds on the command line.
///
/// # Errors
/// The text is not such a number.
pub fn millis(text: &str) -> Result<u64, String> {
    whole_number(text, " of milliseconds", 0..=LATEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_range_of_milliseconds() {
        assert_eq!("150-155".parse(), Ok(Line::new(150, 155)));
        assert_eq!("150-150".parse(), Ok(Line::new(150, 150)));
        assert_eq!(Line::new(12, 24).to_string(), "12-24 ms");
        for wrong in ["", "150", "-", "150-", "300-150", "9-20", "150-60001", "a-b", "1.5-20"] {
            let error = wrong.parse::<Line>().unwrap_err();
            assert!(error.contains("such as 150-300"), "{wrong}: {error}");
        }
    }

    #[test]
    fn without_randomness_a_tenth_of_the_trials() {
        let trials = |from, to, trials| Line::new(from, to).trials(trials);
        assert_eq!(trials(150, 150, 1000), 100);
        assert_eq!(trials(150, 150, 1), 1);
        assert_eq!(trials(150, 151, 1000), 1000);
    }

    #[test]
    fn the_seeds_of_a_line_are_its_own_and_more_trials_are_further_seeds() {
        let line = Line::new(150, 155);
        let seeds = line.seeds(1, 5);
        assert_eq!(seeds, line.seeds(1, 9)[..5]);
        assert_ne!(seeds, line.seeds(2, 5));
        assert_ne!(seeds, Line::new(150, 200).seeds(1, 5));
    }
}
