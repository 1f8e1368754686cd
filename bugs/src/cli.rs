//! The `gallery` command.

use crate::again::EverySeed;
use crate::hunt::hunt;
use crate::sharpness::Sharpness;
use crate::table::{self, Tried};
use crate::tree::{Tree, failed};
use clap::Parser;
use gallery::patch::{Host, Patch};
use gallery::record::{Caught, Records};
use indicatif::{ProgressBar, ProgressStyle};
use labrpc::time::{Duration, Instant};
use labtests::cli::Shard;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Tests the gallery of bugs. Works in target/gallery.
#[derive(Parser)]
#[command(name = "gallery")]
enum Cli {
    /// Check that every patch is well-formed and fits the sources.
    Check,
    /// Put each bug into its Raft, and find the test that catches it.
    Run(Run),
    /// Build the reference without a bug, in the way that bugs are built, and print the path of the program.
    Base,
    /// Put a bug into its Raft, and replay the run that caught it, with every event on a line.
    Show {
        /// The name of the bug.
        name: String,
    },
}

#[derive(clap::Args)]
struct Run {
    /// The names of the bugs [default: all].
    names: Vec<String>,
    /// Test only the I-th of N equal parts of them.
    #[arg(long, value_name = "I/N", default_value_t = Shard::WHOLE)]
    part: Shard,
    /// How many seconds to look for each bug, without the time for building.
    #[arg(long, value_name = "S", default_value_t = 60)]
    seconds: u64,
    /// Write what caught the bugs into bugs/caught.json.
    #[arg(long)]
    record: bool,
    /// Test each bug that is caught again under its seed, in a Raft whose fields have other names: with spellings that people
    /// use, and with one unknown name at a time.
    #[arg(long)]
    renamed: bool,
    /// Test each bug that is caught again under each of the first N seeds.
    #[arg(long, value_name = "N")]
    every_seed: Option<u64>,
}

/// The further tests of a bug that was caught.
struct Again {
    renamed: Option<Sharpness>,
    every_seed: Option<EverySeed>,
}

impl Again {
    /// A line for each test.
    fn try_bug(&mut self, patch: &Patch, program: &Path, caught: &Caught) -> Vec<String> {
        let seeds = self.every_seed.as_mut().map(|seeds| seeds.try_bug(patch, program, caught));
        let names = self.renamed.as_mut().map(|names| names.try_bug(patch, program, caught));
        seeds.into_iter().chain(names).collect()
    }

    /// Whether everything was as expected, with the results.
    fn summary(&self) -> (bool, String) {
        let seeds = self.every_seed.as_ref().map(EverySeed::summary);
        let names = self.renamed.as_ref().map(Sharpness::summary);
        let parts = seeds.into_iter().chain(names);
        parts.fold((true, String::new()), |(well, text), (also, more)| {
            (well && also, format!("{text}\n{more}"))
        })
    }
}

/// Runs the command. The exit status is 0 if everything is as expected, 1 if not, 2 if the usage was wrong.
pub fn main() -> ExitCode {
    let done = match Cli::parse() {
        Cli::Check => check(),
        Cli::Run(args) => run(&args),
        Cli::Base => base(),
        Cli::Show { name } => show(&name),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(wrong) => {
            eprintln!("error: {wrong}");
            ExitCode::from(2)
        }
    }
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn record_file() -> PathBuf {
    folder().join("caught.json")
}

fn prepare() -> Result<Tree, String> {
    let repo = folder().join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into());
    Tree::prepare(&repo, &repo.join(target).join("gallery"))
}

fn check() -> Result<bool, String> {
    let tree = prepare()?;
    let wrong: Vec<String> = match gallery::load(folder()) {
        Err(wrong) => vec![wrong],
        Ok(patches) => {
            println!("{} patches", patches.len());
            patches.iter().filter_map(|patch| tree.check(patch).err()).collect()
        }
    };
    wrong.iter().for_each(|wrong| println!("{wrong}"));
    Ok(wrong.is_empty())
}

