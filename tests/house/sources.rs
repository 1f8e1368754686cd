//! The project's source files, parsed.

use std::fs;
use std::path::Path;

/// The crates, each with the folder of its sources.
pub const CRATES: [(&str, &str); 4] =
    [("labrpc", "labrpc/src"), ("labtests", "labtests/src"), ("src", "src"), ("bugs", "bugs/src")];

/// A source file of a crate.
pub struct Source {
    /// From the project's folder.
    pub path: String,
    pub text: String,
    pub file: syn::File,
}

/// All files in the `src` folders.
pub fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    CRATES.iter().for_each(|(_, folder)| collect(Path::new(folder), &mut sources));
    assert!(sources.len() > 200, "only {} files were found", sources.len());
    sources
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            sources.push(Source { path: path.to_str().unwrap().into(), text, file });
        }
    }
}
