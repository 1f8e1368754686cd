//! The `raftlab` command, for the reference Raft or for yours.

use crate::report::{self, Again, JsonFile, Sweep};
use crate::runner::{self, Report, World};
use crate::suites::{self, LabTest};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use labrpc::api::{ApplyMsg, Make, Raft};
use labrpc::channel::Sender;
use labrpc::time::{Duration, Instant};
use labrpc::trace::Event;
use labrpc::{ClientEnd, Persister, Service};
use parking_lot::Mutex;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// The MIT 6.824 Raft lab: runs its tests, simulated or on real threads.
#[derive(Parser)]
#[command(name = "raftlab", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// What to run: parts (2B), names, or parts of names. Nothing: everything.
    #[arg(value_name = "SELECT")]
    select: Vec<String>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Run tests (the default).
    Test {
        /// What to run: parts (2B), names, or parts of names. Nothing: everything.
        #[arg(value_name = "SELECT")]
        select: Vec<String>,
    },
    /// Run one test again in the simulation, and print every event as it happens.
    Replay {
        /// The seed that a failure named.
        #[arg(value_parser = seed)]
        seed: u64,
        /// The test.
        test: String,
    },
}

#[derive(Args)]
struct Flags {
    /// Run on OS threads and the wall clock, not in the simulation.
    #[arg(long, global = true)]
    real: bool,
    /// The seed, or the first of several.
    #[arg(long, global = true, value_name = "S", default_value_t = 1, value_parser = seed)]
    seed: u64,
    /// How many seeds, counted up from --seed.
    #[arg(long, global = true, value_name = "N", default_value_t = 1, value_parser = count)]
    seeds: u64,
    /// How many tests to run at once [default: one per CPU; 8 with --real].
    #[arg(long, global = true, value_name = "J", value_parser = jobs)]
    jobs: Option<usize>,
    /// Write the results to this file too.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// List the tests, one a line, and run none.
    #[arg(long, global = true)]
    list: bool,
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a seed is a whole number from 0 to {}", u64::MAX))
}

fn count(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "a whole number from 1 on is wanted".into())
}

fn jobs(text: &str) -> Result<usize, String> {
    let jobs = text.parse().ok().filter(|jobs| (1..=MOST_JOBS).contains(jobs));
    jobs.ok_or_else(|| format!("a whole number from 1 to {MOST_JOBS} is wanted"))
}

/// Every job has tens of threads.
const MOST_JOBS: usize = 256;

impl Flags {
    /// The first flag given that means nothing to `replay`.
    fn beyond_seed(&self) -> Option<&'static str> {
        let given = [
            (self.real, "--real: real threads don't replay"),
            (self.seeds != 1, "--seeds"),
            (self.seed != 1, "--seed: the seed is its first argument"),
            (self.jobs.is_some(), "--jobs"),
            (self.json.is_some(), "--json"),
            (self.list, "--list"),
        ];
        given.into_iter().find(|(given, _)| *given).map(|(_, flag)| flag)
    }
}

/// The exit status of wrong usage.
const USAGE: u8 = 2;

/// Runs the command on the Raft that `make` makes. The process's arguments are its own.
///
/// The exit status is 0 if everything passed, 1 if a test failed, 2 if the usage was wrong.
pub fn main<R, F>(make: F) -> ExitCode
where
    R: Raft,
    F: Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>) -> (Arc<R>, Vec<Service>)
        + Send
        + Sync
        + 'static,
{
    labrpc::logging::init();
    let cli = Cli::parse();
    let make = crate::make(make);
    let done = match cli.command {
        None => test(&make, &cli.select, &cli.flags),
        Some(Command::Test { select }) => test(&make, &select, &cli.flags),
        Some(Command::Replay { seed, test }) => match cli.flags.beyond_seed() {
            Some(flag) => Err(format!("replay takes a seed and a test, and no {flag}")),
            None => replay(&make, seed, &test),
        },
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(wrong) => {
            eprintln!("error: {wrong}");
            ExitCode::from(USAGE)
        }
    }
}

/// The tests that all words select together, in the lab's order.
fn selected(words: &[String]) -> Result<Vec<&'static LabTest>, String> {
    if words.is_empty() {
        return Ok(suites::all().collect());
    }
    let mut names = Vec::new();
    for word in words {
        names.extend(runner::select(word)?.iter().map(|test| test.name));
    }
    Ok(suites::all().filter(|test| names.contains(&test.name)).collect())
}

fn test(make: &Make, words: &[String], flags: &Flags) -> Result<bool, String> {
    let tests = selected(words)?;
    if flags.list {
        let mut out = Out::default();
        tests.iter().for_each(|test| out.line(&format!("{} {}", test.part, test.name)));
        return out.finish().map(|()| true);
    }
    if flags.seed.checked_add(flags.seeds - 1).is_none() {
        return Err(format!("seeds end at {}: take a smaller --seed or fewer --seeds", u64::MAX));
    }
    let unwritable = |path: &PathBuf, error| format!("can't write {}: {error}", path.display());
    let json = match &flags.json {
        Some(path) => Some(JsonFile::create(path).map_err(|error| unwritable(path, error))?),
        None => None,
    };
    let mut session = Session::new(tests, flags, json);
    session.run(make);
    let passed = session.failed == 0;
    if let (Some(json), Some(path)) = (session.json, &flags.json) {
        json.finish().map_err(|error| unwritable(path, error))?;
    }
    session.out.finish()?;
    Ok(passed)
}

