//! `raftlab experiment`: measurements of papers, made again in the simulation.

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

/// What `raftlab experiment` takes.
#[derive(clap::Args)]
pub struct ExperimentArgs {
    /// The experiment to make. Without it, all are listed.
    name: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

/// How it is made.
#[derive(clap::Args)]
pub struct Settings {
    /// How many trials a line has.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = trials, requires = "name")]
    trials: u64,
    /// The seed that the seeds of all trials follow from.
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = labtests::cli::seed)]
    #[arg(requires = "name")]
    seed: u64,
    /// How many trials to run at once [default: one per CPU].
    #[arg(long, value_name = "J", value_parser = labtests::cli::jobs, requires = "name")]
    jobs: Option<usize>,
    /// Where the pictures and the measurements go.
    #[arg(long, value_name = "DIR", default_value = "experiments", requires = "name")]
    out: PathBuf,
    /// Election timeouts to try instead of the paper's, in ms: 150-155,12-24.
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "name")]
    #[arg(allow_hyphen_values = true)]
    lines: Vec<line::Line>,
    /// How long a leader takes to send to all and to hear from all, in ms [default: the paper's 15].
    #[arg(long, value_name = "MS", value_parser = line::millis, requires = "name")]
    #[arg(conflicts_with = "latency")]
    broadcast: Option<u64>,
    /// How much of that a server takes to save its vote, in ms.
    #[arg(long, value_name = "MS", default_value_t = conditions::DISK_MS)]
    #[arg(value_parser = line::millis, requires = "name")]
    disk: u64,
    /// Round trips between regions, a server in each: a file, or the word regions for five of a public cloud.
    #[arg(long, value_name = "FILE", requires = "name")]
    latency: Option<PathBuf>,
}

/// The experiments, with what they are about.
const EXPERIMENTS: [(&str, &str); 1] =
    [("elections", "Figure 16 of the Raft paper: how long a cluster is without a leader")];

/// Makes an experiment, or lists them.
///
/// # Errors
/// There is no such experiment, or it can't be made like that.
pub fn experiment(args: ExperimentArgs, out: &mut Out) -> Result<End, String> {
    let Some(name) = args.name else {
        EXPERIMENTS.iter().for_each(|(name, about)| out.line(format!("{name:<12} {about}")));
        return Ok(End::Well);
    };
    if !EXPERIMENTS.iter().any(|(known, _)| *known == name) {
        let names: Vec<_> = EXPERIMENTS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no experiment {name:?}; there is: {}", names.join(", ")));
    }
    elections::run(&args.settings, out)
}

fn trials(text: &str) -> Result<u64, String> {
    whole_number(text, "", 1..=MOST_TRIALS)
}

/// All are kept in memory.
const MOST_TRIALS: u64 = 1_000_000;
