//! Reports of results: the table, the report of a failure, JSON, the page of a run.

mod again;
mod causes;
mod draft;
mod groups;
mod heads;
mod json;
mod junit;
mod once;
mod page;
mod pattern;
mod row;
mod table;
mod unreached;
mod whole_file;

pub use causes::Causes;
pub use groups::{Groups, Runs, Summary, Told};
pub use heads::{head, tail};
pub use json::JsonFile;
pub use junit::JunitFile;
pub use once::say_once;
pub use page::page;
pub use pattern::{first_line, in_short, numberless};
pub use row::{Row, wrapped};
pub use table::{Counts, Names, Sweep, row, row_header, summary};
pub use unreached::Unreached;
pub use whole_file::WholeFile;

use crate::outcome::{Report, World};
use crate::property::Property;
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
    if let Some(property) = Property::of(failure) {
        let _ = writeln!(text, "  broken: {property}");
    }
    for line in failure.to_string().lines() {
        let _ = writeln!(text, "  {line}");
    }
    if !report.standing.is_empty() {
        let _ = writeln!(text, "\n  how far each server is:");
        report.standing.iter().for_each(|line| _ = writeln!(text, "    {line}"));
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
            None => writeln!(text, "\n  the last events that concern it:"),
        };
        for event in &report.last_events {
            let _ = writeln!(text, "  {event}");
        }
    }
    let _ = write!(text, "\n  again: {}", how_again(report, again));
    text
}

fn how_again(report: &Report, again: &Again) -> String {
    let (seed, name) = (report.seed, report.test.name);
    let command = again.command(report.world, report.test, seed);
    match (report.world, again) {
        (World::Simulated, Again::CargoTest) => {
            format!(
                "{command}\n  the whole story, if your main() calls labtests::cli::main: \
                 cargo run --release -- replay {seed} {name}\n  \
                 (with --report DIR: a page to look at)"
            )
        }
        (World::Simulated, Again::Command(_)) => {
            format!("{command}\n  page:  {command} --report DIR")
        }
        (World::Real, _) => format!("{command}\n{REAL}"),
    }
}

const REAL: &str = "  (on real threads a seed decides the random choices of the network and the tester, but not when each \
                    thread runs: it may take many tries)";
