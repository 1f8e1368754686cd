//! What `replay` plays: the run of a seed, or the run of a tape.

use super::args::Replayed;
use super::select;
use crate::lab::Lab;
use crate::report::first_line;
use crate::runner::{self, Report};
use crate::shrink::TapeFile;
use crate::story::Told;
use crate::suites::LabTest;
use labrpc::tape::Tape;
use std::path::{Path, PathBuf};

/// A run to play.
pub struct Act {
    lab: Lab,
    pub test: &'static LabTest,
    pub seed: u64,
    tape: Option<(Tape, PathBuf)>,
    /// How the run failed when its tape was written.
    failed: Option<String>,
}

impl Act {
    /// What the arguments of `replay` name.
    ///
    /// # Errors
    /// There is no such test, or the file is no tape that can be played.
    pub fn of(lab: &Lab, what: &Replayed, test: Option<&str>) -> Result<Act, String> {
        match (what, test) {
            (Replayed::Seed(seed), Some(word)) => Ok(Act {
                lab: lab.clone(),
                test: the_one(lab, word)?,
                seed: *seed,
                tape: None,
                failed: None,
            }),
            (Replayed::Seed(seed), None) => {
                Err(format!("replay {seed} needs a test: replay {seed} TEST"))
            }
            (Replayed::Tape(file), Some(test)) => Err(format!(
                "{:?} is no seed, and a tape needs no test: replay SEED {test}, or replay {}",
                file.display().to_string(),
                file.display()
            )),
            (Replayed::Tape(file), None) if !file.exists() => Err(nothing_there(file)),
            (Replayed::Tape(file), None) => {
                let TapeFile { test, seed, strict, tape, failure, .. } = TapeFile::read(file)?;
                if !lab.has(test) {
                    let why = "this program has no implementation that it can run on";
                    return Err(format!("{} is a tape of {}: {why}", file.display(), test.name));
                }
                let lab = if strict { lab.clone().strict() } else { lab.clone() };
                Ok(Act { lab, test, seed, tape: Some((tape, file.clone())), failed: Some(failure) })
            }
        }
    }

    /// The run of a seed.
    pub fn of_seed(lab: &Lab, test: &'static LabTest, seed: u64) -> Act {
        Act { lab: lab.clone(), test, seed, tape: None, failed: None }
    }

    /// The run of a tape, which is in this file.
    pub fn of_tape(lab: &Lab, test: &'static LabTest, seed: u64, tape: Tape, file: &Path) -> Act {
        Act { lab: lab.clone(), test, seed, tape: Some((tape, file.into())), failed: None }
    }

    /// Plays it and passes what happens to `hear`.
    pub fn replay(&self, hear: impl FnMut(&Told) + Send + 'static) -> Report {
        let Act { lab, test, seed, tape, .. } = self;
        match tape {
            None => runner::replay_told(lab, test, *seed, hear),
            Some((tape, _)) => runner::replay_tape_told(lab, test, *seed, tape, hear),
        }
    }

    /// A remark, if a tape fails in another way than when it was written.
    pub fn doubt(&self, report: &Report) -> Option<String> {
        let failed = self.failed.as_ref()?;
        let message = report.result.as_ref().err().map(|failure| first_line(&failure.message));
        (message != Some(first_line(failed))).then(|| {
            format!(
                "note: the run of this tape did not fail as when the tape was written ({}). A tape is for the program that wrote \
                 it: another Raft, or changed code, draws other numbers",
                first_line(failed)
            )
        })
    }

    /// The command that plays it again. `program` is the command that runs this program again.
    pub fn command(&self, program: &str) -> String {
        match &self.tape {
            None => format!("{program} replay {} {}", self.seed, self.test.name),
            Some((_, file)) => format!("{program} replay {}", file.display()),
        }
    }

    /// A name for its files. A part may have a plus, which is awkward in addresses.
    pub fn name(&self) -> String {
        let part = self.test.part.replace('+', "plus").replace('/', "-");
        let short = if self.tape.is_some() { "-short" } else { "" };
        format!("{part}-{}-seed-{}{short}", self.test.name, self.seed)
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
