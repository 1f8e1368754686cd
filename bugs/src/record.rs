//! The records of what caught each bug, as stored in `bugs/caught.json`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The failure that revealed a bug.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Caught {
    /// The test that failed.
    pub test: String,
    /// The seed.
    pub seed: u64,
    /// The wall time in seconds, including all tests under all seeds before it. On two cores.
    pub seconds: f64,
    /// The first line of the failure message.
    pub message: String,
}

/// What caught each bug, by the bug's name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Records(pub BTreeMap<String, Option<Caught>>);

impl Records {
    /// The records that are built into this program.
    ///
    /// # Errors
    /// The file is not JSON of that form.
    pub fn embedded() -> Result<Records, String> {
        Records::parse(include_str!("../caught.json"))
    }

    /// The records in the file.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn load(path: &Path) -> Result<Records, String> {
        let text = std::fs::read_to_string(path);
        Records::parse(&text.map_err(|error| format!("{}: {error}", path.display()))?)
    }

    fn parse(text: &str) -> Result<Records, String> {
        serde_json::from_str(text).map_err(|error| format!("caught.json: {error}"))
    }

    /// Writes the records to the file, sorted by name.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let json = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        std::fs::write(path, json + "\n").map_err(|error| format!("{}: {error}", path.display()))
    }

    /// What caught this bug. `None` if nothing did, or if nobody has tried.
    pub fn of(&self, name: &str) -> Option<&Caught> {
        self.0.get(name)?.as_ref()
    }
}
