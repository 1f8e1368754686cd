//! `raftlab experiment`: repeats measurements of papers in the simulation.

mod conditions;
mod elections;
mod figure;
mod line;
mod measure;
mod plot;
mod regions;
mod summary;
mod table;
mod trial;
mod watch;

use labtests::cli::{End, Out, whole_number};
use std::path::PathBuf;

/// The arguments of `raftlab experiment`.
#[derive(clap::Args)]
pub struct ExperimentArgs {
    /// The experiment to run. Without it, all are listed.
    name: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

/// The settings of an experiment.
#[derive(clap::Args)]
pub struct Settings {
    /// How many trials each line has.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = trials, requires = "name")]
    trials: u64,
    /// The seed from which the seeds of all trials are derived.
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = labtests::cli::seed)]
    #[arg(requires = "name")]
    seed: u64,
    /// How many trials to run at the same time [default: one per CPU].
    #[arg(long, value_name = "J", value_parser = labtests::cli::jobs, requires = "name")]
    jobs: Option<usize>,
    /// The directory for the pictures and the measurements.
    #[arg(long, value_name = "DIR", default_value = "experiments", requires = "name")]
    out: PathBuf,
    /// Ranges of election timeouts to use instead of the paper's, in ms: 150-155,12-24.
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "name")]
    #[arg(allow_hyphen_values = true)]
    lines: Vec<line::Line>,
    /// The broadcast time in ms: how long a leader takes to send to all servers and hear from all [default: the paper's 15].
    #[arg(long, value_name = "MS", value_parser = line::millis, requires = "name")]
    #[arg(conflicts_with = "latency")]
    broadcast: Option<u64>,
    /// How many ms of the broadcast time a server takes to save its vote.
    #[arg(long, value_name = "MS", default_value_t = conditions::DISK_MS)]
    #[arg(value_parser = line::millis, requires = "name")]
    disk: u64,
    /// A file with round trips between regions, or the word regions for five regions of a public cloud. Each region has one
    /// server.
    #[arg(long, value_name = "FILE", requires = "name")]
    latency: Option<PathBuf>,
}

/// The experiments, each with its subject.
const EXPERIMENTS: [(&str, &str); 1] =
    [("elections", "Figure 16 of the Raft paper: how long a cluster is without a leader")];

/// Runs an experiment, or lists the experiments.
///
/// # Errors
/// There is no such experiment, or it can't be run with these settings.
pub fn experiment(args: ExperimentArgs, out: &mut Out) -> Result<End, String> {
    let Some(name) = args.name else {
        EXPERIMENTS.iter().for_each(|(name, about)| out.line(format!("{name:<12} {about}")));
        return Ok(End::Well);
    };
    if !EXPERIMENTS.iter().any(|(known, _)| *known == name) {
        let names: Vec<_> = EXPERIMENTS.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "there is no experiment {name:?}; choose one of: {}",
            names.join(", ")
        ));
    }
    elections::run(&args.settings, out)
}

fn trials(text: &str) -> Result<u64, String> {
    whole_number(text, "", 1..=MOST_TRIALS)
}

/// All trials are kept in memory.
const MOST_TRIALS: u64 = 1_000_000;
