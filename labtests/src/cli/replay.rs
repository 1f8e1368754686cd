//! `replay`: one run again, told as a story.

use super::End;
use super::args::{Replayed, moment, pattern, replayed};
use super::out::Out;
use super::pages::Pages;
use super::played::Act;
use crate::interrupt::{LastWords, PATIENCE};
use crate::lab::Lab;
use crate::report::{head, tail};
use crate::runner::Report;
use crate::story::columns::Columns;
use crate::story::json::{self, Line};
use crate::story::{Filter, Kind, Told};
use crate::suites::LabTest;
use clap::Args;
use labrpc::time::Duration;
use parking_lot::Mutex;
use regex_lite::Regex;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

/// What to replay, and what to show of it.
#[derive(Args)]
pub struct ReplayArgs {
    /// The seed from the failure report, or the file of a tape.
    #[arg(id = "the seed to replay", value_name = "SEED|FILE", value_parser = replayed)]
    pub what: Replayed,
    /// The test, after a seed.
    pub test: Option<String>,
    /// Show only what is about these servers, such as 0,2.
    #[arg(long, value_name = "I,..", value_delimiter = ',')]
    pub server: Vec<usize>,
    /// Show only what happened at this time or later: 1500, 1500ms or 1.5s.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<Duration>,
    /// Show only what happened at this time or earlier.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub to: Option<Duration>,
    /// Show only what is about this term.
    #[arg(long, value_name = "T")]
    pub term: Option<u64>,
    /// Show only these kinds of events.
    #[arg(long, value_name = "KIND,..", value_delimiter = ',')]
    pub kind: Vec<Kind>,
    /// Show only what is about this log index: when it was created, sent, refused, committed, applied.
    #[arg(long, value_name = "I")]
    pub index: Option<u64>,
    /// Show only events whose text has this pattern (a regular expression).
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pub grep: Option<Regex>,
    /// Show only the last N of these events before the failure, or before the end.
    #[arg(long, value_name = "N", value_parser = super::count)]
    pub around_failure: Option<u64>,
    /// Leave out heartbeats without entries that were agreed to (this is the default).
    #[arg(long, conflicts_with = "all")]
    pub no_heartbeats: bool,
    /// Show every event: also idle heartbeats, when each message arrived, and what the tester asked.
    #[arg(long)]
    pub all: bool,
    /// Write JSON lines instead: see docs/STORY.md.
    #[arg(id = "json lines", long = "json")]
    pub json: bool,
}

impl ReplayArgs {
    fn filter(&self, test: &LabTest) -> Result<Filter, String> {
        let servers = test.setup.servers;
        if let Some(unknown) = self.server.iter().find(|i| **i >= servers) {
            let last = servers - 1;
            return Err(format!(
                "{} has the servers 0 to {last}: --server {unknown} names none of them",
                test.name
            ));
        }
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from > to
        {
            return Err(format!("--from {from:?} is after --to {to:?}, so nothing can be shown"));
        }
        Ok(Filter {
            servers: self.server.clone(),
            from: self.from,
            to: self.to,
            term: self.term,
            kinds: self.kind.clone(),
            index: self.index,
            grep: self.grep.clone(),
            all: self.all || self.json && self.kind.is_empty(),
        })
    }
}

/// Replays a run and shows it.
///
/// # Errors
/// The arguments name no single test or no server, or the output can't be written.
pub fn replay(
    lab: &Lab,
    args: &ReplayArgs,
    report: Option<&Path>,
    program: &str,
    out: Out,
) -> Result<End, String> {
    let act = Act::of(lab, &args.what, args.test.as_deref())?;
    if let Some(folder) = report {
        return draw(&act, folder, program, out);
    }
    let printer = Printer::new(&act, args, out)?;
    let printer = Arc::new(Mutex::new(printer));
    let (sink, listener) = (printer.clone(), printer.clone());
    let words = LastWords::new(move |by| {
        // If the reader of the events has stopped reading, another thread may hold this lock for ever.
        let printer = listener.try_lock_for(PATIENCE);
        printer.into_iter().for_each(|mut printer| printer.interrupted(&by.to_string()));
    });
    let report = act.replay(move |told| sink.lock().take(told));
    drop(words);
    let mut printer = printer.lock();
    printer.conclude(&report, &act.command(program));
    if let Some(note) = act.doubt(&report) {
        printer.tell(&note);
    }
    printer.out.finish()?;
    Ok(End::from(report.result.is_ok()))
}

