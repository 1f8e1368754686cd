//! The command's arguments.

use super::work::Shard;
use crate::linearizability::{MEMORY, Service, Value};
use clap::{Args, Parser, Subcommand, ValueEnum};
use labrpc::run::Backend;
use labrpc::time::Duration;
use std::path::PathBuf;

/// The MIT 6.824 Raft lab: runs its tests, simulated or on real threads.
#[derive(Parser)]
#[command(name = "raftlab", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What to run: parts (2B), names, or parts of names. Nothing: everything.
    #[arg(value_name = "SELECT")]
    pub select: Vec<String>,
    #[command(flatten)]
    pub flags: Flags,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run tests (the default).
    Test {
        /// What to run: parts (2B), names, or parts of names. Nothing: everything.
        #[arg(value_name = "SELECT")]
        select: Vec<String>,
    },
    /// Run one test again in the simulation, and print every event as it happens.
    Replay {
        /// The seed that a failure named.
        #[arg(id = "the seed to replay", value_name = "SEED", value_parser = seed)]
        #[arg(allow_negative_numbers = true)]
        seed: u64,
        /// The test.
        test: String,
    },
    /// Check whether a history of a service is linearizable.
    ///
    /// The exit status is 0 if it is, 1 if it isn't, 2 if a file is not as it should be, and 3 if that wasn't certain
    /// within the limit.
    Check(CheckArgs),
}

/// What is to be checked, and how.
#[derive(Args)]
pub struct CheckArgs {
    /// The history, an operation a line as JSON, or an event a line as Jepsen has it, packed with gzip or not; - for standard
    /// input. Several files are one history.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How long to take for all of it, in seconds [default: until it is certain].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub limit: Option<Duration>,
    /// How much a search may remember, in MiB. One that would need more ends undecided.
    #[arg(long, value_name = "MIB", default_value_t = (MEMORY >> 20) as u32, value_parser = mebibytes)]
    #[arg(allow_negative_numbers = true)]
    pub memory: u32,
    /// What the history is of [default: the operations tell].
    #[arg(long, value_name = "SERVICE")]
    pub model: Option<Service>,
    /// What a register or a counter has at first, as JSON [default: null, or 0].
    #[arg(long, value_name = "VALUE", value_parser = initial, allow_hyphen_values = true)]
    pub initial: Option<Value>,
}

#[derive(Args)]
pub struct Flags {
    /// Run on OS threads and the wall clock, not in the simulation.
    #[arg(long, global = true)]
    pub real: bool,
    /// The seed, or the first of several.
    #[arg(long, global = true, value_name = "S", default_value_t = 1, value_parser = seed)]
    #[arg(allow_hyphen_values = true)]
    pub seed: u64,
    /// How many seeds, counted up from --seed.
    #[arg(long, global = true, value_name = "N", default_value_t = 1, value_parser = count)]
    #[arg(allow_hyphen_values = true)]
    pub seeds: u64,
    /// How many tests to run at once [default: one per CPU; 8 with --real].
    #[arg(long, global = true, value_name = "J", value_parser = jobs, allow_hyphen_values = true)]
    pub jobs: Option<usize>,
    /// What simulations run on. Coroutines are much faster; failures, and some runs that pass, are run again on threads,
    /// and if these differ, the rest is run on threads [default: coroutines].
    #[arg(long, global = true, value_name = "WHAT", conflicts_with = "real")]
    pub backend: Option<On>,
    /// Run nothing more after the first failure.
    #[arg(long, global = true)]
    pub fail_fast: bool,
    /// Fail for what is otherwise only a warning: threads that are left after kill(), a test that never came to its check.
    #[arg(long, global = true)]
    pub strict: bool,
    /// Run the I-th of N equal parts of the work, as one machine of N.
    #[arg(long, global = true, value_name = "I/N", default_value_t = Shard::WHOLE)]
    #[arg(allow_hyphen_values = true)]
    pub shard: Shard,
    /// Write the results to this file too.
    #[arg(long, global = true, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write down in this file how far a sweep is. If there is one already, go on from there.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "json")]
    pub resume: Option<PathBuf>,
    /// List the tests, one a line, and run none.
    #[arg(long, global = true)]
    pub list: bool,
}

