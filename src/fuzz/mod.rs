//! `raftlab fuzz`: the reference's decisions without its threads, in many random worlds.

mod machine;
#[cfg(test)]
mod mutants;

use labtests::cli::{Out, Progress};
use labtests::fuzz::{self, Figures};
use labtests::runner;
use machine::Reference;
use std::ops::ControlFlow;

/// What `raftlab fuzz` takes.
#[derive(clap::Args)]
pub struct FuzzArgs {
    /// How many seeds to run.
    #[arg(long, value_name = "N", default_value_t = 1000, allow_hyphen_values = true)]
    #[arg(value_parser = seeds)]
    seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "S", default_value_t = 1, allow_hyphen_values = true)]
    #[arg(value_parser = labtests::cli::seed)]
    seed: u64,
    /// How many to run at once [default: one per CPU].
    #[arg(long, value_name = "J", allow_hyphen_values = true)]
    #[arg(value_parser = labtests::cli::jobs)]
    jobs: Option<usize>,
}

fn seeds(text: &str) -> Result<u64, String> {
    let seeds = text.parse().ok().filter(|seeds| *seeds > 0);
    seeds.ok_or_else(|| "a whole number from 1 on is wanted".into())
}

/// Runs the seeds until one fails; says what has happened in them.
///
/// # Errors
/// None: the arguments were checked before.
pub fn fuzz(args: FuzzArgs, out: &mut Out) -> Result<bool, String> {
    let FuzzArgs { seeds, seed, jobs } = args;
    let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let mut progress = Progress::new(seeds);
    let (mut figures, mut passed, mut failure) = (Figures::default(), 0, None);
    let all = seed..seed.saturating_add(seeds);
    runner::in_order(all, jobs, fuzz::fuzz::<Reference>, |result| {
        match result {
            Ok(of_one) => figures += of_one,
            Err(failed) => {
                failure = Some(failed);
                return ControlFlow::Break(());
            }
        }
        passed += 1;
        progress.advance(format!("{} commits", figures.commits));
        if progress.line_due() {
            progress.say(out, format!("{passed} of {seeds} seeds"));
        }
        ControlFlow::Continue(())
    });
    progress.finish();
    out.line(format!("{passed} seeds passed: {figures}"));
    let Some(failure) = failure else { return Ok(true) };
    out.line(format!("FAILED {failure}\nagain: raftlab fuzz --seeds 1 --seed {}", failure.seed));
    Ok(false)
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
