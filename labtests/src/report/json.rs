//! Results for programs.

use super::draft::Draft;
use super::groups::Summary;
use crate::cluster::Check;
use crate::interrupt::Interrupt;
use crate::outcome::Report;
use serde::Serialize;
use std::path::Path;

/// A JSON file that appears only when it is complete. It is an array with one line for each run. After the runs there may be two
/// more lines: one with the groups of the failures, and one which says that the work was interrupted.
/// `docs/RESULTS.md` describes all fields.
pub struct JsonFile {
    draft: Draft,
    empty: bool,
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
    /// `None` if there are too many groups.
    group: Option<usize>,
}

/// The last line, if some of the wanted runs are missing.
#[derive(Serialize)]
struct Incomplete {
    incomplete: bool,
    interrupted_by: String,
    not_run: u64,
}

impl JsonFile {
    /// Prepares to write `path`, see [`Draft::create`].
    ///
    /// # Errors
    /// The path can't be written.
    pub fn create(path: &Path) -> Result<JsonFile, String> {
        Ok(JsonFile { draft: Draft::create(path, "--json")?, empty: true })
    }

    /// Where the file will be.
    pub fn path(&self) -> &Path {
        self.draft.path()
    }

    /// Adds a run. If it failed, `group` is the number of its group.
    pub fn add(&mut self, report: &Report, group: Option<usize>) {
        self.write(&result(report, group));
    }

    /// Marks the file as incomplete: `by` interrupted the work, and `not_run` runs are missing.
    fn add_incomplete(&mut self, by: Interrupt, not_run: u64) {
        self.write(&Incomplete { incomplete: true, interrupted_by: by.to_string(), not_run });
    }

    fn write(&mut self, line: &impl Serialize) {
        let before = if self.empty { "[\n" } else { ",\n" };
        self.empty = false;
        self.draft.add(|to| {
            to.write_all(before.as_bytes())?;
            Ok(serde_json::to_writer(to, line)?)
        });
    }

    /// Writes the file in one step. `interrupted`: what interrupted the work, and how many runs are missing.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn finish(
        mut self,
        groups: Option<&Summary<'_>>,
        interrupted: Option<(Interrupt, u64)>,
    ) -> Result<(), String> {
        groups.into_iter().for_each(|groups| self.write(groups));
        if let Some((by, not_run)) = interrupted {
            self.add_incomplete(by, not_run);
        }
        let end: &[u8] = if self.empty { b"[]\n" } else { b"\n]\n" };
        self.draft.add(|to| to.write_all(end));
        self.draft.finish(b"")
    }
}

fn result(report: &Report, group: Option<usize>) -> JsonResult {
    let stats = report.result.as_ref().ok().cloned().unwrap_or_default();
    let failure = report.result.as_ref().err().map(|failure| JsonFailure {
        kind: format!("{:?}", failure.kind),
        message: failure.message.clone(),
        thread: failure.thread.clone(),
        at_seconds: failure.at.as_secs_f64(),
        place: failure.place.clone(),
        last_events: report.last_events.clone(),
        group,
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
