//! Results for programs.

use super::whole_file::WholeFile;
use crate::cluster::Check;
use crate::interrupt::Interrupt;
use crate::outcome::Report;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

/// A JSON file that appears only when it is complete. It is an array with one line for each run. If the work was interrupted, a
/// last line says so. Until the file is complete, the lines are kept in a file without a name, because there may be more of
/// them than fit in memory.
pub struct JsonFile {
    file: WholeFile,
    draft: BufWriter<File>,
    empty: bool,
    error: Option<io::Error>,
}

#[derive(Serialize)]
struct JsonResult {
    part: &'static str,
    test: &'static str,
    seed: u64,
    world: &'static str,
    passed: bool,
    wall_seconds: f64,
    lab_seconds: f64,
    servers: usize,
    rpcs: u64,
    bytes: u64,
    commands: u64,
    fingerprint: String,
    reached_check: Option<bool>,
    failure: Option<JsonFailure>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct JsonFailure {
    kind: String,
    message: String,
    thread: String,
    at_seconds: f64,
    place: Option<String>,
    last_events: Vec<String>,
}

/// The last line, if some of the wanted runs are missing.
#[derive(Serialize)]
struct Incomplete {
    incomplete: bool,
    interrupted_by: String,
    not_run: u64,
}

impl JsonFile {
    /// Prepares to write `path`, so that an unwritable path is reported before the tests run. Nothing is left behind if the
    /// program is stopped.
    ///
    /// # Errors
    /// The folder doesn't exist or can't be written; or the path exists and is not a file, or may not be written.
    pub fn create(path: &Path) -> Result<JsonFile, String> {
        if path == Path::new("-") {
            let text = "--json needs the name of a file, because the table goes to standard output";
            return Err(format!("can't write -: {text}"));
        }
        let file = WholeFile::prepare(path)?;
        let draft = BufWriter::new(file.draft()?);
        Ok(JsonFile { file, draft, empty: true, error: None })
    }

    /// Where the file will be.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Adds a run.
    pub fn add(&mut self, report: &Report) {
        if self.error.is_none() {
            self.error = self.write(&result(report)).err();
        }
    }

    /// Marks the file as incomplete: `by` interrupted the work, and `not_run` runs are missing.
    pub fn add_incomplete(&mut self, by: Interrupt, not_run: u64) {
        let mark = Incomplete { incomplete: true, interrupted_by: by.to_string(), not_run };
        if self.error.is_none() {
            self.error = self.write(&mark).err();
        }
    }

    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        let before = if self.empty { "[\n" } else { ",\n" };
        self.empty = false;
        self.draft.write_all(before.as_bytes())?;
        Ok(serde_json::to_writer(&mut self.draft, line)?)
    }

    /// Writes the file in one step: at every moment, the path has either the old file or the new one.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn finish(self) -> Result<(), String> {
        let JsonFile { file, mut draft, empty, error } = self;
        file.write(|whole| {
            if let Some(error) = error {
                return Err(error);
            }
            draft.write_all(if empty { b"[]\n" } else { b"\n]\n" })?;
            let mut draft = draft.into_inner()?;
            draft.rewind()?;
            io::copy(&mut draft, whole).map(|_| ())
        })
    }
}

fn result(report: &Report) -> JsonResult {
    let stats = report.result.as_ref().ok().cloned().unwrap_or_default();
    let failure = report.result.as_ref().err().map(|failure| JsonFailure {
        kind: format!("{:?}", failure.kind),
        message: failure.message.clone(),
        thread: failure.thread.clone(),
        at_seconds: failure.at.as_secs_f64(),
        place: failure.place.clone(),
        last_events: report.last_events.clone(),
    });
    JsonResult {
        part: report.test.part,
        test: report.test.name,
        seed: report.seed,
        world: report.world.name(),
        passed: report.result.is_ok(),
        wall_seconds: report.wall.as_secs_f64(),
        lab_seconds: report.lab_time.as_secs_f64(),
        servers: report.test.setup.servers,
        rpcs: stats.rpcs,
        bytes: stats.bytes,
        commands: stats.commands,
        fingerprint: format!("{:016x}", report.fingerprint),
        reached_check: report.check().map(|check| check == Check::Reached),
        failure,
        warnings: report.warnings.iter().map(|warning| warning.message.clone()).collect(),
    }
}
