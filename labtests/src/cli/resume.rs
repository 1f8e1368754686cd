//! A sweep that can be interrupted. Now and then it saves to a file what it has found so far, and the next sweep starts from
//! that file.
//!
//! Results are added in the order of the work, so a file always describes the first runs of the work, without gaps.

use super::found::Found;
use super::work::Work;
use crate::report::WholeFile;
use crate::runner::World;
use labrpc::time::{Duration, Instant};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind};
use std::path::Path;

/// The file, and when it was last written.
pub struct Checkpoint {
    file: WholeFile,
    of: Sort,
    written: Instant,
}

/// At most this much is lost. The lost runs are run again, with the same results.
const EVERY: Duration = Duration::from_secs(5);

/// Files of other versions are rejected.
const FORMAT: u32 = 3;

#[derive(Serialize, Deserialize)]
struct Content<F> {
    format: u32,
    work: Sort,
    found: F,
}

/// The kind of sweep. A sweep can be resumed only by one of the same kind.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Sort {
    /// Other versions have other runs.
    version: String,
    tests: Vec<String>,
    first_seed: u64,
    seeds: u64,
    shard: String,
    world: String,
    strict: bool,
}

impl Sort {
    fn of(work: &Work, world: World, strict: bool) -> Sort {
        Sort {
            version: env!("CARGO_PKG_VERSION").into(),
            tests: work.tests().map(|test| test.name.to_string()).collect(),
            first_seed: work.first_seed(),
            seeds: work.seeds(),
            shard: work.shard().to_string(),
            world: world.name().into(),
            strict,
        }
    }

    /// The first difference from the kind that is wanted.
    fn differs(&self, wanted: &Sort) -> Option<String> {
        let of = |what: &str, has: &str, wants: &str| {
            format!("its {what} is {has}, but {wants} was given")
        };
        let number = |what, has: u64, wants: u64| {
            (has != wants).then(|| of(what, &has.to_string(), &wants.to_string()))
        };
        let text = |what, has: &str, wants: &str| (has != wants).then(|| of(what, has, wants));
        let tests = || {
            (self.tests != wanted.tests).then(|| {
                format!(
                    "it is for {} tests, but the {} tests selected now are different",
                    self.tests.len(),
                    wanted.tests.len()
                )
            })
        };
        text("version", &self.version, &wanted.version)
            .or_else(tests)
            .or_else(|| number("--seed", self.first_seed, wanted.first_seed))
            .or_else(|| number("--seeds", self.seeds, wanted.seeds))
            .or_else(|| text("--shard", &self.shard, &wanted.shard))
            .or_else(|| text("world", &self.world, &wanted.world))
            .or_else(|| {
                (self != wanted).then(|| "one sweep is --strict, and the other is not".into())
            })
    }
}

impl Checkpoint {
    /// Opens `path`, or prepares to write it. Also returns what the file says was found before.
    ///
    /// # Errors
    /// The file can't be read or written, is not a file of `--resume`, or belongs to another sweep.
    pub fn open(
        path: &Path,
        work: &Work,
        world: World,
        strict: bool,
    ) -> Result<(Checkpoint, Option<Found>), String> {
        let of = Sort::of(work, world, strict);
        let before = read(path, &of).map_err(|wrong| {
            format!(
                "can't resume from {}: {wrong}. Name another file, or remove this one to start over",
                path.display()
            )
        })?;
        let file = WholeFile::prepare(path)?;
        Ok((Checkpoint { file, of, written: Instant::now() }, before))
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Writes what was found, if a write is due.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn keep_now_and_then(&mut self, found: &Found, wall: Duration) -> Result<(), String> {
        if self.written.elapsed() < EVERY { Ok(()) } else { self.keep(found, wall) }
    }

    /// Writes what was found, and how much wall time that took.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn keep(&mut self, found: &Found, wall: Duration) -> Result<(), String> {
        self.written = Instant::now();
        let found = Found { wall, ..found.clone() };
        let content = Content { format: FORMAT, work: self.of.clone(), found };
        self.file.write(|file| Ok(serde_json::to_writer(file, &content)?))
    }
}

fn read(path: &Path, wanted: &Sort) -> Result<Option<Found>, String> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| error.to_string())?,
    };
    if fs::metadata(path).is_ok_and(|it| !it.is_file()) {
        return Err("it is not a regular file".into());
    }
    let content: Content<serde_json::Value> = serde_json::from_reader(BufReader::new(file))
        .map_err(|error| format!("it was not written by --resume ({error})"))?;
    if content.format != FORMAT {
        return Err(format!(
            "it has format {}, but this program reads format {FORMAT}",
            content.format
        ));
    }
    match content.work.differs(wanted) {
        Some(difference) => Err(difference),
        None => serde_json::from_value(content.found).map(Some).map_err(|error| error.to_string()),
    }
}