fn base() -> Result<bool, String> {
    println!("{}", prepare()?.build(Host::Reference)?.display());
    Ok(true)
}

fn show(name: &str) -> Result<bool, String> {
    let patches = gallery::load(folder())?;
    let patch = gallery::find(&patches, name)?;
    let records = Records::load(&record_file())?;
    let caught =
        records.of(name).ok_or(format!("bugs/caught.json has no run that catches {name}"))?;
    let failed_again = prepare()?.with_bug(patch, |program| {
        let mut replay = Command::new(program);
        replay.args(["replay", &caught.seed.to_string(), &caught.test, "--strict"]);
        let status = replay.status().map_err(failed("run", program))?;
        Ok(status.code() == Some(1))
    })?;
    if !failed_again {
        println!(
            "The run passed, so caught.json is out of date. Look for a new run with: cargo run -p gallery -- run {name}"
        );
    }
    Ok(failed_again)
}

fn run(args: &Run) -> Result<bool, String> {
    let began = Instant::now();
    let patches = gallery::load(folder())?;
    let chosen = choose(&patches, args)?;
    let tree = prepare()?;
    let mut again = Again {
        renamed: args.renamed.then(Sharpness::default),
        every_seed: args.every_seed.map(EverySeed::new),
    };
    let tried = try_each(&tree, chosen, Duration::from_secs(args.seconds), &mut again);
    if args.record {
        record(&patches, &tried)?;
    }
    tried.iter().for_each(|tried| println!("{}", tried.row()));
    println!("{}", table::summary(&tried, began.elapsed()));
    let (well, text) = again.summary();
    print!("{text}");
    Ok(well && tried.iter().all(Tried::is_right))
}

fn choose<'a>(patches: &'a [Patch], args: &Run) -> Result<Vec<&'a Patch>, String> {
    let named: Result<Vec<_>, _> =
        args.names.iter().map(|name| gallery::find(patches, name)).collect();
    let named = if args.names.is_empty() { patches.iter().collect() } else { named? };
    let part = named.into_iter().enumerate().filter(|(place, _)| args.part.has(0, *place));
    let mut chosen: Vec<_> = part.map(|(_, patch)| patch).collect();
    // Sorted by host, because each change to another Raft needs more building.
    chosen.sort_by_key(|patch| patch.header.host);
    Ok(chosen)
}

fn try_each<'a>(
    tree: &Tree,
    patches: Vec<&'a Patch>,
    limit: Duration,
    again: &mut Again,
) -> Vec<Tried<'a>> {
    let bar = ProgressBar::new(patches.len() as u64);
    let template = "{wide_bar} {pos}/{len}, {msg}, {elapsed}";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    let all = patches.len();
    let tried = patches.into_iter().enumerate().map(|(place, patch)| {
        bar.set_message(patch.name.clone());
        let results = tree.file(&format!("{}.json", patch.name));
        let began = Instant::now();
        let result = tree.with_bug(patch, |program| {
            let caught = hunt(program, &results, limit)?;
            if let Some(caught) = &caught {
                let lines = again.try_bug(patch, program, caught);
                bar.suspend(|| lines.iter().for_each(|line| eprintln!("{line}")));
            }
            Ok(caught)
        });
        let tried = Tried { patch, result, wall: began.elapsed() };
        bar.inc(1);
        if bar.is_hidden() {
            eprintln!("{}/{all} {}", place + 1, tried.row());
        }
        tried
    });
    let tried = tried.collect();
    bar.finish_and_clear();
    tried
}

/// Replaces the records by the new results. If a bug's program did not even run, nothing is recorded for it now.
fn record(patches: &[Patch], tried: &[Tried<'_>]) -> Result<(), String> {
    let mut records = Records::load(&record_file())?;
    records.0.retain(|name, _| patches.iter().any(|patch| patch.name == *name));
    for Tried { patch, result, .. } in tried {
        records.0.insert(patch.name.clone(), result.clone().unwrap_or(None));
    }
    records.save(&record_file())
}
