//! The gallery: the classic bugs of Raft. Each is a small patch, with the test that catches it.
//!
//! A bug is a file `bugs/NAME.patch`; [`patch`] describes its format. `caught.json` records which test of the lab caught each
//! bug ([`record`]). `raftlab bugs` shows both ([`lesson`]); `cargo run -p gallery` tests them.

// The print macros panic if they can't write.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod lesson;
pub mod list;
pub mod patch;
pub mod record;

use labtests::nearest::nearest;
use patch::Patch;
use std::collections::BTreeMap;
use std::path::Path;

/// The patches that are built into this program, by name.
///
/// # Errors
/// A patch is malformed.
pub fn embedded() -> Result<Vec<Patch>, String> {
    let patches = list::PATCHES.iter().map(|(name, text)| Patch::parse(name, text));
    numbered_once(patches.collect::<Result<_, _>>()?)
}

/// The patches in the folder, by name.
///
/// # Errors
/// Some patches are malformed, or can't be read. The text has one line for each.
pub fn load(folder: &Path) -> Result<Vec<Patch>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let (mut patches, mut wrong) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            let text = std::fs::read_to_string(&path).map_err(failed)?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            match Patch::parse(&name, &text) {
                Ok(patch) => patches.push(patch),
                Err(error) => wrong.push(error),
            }
        }
    }
    if !wrong.is_empty() {
        wrong.sort();
        return Err(wrong.join("\n"));
    }
    patches.sort_by(|a, b| a.name.cmp(&b.name));
    numbered_once(patches)
}

fn numbered_once(patches: Vec<Patch>) -> Result<Vec<Patch>, String> {
    let mut numbers = BTreeMap::new();
    for patch in &patches {
        if let Some(other) = numbers.insert(patch.number, &patch.name) {
            return Err(format!("{other} and {} are both bug {}", patch.name, patch.number));
        }
    }
    Ok(patches)
}

/// The patch with that name.
///
/// # Errors
/// There is no such patch. The text suggests the nearest name.
pub fn find<'a>(patches: &'a [Patch], name: &str) -> Result<&'a Patch, String> {
    if let Some(patch) = patches.iter().find(|patch| patch.name == name) {
        return Ok(patch);
    }
    let names = patches.iter().map(|patch| (patch.name.clone(), patch.name.as_str()));
    let suggestion = match nearest(name, names) {
        Some(meant) => format!("; did you mean {meant:?}?"),
        None => ".".into(),
    };
    Err(format!("there is no bug {name:?}{suggestion} `raftlab bugs` lists all bugs"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Records;

    #[test]
    fn the_list_is_what_the_folder_has() {
        let folder = load(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let names = |patches: &[Patch]| -> String {
            patches.iter().map(|patch| format!("    {}\n", patch.name)).collect()
        };
        let (listed, there) = (names(&embedded().unwrap()), names(&folder));
        assert!(listed == there, "src/list.rs must have\npatches! {{\n{there}}}");
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        let patch = |number, name: &str| {
            let text = format!(
                "Bug: {number} {name}\nGroup: Apply\nKind: safety\nHost: reference\nWhat: a\n\
                 Rule: b\nFalls: c\nSchedule: d\n---\n+++ b/src/raft/mod.rs\n"
            );
            Patch::parse(name, &text).unwrap()
        };
        let patches = vec![patch(4, "double_vote"), patch(7, "elect_half")];
        assert_eq!(find(&patches, "elect_half").unwrap().number, 7);
        let error = find(&patches, "duble_vot").unwrap_err();
        assert!(error.contains("did you mean \"double_vote\"?"), "{error}");
        assert!(!find(&patches, "zzz").unwrap_err().contains("did you mean"));
        let twice = vec![patch(4, "double_vote"), patch(4, "elect_half")];
        assert!(numbered_once(twice).unwrap_err().contains("both bug 4"));
    }

    #[test]
    fn every_record_is_of_a_bug() {
        let patches = embedded().unwrap();
        for name in Records::embedded().unwrap().0.keys() {
            find(&patches, name).unwrap();
        }
    }
}
