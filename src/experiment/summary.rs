//! Sums up the trials of a line.

use super::line::Line;
use super::trial::Outcome;
use labrpc::time::Duration;

/// The trials of a line, in order.
pub struct Measured {
    /// Which line.
    pub line: Line,
    /// The seed of each trial, with its outcome.
    pub trials: Vec<(u64, Outcome)>,
    /// How long each trial was without a leader, shortest first. Trials that never got another leader are last.
    downtimes: Vec<Downtime>,
}

/// How long a trial was without a leader. "Never" is longer than any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Downtime {
    /// This long.
    For(Duration),
    /// For as long as the trial lasted.
    Always,
}

impl Downtime {
    /// In milliseconds; `None` for "always".
    pub fn ms(self) -> Option<f64> {
        match self {
            Downtime::For(time) => Some(time.as_secs_f64() * 1e3),
            Downtime::Always => None,
        }
    }
}

impl Measured {
    /// Sums up these trials. There must be at least one.
    pub fn new(line: Line, trials: Vec<(u64, Outcome)>) -> Measured {
        let downtime = |outcome: &Outcome| outcome.replaced.map_or(Downtime::Always, Downtime::For);
        let mut downtimes: Vec<_> = trials.iter().map(|(_, outcome)| downtime(outcome)).collect();
        downtimes.sort_unstable();
        Measured { line, trials, downtimes }
    }

    /// All downtimes, shortest first.
    pub fn downtimes(&self) -> &[Downtime] {
        &self.downtimes
    }

    /// The shortest time such that this percentage of the trials was without a leader no longer than that.
    pub fn percentile(&self, percent: usize) -> Downtime {
        let rank = (self.downtimes.len() * percent).div_ceil(100);
        self.downtimes[rank.max(1) - 1]
    }

    /// The arithmetic mean. There is none if a trial never got another leader.
    pub fn mean(&self) -> Downtime {
        let times = self.trials.iter().map(|(_, outcome)| outcome.replaced);
        let sum: Option<Duration> = times.sum();
        sum.map_or(Downtime::Always, |sum| Downtime::For(sum / self.trials.len() as u32))
    }

    /// The average number of elections. All but the last either had no winner, or had a winner that did not lead long enough
    /// for all servers to hear from it.
    pub fn elections(&self) -> f64 {
        let sum: u64 = self.trials.iter().map(|(_, outcome)| outcome.elections).sum();
        sum as f64 / self.trials.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(downtimes: &[Option<u64>]) -> Measured {
        let outcome = |ms: &Option<u64>| Outcome {
            elected: ms.map(Duration::from_millis),
            replaced: ms.map(Duration::from_millis),
            elections: 3,
        };
        let trials = downtimes.iter().map(|ms| (0, outcome(ms))).collect();
        Measured::new(Line::new(150, 300), trials)
    }

    fn ms(ms: u64) -> Downtime {
        Downtime::For(Duration::from_millis(ms))
    }

    #[test]
    fn percentiles_are_trials() {
        let hundred: Vec<_> = (1..=100).rev().map(Some).collect();
        let measured = measured(&hundred);
        let expected = [(0, 1), (1, 1), (50, 50), (99, 99), (100, 100)];
        for (percent, expected) in expected {
            assert_eq!(measured.percentile(percent), ms(expected), "{percent} %");
        }
        assert_eq!(measured.mean(), Downtime::For(Duration::from_micros(50_500)));
    }

    #[test]
    fn of_one_trial_every_percentile_is_that_trial() {
        let one = measured(&[Some(7)]);
        assert!([0, 1, 50, 100].iter().all(|percent| one.percentile(*percent) == ms(7)));
        assert_eq!((one.mean(), one.elections()), (ms(7), 3.0));
    }

    #[test]
    fn never_is_longer_than_any_time() {
        let some = measured(&[None, Some(90_000), Some(5)]);
        assert_eq!((some.percentile(0), some.percentile(50)), (ms(5), ms(90_000)));
        assert_eq!(some.percentile(100), Downtime::Always);
        assert_eq!(some.mean(), Downtime::Always, "one value is unknown");
    }
}