/// What a simulation runs on.
#[derive(Clone, Copy, ValueEnum)]
pub enum On {
    /// Coroutines on one OS thread.
    Coroutines,
    /// OS threads, of which one runs at a time.
    Threads,
}

impl From<On> for Backend {
    fn from(on: On) -> Backend {
        match on {
            On::Coroutines => Backend::Coroutines,
            On::Threads => Backend::Threads,
        }
    }
}

/// A seed.
///
/// # Errors
/// It is none.
pub fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a seed is a whole number from 0 to {}", u64::MAX))
}

fn count(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| format!("a whole number from 1 to {} is wanted", u64::MAX))
}

/// A number of jobs.
///
/// # Errors
/// It is none, or too great.
pub fn jobs(text: &str) -> Result<usize, String> {
    let jobs = text.parse().ok().filter(|jobs| (1..=MOST_JOBS).contains(jobs));
    jobs.ok_or_else(|| format!("a whole number from 1 to {MOST_JOBS} is wanted"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "a number of seconds is wanted, such as 60 or 0.5".into())
}

fn mebibytes(text: &str) -> Result<u32, String> {
    let most = u32::MAX >> 1;
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("a whole number of MiB is wanted, from 1 to {most}"))
}

fn initial(text: &str) -> Result<Value, String> {
    serde_json::from_str(text)
        .map_err(|_| "a value as JSON is wanted: null, 7, or a text in quotes, '\"x\"'".into())
}

/// Every job has tens of threads.
const MOST_JOBS: usize = 256;

/// A command that runs no selection of tests takes none of the flags and so shows none, but knows them, to say so in our
/// words. A flag that it has itself is its own.
pub fn without_flags(command: clap::Command) -> clap::Command {
    let flags = Flags::augment_args(clap::Command::new("flags"));
    let others = flags.get_arguments().filter(|flag| !takes(&command, flag.get_id().as_str()));
    let hidden: Vec<_> = others.map(|flag| flag.clone().hide(true)).collect();
    command.args(hidden)
}

/// Whether the command has this argument itself.
fn takes(command: &clap::Command, id: &str) -> bool {
    command.get_arguments().any(|own| own.get_id() == id && !own.is_hide_set())
}

impl Flags {
    /// The first flag given that `command` doesn't have itself, for commands that run no selection of tests: to them none of
    /// these means anything.
    pub fn given_beside(&self, command: &clap::Command) -> Option<&'static str> {
        self.all_given().find(|flag| !takes(command, flag.trim_start_matches("--")))
    }

    /// The first flag given that means nothing where no test is run.
    pub fn given_to_list(&self) -> Option<&'static str> {
        let running =
            ["--real", "--jobs", "--backend", "--fail-fast", "--strict", "--json", "--resume"];
        self.all_given().find(|flag| running.contains(flag))
    }

    /// The first flag given that means nothing to `replay`.
    pub fn given_to_replay(&self) -> Option<&'static str> {
        self.all_given().find(|flag| *flag != "--strict")
    }

    /// The first flag given that means nothing to `check`.
    pub fn given_to_check(&self) -> Option<&'static str> {
        self.all_given().find(|flag| *flag != "--json")
    }

    fn all_given(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            (self.real, "--real"),
            (self.seeds != 1, "--seeds"),
            (self.seed != 1, "--seed"),
            (self.jobs.is_some(), "--jobs"),
            (self.backend.is_some(), "--backend"),
            (self.fail_fast, "--fail-fast"),
            (self.strict, "--strict"),
            (self.shard != Shard::WHOLE, "--shard"),
            (self.json.is_some(), "--json"),
            (self.resume.is_some(), "--resume"),
            (self.list, "--list"),
        ];
        given.into_iter().filter(|(given, _)| *given).map(|(_, flag)| flag)
    }
}
