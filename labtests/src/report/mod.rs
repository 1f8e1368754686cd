//! Reports of results: the table, the report of a failure, JSON.

mod causes;
mod json;
mod once;
mod row;
mod table;
mod unreached;
mod whole_file;

pub use causes::{Causes, first_line, pattern};
pub use json::JsonFile;
pub use once::say_once;
pub use row::Row;
pub use table::{Counts, Names, Sweep, row, row_header, summary};
pub use unreached::Unreached;
pub use whole_file::WholeFile;

use crate::outcome::{Report, World};
use labrpc::run::Failure;
use std::fmt::Write;

/// How a user can see a failure again.
#[derive(Clone, Debug)]
pub enum Again {
    /// With this command, the one that started the program.
    Command(String),
    /// With `cargo test`.
    CargoTest,
}

/// The report of a failed run.
pub fn failure(report: &Report, again: &Again) -> String {
    let Err(failure) = &report.result else {
        return String::new();
    };
    let test = report.test;
    let mut text = format!("FAILED {} {}, seed {}\n\n", test.part, test.name, report.seed);
    for line in failure.to_string().lines() {
        let _ = writeln!(text, "  {line}");
    }
    if let Some(backtrace) = &failure.backtrace {
        let _ = writeln!(text, "\n{backtrace}");
    }
    for doubt in report.coverage.doubted() {
        let _ = writeln!(text, "\n  not checked in this run: {doubt}");
    }
    if !report.last_events.is_empty() {
        let _ = match failure.since {
            Some(since) => {
                let ms = since.as_secs_f64() * 1e3;
                writeln!(text, "\n  the last events before it got stuck, at {ms:.6} ms:")
            }
            None => writeln!(text, "\n  the last events:"),
        };
        for event in &report.last_events {
            let _ = writeln!(text, "  {event}");
        }
    }
    let _ = write!(text, "\n  again: {}", how_again(report, again));
    text
}

/// A failed run, in one line.
pub fn failure_line(report: &Report, failure: &Failure) -> String {
    let message = first_line(&failure.message);
    format!("FAILED {} {}, seed {}: {message}", report.test.part, report.test.name, report.seed)
}

fn how_again(report: &Report, again: &Again) -> String {
    let (seed, name) = (report.seed, report.test.name);
    match (report.world, again) {
        (World::Simulated, Again::CargoTest) => {
            format!(
                "LAB_SEED={seed} cargo test {name}\n  every event, if your main() calls \
                 labtests::cli::main: cargo run --release -- replay {seed} {name}"
            )
        }
        (World::Simulated, Again::Command(program)) => format!("{program} replay {seed} {name}"),
        (World::Real, Again::CargoTest) => {
            format!("LAB_REAL=1 LAB_SEED={seed} cargo test {name}\n{REAL}")
        }
        (World::Real, Again::Command(program)) => {
            format!("{program} test {name} --real --seed {seed}\n{REAL}")
        }
    }
}

const REAL: &str = "  (on real threads a seed decides the random choices of the network and the tester, but not when each \
                    thread runs: it may take many tries)";
