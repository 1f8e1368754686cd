//! The files with the results of a session, for other programs.

use super::args::Flags;
use super::found::Found;
use crate::interrupt::Interrupt;
use crate::report::{JsonFile, JunitFile, Runs};
use crate::runner::Report;
use std::path;

/// The files that were asked for. They appear when all of their content is there.
#[derive(Default)]
pub struct Files {
    json: Option<JsonFile>,
    junit: Option<JunitFile>,
}

impl Files {
    /// Prepares to write the files.
    ///
    /// # Errors
    /// One of them can't be written, or both have the same path.
    pub fn create(flags: &Flags) -> Result<Files, String> {
        if let (Some(json), Some(junit)) = (&flags.json, &flags.junit)
            && path::absolute(json).ok() == path::absolute(junit).ok()
        {
            return Err(format!("--json and --junit both name {}", json.display()));
        }
        Ok(Files {
            json: flags.json.as_deref().map(JsonFile::create).transpose()?,
            junit: flags.junit.as_deref().map(JunitFile::create).transpose()?,
        })
    }

    /// Whether no file was asked for.
    pub fn is_empty(&self) -> bool {
        self.json.is_none() && self.junit.is_none()
    }

    /// Adds a run. If it failed, `group` is the number of its group.
    pub fn add(&mut self, report: &Report, group: Option<usize>, runs: Runs<'_>) {
        self.json.iter_mut().for_each(|json| json.add(report, group));
        self.junit.iter_mut().for_each(|junit| junit.add(report, group, runs));
    }

    /// Writes the files. Returns a text that says where the results are, if there are files.
    ///
    /// # Errors
    /// A file could not be written. The other file is written all the same.
    pub fn finish(
        self,
        found: &Found,
        runs: Runs<'_>,
        interrupted: Option<Interrupt>,
    ) -> Result<Option<String>, String> {
        let (groups, not_run) = (&found.failures, found.counts.not_run);
        let paths =
            [self.json.as_ref().map(JsonFile::path), self.junit.as_ref().map(JunitFile::path)];
        let paths: Vec<_> = paths.iter().flatten().map(|path| path.display().to_string()).collect();
        let json = self.json.map(|json| {
            let summary = groups.summary(runs.again, runs.world);
            json.finish(summary.as_ref(), interrupted.map(|by| (by, not_run)))
        });
        let junit = self.junit.map(|junit| {
            let text = (found.counts.failed > 0).then(|| groups.text(runs, None));
            junit.finish(text.as_deref(), interrupted, not_run)
        });
        let wrong: Vec<_> = [json, junit].into_iter().flatten().filter_map(Result::err).collect();
        if !wrong.is_empty() {
            return Err(wrong.join("; "));
        }
        Ok(match &paths[..] {
            [] => None,
            [path] => Some(format!("{path} has these results and is marked incomplete")),
            _ => Some(format!(
                "{} have these results and are marked incomplete",
                paths.join(" and ")
            )),
        })
    }
}
