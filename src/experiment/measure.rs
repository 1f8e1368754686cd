//! Runs the trials of all lines.

use super::Settings;
use super::elections::Plan;
use super::line::Line;
use super::summary::Measured;
use super::trial::{self, Outcome};
use labrpc::run::Failure;
use labtests::cli::{End, Out, Progress};
use labtests::interrupt::{Interrupt, Interrupted};
use labtests::runner;
use std::fmt;
use std::ops::ControlFlow;

/// The results of all trials, or of those that were run.
pub struct Measurement {
    /// The results by line. Lines without a trial are left out.
    pub measured: Vec<Measured>,
    /// Why some trials are missing.
    pub stopped: Option<Stopped>,
}

/// Why not all trials were run.
pub enum Stopped {
    /// One of them failed.
    Failed(Box<Failure>),
    /// The user interrupted the command.
    Interrupted {
        /// The signal.
        by: Interrupt,
        /// How many trials were run.
        made: usize,
        /// How many there should have been.
        of: usize,
    },
}

impl Stopped {
    /// How the command ends.
    pub fn end(&self) -> End {
        match self {
            Stopped::Failed(_) => End::Failed,
            Stopped::Interrupted { by, .. } => End::Interrupted(*by),
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stopped::Failed(failure) => write!(f, "FAILED a trial: {failure}"),
            Stopped::Interrupted { by, made, of } => {
                write!(f, "interrupted by {by} after {made} of {of} trials")
            }
        }
    }
}

/// The index of the trial's line, its seed, and its outcome.
type Trial = (usize, u64, Result<Outcome, Box<Failure>>);

/// The trials that were run so far.
struct Trials {
    of_lines: Vec<Vec<(u64, Outcome)>>,
    made: usize,
    failed: Option<Box<Failure>>,
}

impl Trials {
    fn take(&mut self, (line, seed, outcome): Trial) -> ControlFlow<()> {
        self.made += 1;
        match outcome {
            Ok(outcome) => self.of_lines[line].push((seed, outcome)),
            Err(failure) => {
                self.failed.get_or_insert(failure);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn sum_up(self, plan: &Plan, interrupted: Option<Interrupt>, all: usize) -> Measurement {
        let Trials { of_lines, made, failed } = self;
        let lines = plan.lines.iter().zip(of_lines).filter(|(_, trials)| !trials.is_empty());
        let measured = lines.map(|(line, trials)| Measured::new(*line, trials)).collect();
        let interrupted = interrupted.filter(|_| made < all);
        let stopped = failed.map(Stopped::Failed);
        let stopped = stopped.or(interrupted.map(|by| Stopped::Interrupted { by, made, of: all }));
        Measurement { measured, stopped }
    }
}

/// Runs all trials, and shows the progress.
pub fn measure(plan: &Plan, settings: &Settings, out: &mut Out) -> Measurement {
    let seeds_of = |line: &Line| line.seeds(settings.seed, settings.trials);
    let lines = plan.lines.iter().enumerate();
    let work = lines.flat_map(|(i, line)| seeds_of(line).into_iter().map(move |seed| (i, seed)));
    let work: Vec<_> = work.collect();
    let all = work.len();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = settings.jobs.unwrap_or(cpus);
    let (conditions, lines) = (plan.conditions.clone(), plan.lines.clone());
    let run = move |(i, seed): (usize, u64)| -> Trial {
        (i, seed, trial::run(seed, lines[i].timeouts(), &conditions))
    };
    let mut progress = Progress::new(all as u64);
    let of_lines = vec![Vec::new(); plan.lines.len()];
    let mut trials = Trials { of_lines, made: 0, failed: None };
    let interrupted = runner::in_order(work.into_iter(), jobs, run, |trial| {
        progress.advance(plan.lines[trial.0].to_string());
        let flow = trials.take(trial);
        if progress.line_due() {
            progress.say(out, format!("{} of {all} trials", trials.made));
        }
        flow
    });
    progress.finish();
    let interrupted = interrupted.map(|Interrupted { by, early }| {
        out.insist();
        early.into_iter().for_each(|trial| _ = trials.take(trial));
        by
    });
    trials.sum_up(plan, interrupted, all)
}
