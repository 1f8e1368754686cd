//! `raftlab fuzz`: the decisions of the reference without its threads, in many random worlds.

mod machine;
#[cfg(test)]
mod mutants;

use labtests::cli::{End, Out, Progress};
use labtests::fuzz::{self, Failure, Figures};
use labtests::interrupt::Interrupted;
use labtests::runner;
use machine::Reference;
use std::ops::ControlFlow;

/// The arguments of `raftlab fuzz`.
#[derive(clap::Args)]
pub struct FuzzArgs {
    /// How many seeds to run.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = labtests::cli::count)]
    seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = labtests::cli::seed)]
    seed: u64,
    /// How many seeds to run at the same time [default: one per CPU].
    #[arg(long, value_name = "J", value_parser = labtests::cli::jobs)]
    jobs: Option<usize>,
}

/// The results of the seeds so far.
#[derive(Default)]
struct Found {
    figures: Figures,
    passed: u64,
    failure: Option<Failure>,
}

impl Found {
    fn take(&mut self, result: Result<Figures, Failure>) -> ControlFlow<()> {
        match result {
            Ok(figures) => {
                self.figures += figures;
                self.passed += 1;
                ControlFlow::Continue(())
            }
            Err(failure) => {
                self.failure.get_or_insert(failure);
                ControlFlow::Break(())
            }
        }
    }
}

/// Runs the seeds until one fails, and prints what happened in them.
///
/// # Errors
/// None: the arguments were checked before.
pub fn fuzz(args: FuzzArgs, out: &mut Out) -> Result<End, String> {
    let FuzzArgs { seeds, seed, jobs } = args;
    let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let mut progress = Progress::new(seeds);
    let mut found = Found::default();
    let all = seed..seed.saturating_add(seeds);
    let interrupted = runner::in_order(all, jobs, fuzz::fuzz::<Reference>, |result| {
        let flow = found.take(result);
        progress.advance(format!("{} commits", found.figures.commits));
        if progress.line_due() {
            progress.say(out, format!("{} of {seeds} seeds", found.passed));
        }
        if out.is_broken() { ControlFlow::Break(()) } else { flow }
    });
    progress.finish();
    let interrupted = interrupted.map(|Interrupted { by, early }| {
        out.insist();
        early.into_iter().for_each(|result| _ = found.take(result));
        by
    });
    let Found { figures, passed, failure } = found;
    out.line(format!("{passed} seeds passed: {figures}"));
    if let Some(failure) = &failure {
        let again = format!("{} fuzz --seeds 1 --seed {}", labtests::cli::program(), failure.seed);
        out.line(format!("FAILED {failure}\nagain: {again}"));
    }
    Ok(match interrupted.filter(|_| passed < seeds) {
        Some(by) => {
            out.line(format!("interrupted by {by} after {passed} of {seeds} seeds"));
            End::Interrupted(by)
        }
        None if failure.is_none() && passed < seeds => End::Unread,
        None => failure.is_none().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_passes() {
        for seed in 1..=20 {
            if let Err(failure) = fuzz::fuzz::<Reference>(seed) {
                panic!("{failure}\nagain: cargo run --release -- fuzz --seeds 1 --seed {seed}");
            }
        }
    }

    #[test]
    fn a_run_is_a_function_of_its_seed() {
        let run = || fuzz::fuzz::<Reference>(7).expect("this seed passes");
        assert_eq!(run(), run());
    }
}
