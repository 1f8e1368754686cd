//! The command's arguments.

use super::replay::ReplayArgs;
use super::work::Shard;
use crate::linearizability::{MEMORY, Service, Value};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Parser, Subcommand, ValueEnum};
use labrpc::run::Backend;
use labrpc::time::Duration;
use regex_lite::Regex;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Runs the tests of the MIT 6.824 Raft lab, in a simulation or on real threads.
#[derive(Parser)]
#[command(name = "raftlab", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The tests to run: parts (2B), names, or substrings of names [default: all].
    #[arg(value_name = "SELECT")]
    pub select: Vec<String>,
    #[command(flatten)]
    pub flags: Flags,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run tests (the default).
    Test {
        /// The tests to run: parts (2B), names, or substrings of names [default: all].
        #[arg(value_name = "SELECT")]
        select: Vec<String>,
        /// Write the results to this file as well.
        #[arg(id = "results of test", long = "json", value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Run one test again in the simulation, and tell what happens, event by event.
    Replay(Box<ReplayArgs>),
    /// Check whether a history of a service is linearizable.
    ///
    /// The exit status is 0 if it is linearizable, 1 if it is not, 2 if a file is malformed, and 3 if there was no verdict
    /// within the limit.
    Check(CheckArgs),
}

/// What to check, and how.
#[derive(Args)]
pub struct CheckArgs {
    /// The files of one history; - for standard input. Each line is one operation as JSON, or one event in Jepsen's format.
    /// Files may be compressed with gzip.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Give up after this many seconds in total [default: no limit].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub limit: Option<Duration>,
    /// How many MiB a search may use. If a search needs more, it ends undecided.
    #[arg(long, value_name = "MIB", default_value_t = (MEMORY >> 20) as u32, value_parser = mebibytes)]
    pub memory: u32,
    /// The service that the history comes from [default: recognized by its operations].
    #[arg(long, value_name = "SERVICE")]
    pub model: Option<Service>,
    /// The initial value of a register or a counter, as JSON [default: null, or 0].
    #[arg(long, value_name = "VALUE", value_parser = initial, allow_hyphen_values = true)]
    pub initial: Option<Value>,
    /// Write the verdict to this file as well.
    #[arg(id = "verdict", long = "json", value_name = "FILE")]
    pub json: Option<PathBuf>,
}

#[derive(Args)]
pub struct Flags {
    /// Run on OS threads and the wall clock instead of the simulation.
    #[arg(long, global = true)]
    pub real: bool,
    /// The seed, or the first of several seeds.
    #[arg(long, global = true, value_name = "S", default_value_t = 1, value_parser = seed)]
    pub seed: u64,
    /// How many seeds to run, counted up from --seed.
    #[arg(long, global = true, value_name = "N", default_value_t = 1, value_parser = count)]
    pub seeds: u64,
    /// How many tests run at the same time [default: one per CPU; 8 with --real].
    #[arg(long, global = true, value_name = "J", value_parser = jobs)]
    pub jobs: Option<usize>,
    /// What simulations run on. Coroutines are much faster. Failures and some of the passing runs are repeated on threads; if
    /// the results differ, the remaining runs use threads [default: coroutines].
    #[arg(long, global = true, value_name = "WHAT", conflicts_with = "real")]
    pub backend: Option<On>,
    /// Stop after the first failure.
    #[arg(long, global = true)]
    pub fail_fast: bool,
    /// Also fail for what otherwise gives only a warning: threads that are still running after kill(), behaviour that breaks no
    /// rule but could be better, and a test that never reached the situation that it checks.
    #[arg(long, global = true)]
    pub strict: bool,
    /// Run the I-th of N equal parts of the work, for example on one of N machines.
    #[arg(long, global = true, value_name = "I/N", default_value_t = Shard::WHOLE)]
    #[arg(allow_hyphen_values = true)]
    pub shard: Shard,
    /// Write the results to this file as well: a JSON array with an object for each run, and one with the groups of failures.
    // This is not global: `replay` and `check` have a `--json` of their own.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the results to this file as JUnit XML, for CI servers. Each run is a testcase.
    #[arg(long, global = true, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write a page (HTML) of each failing run into this folder. With `check`: a page of the history.
    #[arg(long, global = true, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// With --report: write a page of each run, also of those that pass.
    #[arg(long, global = true, requires = "report")]
    pub report_all: bool,
    /// Save the progress of a sweep in this file. If the file exists, continue from there.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "junit")]
    pub resume: Option<PathBuf>,
    /// For each failure that is printed in full, try at most this many shorter runs, and write the shortest one that fails in the
    /// same way as a tape. `replay FILE` plays it. 0: no tapes.
    #[arg(long, global = true, value_name = "N", default_value_t = SHRINK_RUNS, value_parser = runs)]
    pub shrink_runs: u32,
    /// Write tapes to this folder [default: raftlab-tapes in the system's folder for temporary files].
    #[arg(long, global = true, value_name = "DIR")]
    pub tapes: Option<PathBuf>,
    /// List the tests, one per line, and run none.
    #[arg(long, global = true)]
    pub list: bool,
}

