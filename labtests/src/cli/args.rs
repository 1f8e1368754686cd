//! The command's arguments.

use super::work::Shard;
use crate::linearizability::{MEMORY, Service, Value};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Parser, Subcommand, ValueEnum};
use labrpc::run::Backend;
use labrpc::time::Duration;
use std::ops::RangeInclusive;
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
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub limit: Option<Duration>,
    /// How much a search may remember, in MiB. One that would need more ends undecided.
    #[arg(long, value_name = "MIB", default_value_t = (MEMORY >> 20) as u32, value_parser = mebibytes)]
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
    pub seed: u64,
    /// How many seeds, counted up from --seed.
    #[arg(long, global = true, value_name = "N", default_value_t = 1, value_parser = count)]
    pub seeds: u64,
    /// How many tests to run at once [default: one per CPU; 8 with --real].
    #[arg(long, global = true, value_name = "J", value_parser = jobs)]
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
    whole_number(text, "", 0..=u64::MAX)
}

/// How many there are to be of something that there must be one of.
///
/// # Errors
/// It is no such number.
pub fn count(text: &str) -> Result<u64, String> {
    whole_number(text, "", 1..=u64::MAX)
}

/// A number of jobs.
///
/// # Errors
/// It is none, or too great.
pub fn jobs(text: &str) -> Result<usize, String> {
    let jobs = whole_number(text, "", 1..=MOST_JOBS)?;
    usize::try_from(jobs).map_err(|error| error.to_string())
}

/// A whole number within that range, of something (`" of milliseconds"`) or of nothing.
///
/// # Errors
/// It is none.
pub fn whole_number(text: &str, of: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    let (least, most) = (range.start(), range.end());
    number.ok_or_else(|| format!("a whole number{of} from {least} to {most} is wanted"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "a number of seconds is wanted, such as 60 or 0.5".into())
}

fn mebibytes(text: &str) -> Result<u32, String> {
    whole_number(text, " of MiB", 1..=u64::from(u32::MAX >> 1)).map(|number| number as u32)
}

fn initial(text: &str) -> Result<Value, String> {
    serde_json::from_str(text)
        .map_err(|_| "a value as JSON is wanted: null, 7, or a text in quotes, '\"x\"'".into())
}

/// Every job has tens of threads.
const MOST_JOBS: u64 = 256;

/// A number that is negative is an argument like any other: whoever takes none says what is wanted instead, and always in the same words.
pub fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let with = |arg: clap::Arg| {
        let takes_value = arg.is_positional() || arg.get_action().takes_values();
        arg.allow_negative_numbers(takes_value)
    };
    command.mut_args(with).mut_subcommands(with_negative_numbers)
}

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

/// The flags that stand on the command line: what is passed over in silence would be missed.
pub struct Given(Vec<clap::Arg>);

impl Given {
    /// Of those of a selection of tests.
    pub fn by(matches: &ArgMatches) -> Given {
        let flags = Flags::augment_args(clap::Command::new("flags"));
        let is_given = |flag: &&clap::Arg| {
            matches.value_source(flag.get_id().as_str()) == Some(ValueSource::CommandLine)
        };
        Given(flags.get_arguments().filter(is_given).cloned().collect())
    }

    /// The first flag that `command` doesn't have itself, for commands that run no selection of tests: to them none of these means
    /// anything.
    pub fn beside(&self, command: &clap::Command) -> Option<String> {
        self.find(|flag| !takes(command, flag.get_id().as_str()))
    }

    /// The first flag that is none of these.
    pub fn but(&self, allowed: &[&str]) -> Option<String> {
        self.find(|flag| flag.get_long().is_none_or(|name| !allowed.contains(&name)))
    }

    fn find(&self, which: impl Fn(&clap::Arg) -> bool) -> Option<String> {
        let flag = self.0.iter().find(|flag| which(flag))?;
        flag.get_long().map(|name| format!("--{name}"))
    }
}
