//! What `replay` plays: the run of a seed, or the run of a tape.

use super::args::Replayed;
use super::select;
use crate::lab::Lab;
use crate::runner::{self, Report};
use crate::shrink::TapeFile;
use crate::suites::LabTest;
use labrpc::tape::Tape;
use labrpc::trace::Sink;
use std::path::Path;

/// A run to play.
pub struct Act {
    lab: Lab,
    pub test: &'static LabTest,
    pub seed: u64,
    tape: Option<Tape>,
}

impl Act {
    /// What the arguments of `replay` name.
    ///
    /// # Errors
    /// There is no such test, or the file is no tape that can be played.
    pub fn of(lab: &Lab, what: Replayed, test: Option<String>) -> Result<Act, String> {
        match (what, test) {
            (Replayed::Seed(seed), Some(word)) => {
                Ok(Act { lab: lab.clone(), test: the_one(lab, &word)?, seed, tape: None })
            }
            (Replayed::Seed(seed), None) => {
                Err(format!("replay {seed} needs a test: replay {seed} TEST"))
            }
            (Replayed::Tape(file), Some(test)) => Err(format!(
                "{:?} is no seed, and a tape needs no test: replay SEED {test}, or replay {}",
                file.display().to_string(),
                file.display()
            )),
            (Replayed::Tape(file), None) if !file.exists() => Err(nothing_there(&file)),
            (Replayed::Tape(file), None) => {
                let TapeFile { test, seed, strict, tape, .. } = TapeFile::read(&file)?;
                if !lab.has(test) {
                    let why = "this program has no implementation that it can run on";
                    return Err(format!("{} is a tape of {}: {why}", file.display(), test.name));
                }
                let lab = if strict { lab.clone().strict() } else { lab.clone() };
                Ok(Act { lab, test, seed, tape: Some(tape) })
            }
        }
    }

    /// Plays it and sends its events to `sink`.
    pub fn replay(&self, sink: impl Sink) -> Report {
        let Act { lab, test, seed, tape } = self;
        match tape {
            None => runner::replay(lab, test, *seed, sink),
            Some(tape) => runner::replay_tape(lab, test, *seed, tape, sink),
        }
    }
}

fn nothing_there(file: &Path) -> String {
    let word = file.display().to_string();
    let is_test = runner::selected_by(&word).is_some();
    match is_test {
        true => format!("replay needs the seed, too: replay SEED {word}"),
        false => {
            format!("there is no file {word}. replay takes a seed and a test, or a tape's file")
        }
    }
}

/// The only test that the word selects.
fn the_one(lab: &Lab, word: &str) -> Result<&'static LabTest, String> {
    match select(lab, word, &[])?[..] {
        [test] => Ok(test),
        ref several => {
            let names: Vec<_> = several.iter().map(|test| test.name).collect();
            Err(format!("{word:?} selects several tests; name one of {}", names.join(", ")))
        }
    }
}