/// What a simulation runs on.
#[derive(Clone, Copy, ValueEnum)]
pub enum On {
    /// Coroutines on one OS thread.
    Coroutines,
    /// OS threads; only one of them runs at a time.
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

/// Parses a seed.
///
/// # Errors
/// The text is not a seed.
pub fn seed(text: &str) -> Result<u64, String> {
    whole_number(text, "", 0..=u64::MAX)
}

/// Parses a count that must be at least 1.
///
/// # Errors
/// The text is not such a number.
pub fn count(text: &str) -> Result<u64, String> {
    whole_number(text, "", 1..=u64::MAX)
}

/// How many runs a search for a short version takes at most, if the user doesn't say.
const SHRINK_RUNS: u32 = 800;

fn runs(text: &str) -> Result<u32, String> {
    whole_number(text, "", 0..=u64::from(u32::MAX)).map(|number| number as u32)
}

/// What to replay.
#[derive(Clone, Debug)]
pub enum Replayed {
    /// The run of a seed.
    Seed(u64),
    /// The run of a tape.
    Tape(PathBuf),
}

/// A word that is no seed is the name of a file, unless it looks like a wrong seed.
pub fn replayed(text: &str) -> Result<Replayed, String> {
    match seed(text) {
        Ok(seed) => Ok(Replayed::Seed(seed)),
        Err(wrong) if text.parse::<f64>().is_ok() => Err(wrong),
        Err(_) => Ok(Replayed::Tape(text.into())),
    }
}

/// Parses a number of jobs.
///
/// # Errors
/// The text is not a number, or the number is too large.
pub fn jobs(text: &str) -> Result<usize, String> {
    let jobs = whole_number(text, "", 1..=MOST_JOBS)?;
    usize::try_from(jobs).map_err(|error| error.to_string())
}

/// Parses a whole number within that range. `of` names the unit (`" of milliseconds"`), or is empty.
///
/// # Errors
/// The text is not such a number.
pub fn whole_number(text: &str, of: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    let (least, most) = (range.start(), range.end());
    number.ok_or_else(|| format!("expected a whole number{of} from {least} to {most}"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "expected a number of seconds, such as 60 or 0.5".into())
}

/// Parses a moment of a run: milliseconds, or a number with `ms` or `s` behind it.
///
/// # Errors
/// The text is not such a time.
pub fn moment(text: &str) -> Result<Duration, String> {
    let (number, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1e-3),
        (None, Some(number)) => (number, 1.0),
        (None, None) => (text, 1e-3),
    };
    let seconds = number.trim().parse().ok().map(|number: f64| number * unit);
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| "expected a time, such as 1500, 1500ms or 1.5s".into())
}

/// Parses a regular expression.
///
/// # Errors
/// It is malformed.
pub fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("{error}"))
}

fn mebibytes(text: &str) -> Result<u32, String> {
    whole_number(text, " of MiB", 1..=u64::from(u32::MAX >> 1)).map(|number| number as u32)
}

fn initial(text: &str) -> Result<Value, String> {
    serde_json::from_str(text)
        .map_err(|_| "expected a value as JSON: null, 7, or a string in quotes, '\"x\"'".into())
}

/// The largest number of jobs. Each job has tens of threads, and the system allows only so many.
const MOST_JOBS: u64 = 256;

/// Lets clap pass negative numbers on to the parsers of all arguments. The parser of an argument that can't be negative then
/// reports what it expects, always in the same words.
pub fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let with = |arg: clap::Arg| {
        let takes_value = arg.is_positional() || arg.get_action().takes_values();
        arg.allow_negative_numbers(takes_value)
    };
    command.mut_args(with).mut_subcommands(with_negative_numbers)
}

/// Prepares a command that does not run a selection of tests. Such a command rejects the [`Flags`] and hides them from its help,
/// but still parses them, so that it can reject them in our words. A flag that the command defines itself is left alone.
pub fn without_flags(command: clap::Command) -> clap::Command {
    let flags = Flags::augment_args(clap::Command::new("flags"));
    let others = flags.get_arguments().filter(|flag| !takes(&command, flag));
    let hidden: Vec<_> = others.map(|flag| flag.clone().hide(true)).collect();
    command.args(hidden)
}

/// Whether the command has this argument itself.
fn takes(command: &clap::Command, flag: &clap::Arg) -> bool {
    let is_same =
        |own: &clap::Arg| own.get_id() == flag.get_id() || own.get_long() == flag.get_long();
    command.get_arguments().any(|own| is_same(own) && !own.is_hide_set())
}

/// The flags that were given on the command line. Ignoring one silently would mislead the user.
pub struct Given(Vec<clap::Arg>);

impl Given {
    /// Collects the given flags from those that belong to a selection of tests.
    pub fn by(matches: &ArgMatches) -> Given {
        let flags = Flags::augment_args(clap::Command::new("flags"));
        // The flags of a command that are not global are among the command's own matches.
        let own = matches.subcommand().map(|(_, own)| own);
        let is_in = |matches: &ArgMatches, id: &str| {
            let known = matches.try_contains_id(id).is_ok();
            known && matches.value_source(id) == Some(ValueSource::CommandLine)
        };
        let is_given = |flag: &&clap::Arg| {
            let id = flag.get_id().as_str();
            is_in(matches, id) || own.is_some_and(|own| is_in(own, id))
        };
        Given(flags.get_arguments().filter(is_given).cloned().collect())
    }

    /// The first flag that `command` does not define itself. These flags have no meaning for commands that run no selection of
    /// tests.
    pub fn beside(&self, command: &clap::Command) -> Option<String> {
        self.find(|flag| !takes(command, flag))
    }

    /// The first flag that is not one of the allowed ones.
    pub fn but(&self, allowed: &[&str]) -> Option<String> {
        self.find(|flag| flag.get_long().is_none_or(|name| !allowed.contains(&name)))
    }

    fn find(&self, which: impl Fn(&clap::Arg) -> bool) -> Option<String> {
        let flag = self.0.iter().find(|flag| which(flag))?;
        flag.get_long().map(|name| format!("--{name}"))
    }
}