/// Writes the page of a run.
fn draw(act: &Act, folder: &Path, program: &str, mut out: Out) -> Result<End, String> {
    let (test, seed) = (act.test, act.seed);
    let pages = Pages::prepare(folder, program)?;
    let (report, page) = pages.draw(act)?;
    out.line(match &report.result {
        Ok(_) => format!("passed {} {}, seed {seed}", test.part, test.name),
        Err(failure) => format!("FAILED {} {}: {failure}", test.part, test.name),
    });
    out.line(format_args!("page: {}", page.display()));
    out.finish()?;
    Ok(End::from(report.result.is_ok()))
}

/// Prints a story while it is told.
struct Printer {
    filter: Filter,
    json: bool,
    columns: Columns,
    /// With `--around-failure`: the last lines, and how many of them to keep.
    last: Option<(VecDeque<(Duration, String)>, usize)>,
    shown: u64,
    events: u64,
    /// When each event happened.
    times: Vec<Duration>,
    out: Out,
}

impl Printer {
    fn new(act: &Act, args: &ReplayArgs, mut out: Out) -> Result<Printer, String> {
        let test = act.test;
        let filter = args.filter(test)?;
        let width = out.width().filter(|_| !args.json);
        let columns = Columns::new(test.setup.servers, width, out.is_coloured());
        if args.json {
            out.queue(json::line(&head(test, act.seed)));
        } else {
            columns.header().iter().for_each(|line| out.queue(line));
        }
        let last = args.around_failure.map(|n| (VecDeque::new(), n.min(1 << 20) as usize));
        let (shown, events, times) = (0, 0, Vec::new());
        Ok(Printer { filter, json: args.json, columns, last, shown, events, times, out })
    }

    fn take(&mut self, told: &Told) {
        self.columns.note(told);
        self.events += 1;
        self.times.push(told.at);
        if !self.filter.shows(told) {
            return;
        }
        self.shown += 1;
        let line = match self.json {
            true => json::line(&Line::of(told, true, |text| text)),
            false => self.columns.line(told),
        };
        match &mut self.last {
            None => self.out.queue(line),
            Some((lines, most)) => {
                if lines.len() == *most {
                    lines.pop_front();
                }
                lines.push_back((told.at, line));
            }
        }
    }

    /// Prints a remark, unless the output is for programs.
    fn tell(&mut self, remark: &str) {
        if !self.json {
            self.out.line(remark);
        }
    }

    fn interrupted(&mut self, by: &str) {
        self.flush(None);
        match self.json {
            true => self.out.line(json::line(&serde_json::json!({ "interrupted_by": by }))),
            false => self.out.line(format_args!("interrupted by {by}")),
        }
    }

    /// Prints the lines that were kept, up to this time.
    fn flush(&mut self, until: Option<Duration>) {
        let lines = self.last.take().into_iter().flat_map(|(lines, _)| lines);
        lines
            .filter(|(at, _)| until.is_none_or(|until| *at <= until))
            .for_each(|(_, line)| self.out.queue(line));
    }

    fn conclude(&mut self, report: &Report, command: &str) {
        let failure = report.result.as_ref().err();
        self.flush(failure.map(|failure| failure.at));
        if self.json {
            return self.out.line(json::line(&tail(report, &self.times, command)));
        }
        let (test, seed) = (report.test, report.seed);
        match failure {
            None => self.out.line(format_args!("passed {} {}, seed {seed}", test.part, test.name)),
            Some(failure) => {
                self.out.line(format_args!("FAILED {} {}: {failure}", test.part, test.name));
            }
        }
        if failure.is_none() {
            let warnings = report.warnings.iter();
            warnings
                .for_each(|warning| self.out.line(format_args!("warning: {}", warning.message)));
        }
        self.out.line(format_args!("fingerprint {:016x}", report.fingerprint));
        if self.shown < self.events {
            let (shown, events) = (self.shown, self.events);
            let hint = if self.filter.all { "" } else { "; --all shows idle heartbeats, too" };
            self.out.line(match shown {
                0 => format!("no event matches; the run has {events} events{hint}"),
                _ => format!("{shown} of {events} events match{hint}"),
            });
        }
    }
}
