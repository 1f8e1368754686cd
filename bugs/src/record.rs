//! What caught each bug, as `bugs/caught.json` keeps it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The failure that showed a bug.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Caught {
    /// The test that failed.
    pub test: String,
    /// Under which seed.
    pub seed: u64,
    /// After how much wall time, all tests under all seeds before it included. On two cores.
    pub seconds: f64,
    /// What it said, in a line.
    pub message: String,
}

/// A bug's name, and what caught it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Records(pub BTreeMap<String, Option<Caught>>);

impl Records {
    /// Those that this program was built with.
    ///
    /// # Errors
    /// The file isn't JSON of that form.
    pub fn embedded() -> Result<Records, String> {
        Records::parse(include_str!("../caught.json"))
    }

    /// Those in the file.
    ///
    /// # Errors
    /// It can't be read.
    pub fn load(path: &Path) -> Result<Records, String> {
        let text = std::fs::read_to_string(path);
        Records::parse(&text.map_err(|error| format!("{}: {error}", path.display()))?)
    }

    fn parse(text: &str) -> Result<Records, String> {
        serde_json::from_str(text).map_err(|error| format!("caught.json: {error}"))
    }

    /// Writes them to the file, sorted by name.
    ///
    /// # Errors
    /// It can't be written.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let json = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        std::fs::write(path, json + "\n").map_err(|error| format!("{}: {error}", path.display()))
    }

    /// What caught this bug. Nothing did, too, if nobody has tried.
    pub fn of(&self, name: &str) -> Option<&Caught> {
        self.0.get(name)?.as_ref()
    }
}
