//! Results for programs.

use crate::cluster::Check;
use crate::runner::{Report, World};
use serde::Serialize;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A JSON file that appears when it is complete: a line for each run, in an array.
pub struct JsonFile {
    path: PathBuf,
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

impl JsonFile {
    /// Prepares to write `path`, so that a path that can't be written is known before the tests run. Nothing is left
    /// behind if the program is stopped.
    ///
    /// # Errors
    /// The folder isn't there or can't be written; or there is something that is no file, or may not be written.
    pub fn create(path: &Path) -> Result<JsonFile, String> {
        JsonFile::prepare(path).map_err(|error| unwritable(path, &error))
    }

    fn prepare(path: &Path) -> io::Result<JsonFile> {
        if path == Path::new("-") {
            return Err(io::Error::other(
                "--json wants the name of a file; standard output has the table",
            ));
        }
        let path = if path.exists() { path.canonicalize()? } else { path.to_path_buf() };
        if path.exists() {
            if !path.is_file() {
                return Err(io::Error::other("it is there and is no regular file"));
            }
            OpenOptions::new().write(true).open(&path)?;
        } else if !folder_of(&path).is_dir() {
            let text = format!("there is no folder {}", folder_of(&path).display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        NamedTempFile::new_in(folder_of(&path))?;
        Ok(JsonFile { path, results: Vec::new() })
    }

    /// Takes a run in.
    pub fn add(&mut self, report: &Report) {
        let stats = report.result.as_ref().ok().cloned().unwrap_or_default();
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
            reached_check: report.check().map(|check| check == Check::Reached),
            failure,
            warnings: report.warnings.iter().map(|warning| warning.message.clone()).collect(),
        });
    }

    /// Writes the file, in one step: a file of that name is either the old one or the new.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn finish(self) -> Result<(), String> {
        self.write().map_err(|error| unwritable(&self.path, &error))
    }

    fn write(&self) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(folder_of(&self.path))?;
        serde_json::to_writer_pretty(&mut file, &self.results)?;
        file.write_all(b"\n")?;
        let mode = fs::metadata(&self.path).map(|before| before.permissions());
        file.as_file().set_permissions(mode.or_else(|_| usual_permissions(&file))?)?;
        file.persist(&self.path)?;
        Ok(())
    }
}

fn unwritable(path: &Path, error: &io::Error) -> String {
    format!("can't write {}: {error}", path.display())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What a new file gets that isn't a temporary one.
fn usual_permissions(file: &NamedTempFile) -> io::Result<fs::Permissions> {
    let permissions = file.as_file().metadata()?.permissions();
    #[cfg(unix)]
    let permissions = {
        use std::os::unix::fs::PermissionsExt;
        let _ = permissions;
        fs::Permissions::from_mode(0o644)
    };
    Ok(permissions)
}
