//! Checks whether a bug that was caught once is caught again.

use crate::tree::failed;
use gallery::patch::Patch;
use gallery::record::Caught;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether a bug's program fails under this seed, in the test that caught it or in another one. `renames` gives other names to
/// fields, as in `success=agreed`.
pub fn is_caught(program: &Path, test: &str, seed: u64, renames: &str) -> Result<bool, String> {
    let fails = |tests: &[&str]| {
        let mut command = Command::new(program);
        command.env("LAB_RENAME", renames).args(["--shrink-runs", "0"]);
        command.args(["--strict", "--fail-fast", "--seed"]);
        command.arg(seed.to_string()).args(tests);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        match command.status().map_err(failed("run", program))?.code() {
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            other => {
                let program = program.display();
                Err(format!(
                    "LAB_RENAME={renames} {program} --seed {seed}: it ended with {other:?}"
                ))
            }
        }
    };
    Ok(fails(&[test])? || fails(&[])?)
}

/// Counts the bugs that are missed under some of the first seeds.
pub struct EverySeed {
    seeds: u64,
    tried: usize,
    missed: Vec<String>,
}

impl EverySeed {
    /// For this many seeds.
    pub fn new(seeds: u64) -> EverySeed {
        EverySeed { seeds, tried: 0, missed: Vec::new() }
    }

    /// Tries a bug's program under each seed. Returns a line about it.
    pub fn try_bug(&mut self, patch: &Patch, program: &Path, caught: &Caught) -> String {
        let missed = self.missed_by(|seed| is_caught(program, &caught.test, seed, ""));
        self.tried += 1;
        let what = match missed {
            Err(wrong) => format!("could not be tested: {wrong}"),
            Ok(missed) if missed.is_empty() => {
                return format!("{:<28} caught under each of {} seeds", patch.name, self.seeds);
            }
            Ok(missed) => format!("not caught under {}", missed.join(", ")),
        };
        let line = format!("{:<28} {what}", patch.name);
        self.missed.push(line.clone());
        line
    }

    fn missed_by(
        &self,
        is_caught: impl Fn(u64) -> Result<bool, String>,
    ) -> Result<Vec<String>, String> {
        let mut missed = Vec::new();
        for seed in 1..=self.seeds {
            if !is_caught(seed)? {
                missed.push(seed.to_string());
            }
        }
        Ok(missed)
    }

    /// Whether no bug was missed, with a text about those that were.
    pub fn summary(&self) -> (bool, String) {
        let (tried, seeds) = (self.tried, self.seeds);
        let caught = tried - self.missed.len();
        let missed: String = self.missed.iter().map(|line| format!("{line}\n")).collect();
        let text = format!("{caught} of {tried} bugs caught under each of {seeds} seeds\n{missed}");
        (self.missed.is_empty(), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_seed_must_catch_it() {
        let each = EverySeed::new(4);
        assert_eq!(each.missed_by(|_| Ok(true)), Ok(Vec::new()));
        assert_eq!(each.missed_by(|seed| Ok(seed % 2 == 0)), Ok(vec!["1".into(), "3".into()]));
        assert_eq!(each.missed_by(|_| Err("it died".into())), Err("it died".into()));
        let missed = vec!["a_bug not caught under 3".into()];
        let (well, text) = EverySeed { seeds: 4, tried: 2, missed }.summary();
        assert!(!well && text.starts_with("1 of 2 bugs caught under each of 4 seeds"), "{text}");
        assert!(EverySeed { seeds: 4, tried: 2, missed: Vec::new() }.summary().0);
    }
}
