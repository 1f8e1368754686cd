//! Tapes in files.

use crate::lab::Lab;
use crate::outcome::Report;
use crate::report::{self, WholeFile};
use crate::suites::{self, LabTest};
use labrpc::tape::{Part, Tape};
use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::Path;

/// The first word of a format's name, and the version that this program reads and writes.
const FORMAT: &str = "raftlab-tape/";
const VERSION: &str = "1";

/// A larger file is no tape that this program has written.
const MOST_BYTES: u64 = 64 << 20;

/// The tape of a test.
#[derive(Clone, Debug)]
pub struct TapeFile {
    /// The test, on as many servers as the tape needs.
    pub test: &'static LabTest,
    /// The seed of the run.
    pub seed: u64,
    /// Whether warnings count as failures, see [`Lab::strict`].
    pub strict: bool,
    /// The first line of the failure, for people.
    pub failure: String,
    /// The tape.
    pub tape: Tape,
}

/// What a file has, in this order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format: String,
    test: String,
    servers: usize,
    seed: u64,
    strict: bool,
    failure: String,
    checksum: String,
    tape_seed: u64,
    parts: Vec<Part>,
}

impl Content {
    /// A sum over everything that decides the run. It differs if the file was damaged or edited by mistake.
    fn sum(&self) -> String {
        let mut hasher = FxHasher::default();
        (&self.test, self.servers, self.seed, self.strict, self.tape_seed).hash(&mut hasher);
        for Part { depth, label, draws } in &self.parts {
            (*depth as u64, label, draws).hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }
}

impl TapeFile {
    /// The tape of a run of this lab.
    pub fn of(lab: &Lab, report: &Report, tape: Tape) -> TapeFile {
        let message = report.result.as_ref().err().map(|failure| failure.message.as_str());
        let failure = report::first_line(message.unwrap_or_default()).to_string();
        TapeFile { test: report.test, seed: report.seed, strict: lab.strict, failure, tape }
    }

    /// Writes the file in one step: a path has the whole tape or what was there before.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let mut content = Content {
            format: format!("{FORMAT}{VERSION}"),
            test: self.test.name.into(),
            servers: self.test.setup.servers,
            seed: self.seed,
            strict: self.strict,
            failure: self.failure.clone(),
            checksum: String::new(),
            tape_seed: self.tape.seed,
            parts: self.tape.parts.clone(),
        };
        content.checksum = content.sum();
        let text = serde_json::to_string_pretty(&content).map_err(|error| error.to_string())?;
        WholeFile::prepare(path)?.write(|file| writeln!(file, "{}", in_lines(&text)))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It can't be read, is no tape, is damaged, or has the tape of another version or of a test that this program doesn't know.
    /// The text says which, and what to do.
    pub fn read(path: &Path) -> Result<TapeFile, String> {
        let size =
            fs::metadata(path).map_err(|error| said(path, &format!("can't be read: {error}")))?;
        if !size.is_file() || size.len() > MOST_BYTES {
            return Err(said(path, NO_TAPE));
        }
        let text = fs::read_to_string(path);
        let text = text.map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => said(path, NO_TAPE),
            _ => said(path, &format!("can't be read: {error}")),
        })?;
        TapeFile::parse(&text).map_err(|wrong| said(path, &wrong))
    }

    fn parse(text: &str) -> Result<TapeFile, String> {
        let start = text.trim_start().strip_prefix('{').map(str::trim_start);
        let format =
            start.and_then(|rest| rest.strip_prefix("\"format\"")?.trim_start().strip_prefix(':'));
        let name = format.and_then(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
        let version = name.and_then(|name| name.strip_prefix(FORMAT)).ok_or(NO_TAPE)?;
        if version != VERSION {
            return Err(format!(
                "is a tape of format {FORMAT}{version}, but this program reads {FORMAT}{VERSION}. Replay it with the version of \
                 raftlab that wrote it"
            ));
        }
        let content: Content =
            serde_json::from_str(text).map_err(|error| damaged(&error.to_string()))?;
        if content.sum() != content.checksum {
            return Err(damaged("its checksum does not match its content"));
        }
        let tape = Tape { seed: content.tape_seed, noisy: false, parts: content.parts };
        tape.check().map_err(|wrong| damaged(&wrong))?;
        let test = suites::all().find(|test| test.name == content.test).ok_or_else(|| {
            format!(
                "is a tape of the test {:?}, which this program does not have. Replay it with the version of raftlab that wrote it",
                content.test
            )
        })?;
        let fewer = (1..test.setup.servers).contains(&content.servers) && test.fits_any_size();
        if content.servers != test.setup.servers && !fewer {
            return Err(damaged(&format!(
                "{} can't run on {} servers",
                test.name, content.servers
            )));
        }
        let test = test.on(content.servers);
        let Content { seed, strict, failure, .. } = content;
        Ok(TapeFile { test, seed, strict, failure, tape })
    }
}

const NO_TAPE: &str = "is not a tape. A tape is a file that `test` has written for a failure";

fn damaged(wrong: &str) -> String {
    format!("is a damaged tape: {wrong}. Repeat the test to write it again")
}

fn said(path: &Path, what: &str) -> String {
    format!("{} {what}", path.display())
}

/// Puts lists of numbers on one line each.
fn in_lines(pretty: &str) -> String {
    let mut text = String::with_capacity(pretty.len());
    let mut in_list = false;
    for line in pretty.lines() {
        let item = line.trim_start();
        let is_number = item.starts_with(|first: char| first.is_ascii_digit());
        match in_list && (is_number || item.starts_with(']')) {
            true if is_number => text.push_str(&item.replace(',', ", ")),
            true => text.push_str(item),
            false => {
                text.push_str(if text.is_empty() { "" } else { "\n" });
                text.push_str(line);
            }
        }
        in_list = item.ends_with('[') || in_list && is_number;
    }
    text
}
