//! Results for programs.

use crate::runner::{Report, World};
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A JSON file that appears when it is complete: a line for each run, in an array.
pub struct JsonFile {
    path: PathBuf,
    file: NamedTempFile,
    results: Vec<JsonResult>,
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
    failure: Option<JsonFailure>,
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

impl JsonFile {
    /// Prepares to write `path`, so that a path that can't be written is known before the tests run.
    ///
    /// # Errors
    /// The folder isn't there or can't be written.
    pub fn create(path: &Path) -> io::Result<JsonFile> {
        if path.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let text = format!("there is no folder {}", folder.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        let file = NamedTempFile::new_in(folder)?;
        Ok(JsonFile { path: path.into(), file, results: Vec::new() })
    }

    /// Takes a run in.
    pub fn add(&mut self, report: &Report) {
        let stats = report.result.as_ref().copied().unwrap_or_default();
        let failure = report.result.as_ref().err().map(|failure| JsonFailure {
            kind: format!("{:?}", failure.kind),
            message: failure.message.clone(),
            thread: failure.thread.clone(),
            at_seconds: failure.at.as_secs_f64(),
            place: failure.place.clone(),
            last_events: report.last_events.clone(),
        });
        self.results.push(JsonResult {
            part: report.test.part,
            test: report.test.name,
            seed: report.seed,
            world: if report.world == World::Real { "real" } else { "simulated" },
            passed: report.result.is_ok(),
            wall_seconds: report.wall.as_secs_f64(),
            lab_seconds: report.lab_time.as_secs_f64(),
            servers: report.test.setup.servers,
            rpcs: stats.rpcs,
            bytes: stats.bytes,
            commands: stats.commands,
            fingerprint: format!("{:016x}", report.fingerprint),
            failure,
        });
    }

    /// Writes the file, in one step.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn finish(mut self) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.file, &self.results)?;
        self.file.write_all(b"\n")?;
        self.file.persist(self.path)?;
        Ok(())
    }
}