/// One run of the command over tests and seeds.
struct Session {
    tests: Vec<&'static LabTest>,
    seeds: RangeInclusive<u64>,
    world: World,
    jobs: usize,
    /// Many seeds: a table at the end, and only failures before.
    sweeps: Option<Vec<Sweep>>,
    json: Option<JsonFile>,
    bar: ProgressBar,
    out: Out,
    passed: usize,
    failed: usize,
    lab_time: Duration,
    last_line: Instant,
}

/// How many tests run at once on real threads: most of the time they sleep.
const REAL_JOBS: usize = 8;

/// After so many failures in full, further ones get a line.
const STORIES: usize = 3;

/// In a pipe, a long sweep says this often how far it is.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Session {
    fn new(tests: Vec<&'static LabTest>, flags: &Flags, json: Option<JsonFile>) -> Session {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let sweep = flags.seeds > 1;
        let runs = flags.seeds.saturating_mul(tests.len() as u64);
        Session {
            bar: bar(runs),
            out: Out::default(),
            sweeps: sweep.then(|| tests.iter().map(|&test| Sweep::new(test)).collect()),
            tests,
            seeds: flags.seed..=flags.seed + (flags.seeds - 1),
            world: if flags.real { World::Real } else { World::Simulated },
            jobs: flags.jobs.unwrap_or(if flags.real { REAL_JOBS } else { cpus }),
            json,
            passed: 0,
            failed: 0,
            lab_time: Duration::ZERO,
            last_line: Instant::now(),
        }
    }

    fn run(&mut self, make: &Make) {
        let began = Instant::now();
        if self.sweeps.is_none() {
            self.say(&report::row_header());
        }
        let (tests, seeds) = (self.tests.clone(), self.seeds.clone());
        let work = seeds.flat_map(move |s| tests.clone().into_iter().map(move |test| (test, s)));
        let (world, jobs) = (self.world, self.jobs);
        runner::run_all(make, work, world, jobs, |report| self.take(&report));
        self.bar.finish_and_clear();
        if let Some(sweeps) = &self.sweeps {
            self.out.line(&Sweep::header());
            sweeps.iter().for_each(|sweep| self.out.line(&sweep.row()));
        }
        if self.failed > STORIES {
            self.out.line("the first failures are told in full; replay tells of the others");
        }
        let wall = began.elapsed();
        self.out.line(&report::summary(self.passed, self.failed, wall, self.lab_time));
    }

    fn take(&mut self, report: &Report) {
        self.bar.inc(1);
        self.lab_time += report.lab_time;
        match report.result {
            Ok(_) => self.passed += 1,
            Err(_) => self.failed += 1,
        }
        if let Some(json) = &mut self.json {
            json.add(report);
        }
        match &mut self.sweeps {
            None => self.say(&report::row(report)),
            Some(sweeps) => {
                if let Some(sweep) = sweeps.iter_mut().find(|s| s.test().name == report.test.name) {
                    sweep.add(report);
                }
                self.say_how_far();
            }
        }
        if report.result.is_err() {
            if self.failed <= STORIES {
                let again = Again::Command(program());
                self.say(&format!("\n{}\n", report::failure(report, &again)));
            } else if self.sweeps.is_some() {
                self.say(&report::row(report));
            }
        }
    }

    fn say_how_far(&mut self) {
        let piped = !io::stderr().is_terminal();
        if piped && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let (ended, all) = (self.passed + self.failed, self.bar.length().unwrap_or(0));
            self.say(&format!("{ended} of {all} runs, {} failed", self.failed));
        }
    }

    /// Prints a line above the progress bar.
    fn say(&mut self, text: &str) {
        let out = &mut self.out;
        self.bar.suspend(|| out.line(text));
    }
}

/// Standard output, which may be full, and whose reader may go away.
#[derive(Default)]
struct Out(Option<io::Error>);

impl Out {
    fn line(&mut self, text: &str) {
        if self.0.is_none() {
            self.0 = writeln!(io::stdout(), "{text}").err();
        }
    }

    /// Whether everything could be written that somebody wanted to read.
    fn finish(self) -> Result<(), String> {
        match self.0.or(io::stdout().flush().err()) {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(format!("can't write to standard output: {error}"))
            }
            _ => Ok(()),
        }
    }
}

/// A progress bar on standard error, if that is a terminal.
fn bar(runs: u64) -> ProgressBar {
    let template = "{wide_bar} {pos}/{len}, {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(runs).with_style(style)
}

/// How to call this program again: as it was called, also if that is a path (`target/debug/examples/mine`).
fn program() -> String {
    std::env::args_os().next().map_or("raftlab".into(), |name| name.to_string_lossy().into_owned())
}

fn replay(make: &Make, seed: u64, word: &str) -> Result<bool, String> {
    let test = match runner::select(word)?[..] {
        [test] => test,
        ref several => {
            let names: Vec<_> = several.iter().map(|test| test.name).collect();
            return Err(format!("{word:?} is several tests; name one of {}", names.join(", ")));
        }
    };
    let out = Arc::new(Mutex::new((BufWriter::new(io::stdout()), Out::default())));
    let sink = out.clone();
    let report = runner::replay(make, test, seed, move |event: &Event| {
        let (buffer, out) = &mut *sink.lock();
        if out.0.is_none() {
            out.0 = writeln!(buffer, "{event}").err();
        }
    });
    let (buffer, out) = &mut *out.lock();
    out.0 = out.0.take().or(buffer.flush().err());
    match &report.result {
        Ok(_) => out.line(&format!("passed {} {}, seed {seed}", test.part, test.name)),
        Err(failure) => out.line(&format!("FAILED {} {}: {failure}", test.part, test.name)),
    }
    out.line(&format!("fingerprint {:016x}", report.fingerprint));
    std::mem::take(out).finish()?;
    Ok(report.result.is_ok())
}
