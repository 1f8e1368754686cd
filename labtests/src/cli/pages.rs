//! Writes the pages of runs into a folder.

use super::args::Flags;
use super::played::Act;
use crate::lab::Lab;
use crate::report::{Again, WholeFile, head, page, tail};
use crate::runner::Report;
use crate::story::json::{FailureLine, Head, Tail};
use crate::story::{Book, Contradiction, Operation, Told};
use labrpc::time::Duration;
use parking_lot::Mutex;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder for pages.
pub struct Pages {
    folder: PathBuf,
    program: String,
}

impl Pages {
    /// Prepares to write pages into this folder, which is made if it does not exist. `program` is the command that runs this
    /// program again.
    ///
    /// # Errors
    /// The folder can't be made or written.
    pub fn prepare(folder: &Path, program: &str) -> Result<Pages, String> {
        let unwritable = |error| format!("can't write pages into {}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(unwritable)?;
        tempfile::tempfile_in(folder).map_err(unwritable)?;
        Ok(Pages { folder: folder.into(), program: program.into() })
    }

    /// Does a run again, and writes its page. Returns the result of the run, and where the page is.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn draw(&self, act: &Act) -> Result<(Report, PathBuf), String> {
        let draft = Arc::new(Mutex::new(Draft::default()));
        let heard = draft.clone();
        let report = act.replay(move |told| heard.lock().add(told));
        let page = self.write(act, &report, &mut draft.lock())?;
        Ok((report, page))
    }

    fn write(&self, act: &Act, report: &Report, draft: &mut Draft) -> Result<PathBuf, String> {
        let (test, seed) = (act.test, act.seed);
        let tail = tail(report, &draft.times, &act.command(&self.program));
        let json = draft.book.to_json(&head(test, seed), &tail);
        let verdict = if report.result.is_ok() { "passed" } else { "FAILED" };
        let title = format!("{verdict} {} {}, seed {seed}", test.part, test.name);
        self.put(&format!("{}.html", act.name()), &page(&json, &title))
    }

    /// Writes the page of a history that comes from a file.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn draw_history(
        &self,
        operations: Vec<Operation>,
        whys: Vec<Contradiction>,
        verdict: Option<bool>,
    ) -> Result<PathBuf, String> {
        let ends = operations.iter().map(|operation| operation.returned.unwrap_or(operation.call));
        let end_ms = ends.fold(0.0, f64::max);
        let failure = whys.first().map(|why| FailureLine::of_history(why.text.clone(), end_ms));
        let mut book = Book::default();
        book.add_history(operations, whys);
        let head = Head::of_history();
        let tail = Tail::of_history(end_ms, failure, verdict);
        let json = book.to_json(&head, &tail);
        let words = match verdict {
            Some(true) => "linearizable",
            Some(false) => "not linearizable",
            None => "undecided",
        };
        self.put("history.html", &page(&json, &format!("a history: {words}")))
    }

    /// Writes a page under this name.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    fn put(&self, name: &str, page: &str) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        WholeFile::prepare(&path)?.write(|file| file.write_all(page.as_bytes()))?;
        Ok(path)
    }
}

/// The pages of a session's runs.
pub struct Drawings {
    pages: Pages,
    /// Whether runs that pass get a page, too.
    all: bool,
}

impl Drawings {
    /// Prepares for the pages that were asked for, if any were.
    ///
    /// # Errors
    /// The folder can't be written, or the runs can't be replayed.
    pub fn prepare(flags: &Flags, again: &Again) -> Result<Option<Drawings>, String> {
        let Some(folder) = &flags.report else { return Ok(None) };
        if flags.real {
            return Err("--report replays each run, so it does not accept --real: runs on real threads can't be replayed".into());
        }
        let program = match again {
            Again::Command(program) => program,
            Again::CargoTest => "raftlab",
        };
        Ok(Some(Drawings { pages: Pages::prepare(folder, program)?, all: flags.report_all }))
    }

    /// Writes the page of a short version. Returns where it is.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn draw_short(&self, short: &Act) -> Result<PathBuf, String> {
        self.pages.draw(short).map(|(_, page)| page)
    }

    /// Writes the page of a run, if it gets one. Returns where it is.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn draw(&self, lab: &Lab, report: &Report) -> Result<Option<PathBuf>, String> {
        if report.result.is_ok() && !self.all {
            return Ok(None);
        }
        let act = Act::of_seed(lab, report.test, report.seed);
        self.pages.draw(&act).map(|(_, page)| Some(page))
    }
}

/// A story that is going to be a page.
#[derive(Default)]
struct Draft {
    book: Book,
    /// When each event happened.
    times: Vec<Duration>,
}

impl Draft {
    /// Adds what was told.
    fn add(&mut self, told: &Told) {
        self.times.push(told.at);
        self.book.add(told);
    }
}
