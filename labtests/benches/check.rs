//! Measures how long the verdict on a history takes, and how long it takes until the verdict is explained. Reading the history
//! is not included. Measures the named files, or the files of a folder.
//!
//! ```text
//! cargo bench -p labtests --bench check -- ../shared/data
//! ```

use labrpc::time::{Duration, Instant};
use labtests::linearizability::{Found, History, Limit};
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How often each history is checked. The shortest time counts, because other work of the machine only adds to it.
const TIMES: usize = 20;

fn main() -> ExitCode {
    // cargo adds --bench.
    let args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let measured = files(args.map(PathBuf::from).collect()).and_then(|files| {
        files.iter().try_for_each(|file| {
            println!("{}", measure(file)?);
            Ok(())
        })
    });
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("error: {wrong}");
            ExitCode::FAILURE
        }
    }
}

/// cargo runs a benchmark in the folder of its package; paths are relative to the project.
fn project() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn files(named: Vec<PathBuf>) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in named {
        let path = project().join(path);
        if !path.is_dir() {
            files.push(path);
            continue;
        }
        let unreadable = |error| format!("can't read {}: {error}", path.display());
        let mut of_folder = Vec::new();
        for entry in fs::read_dir(&path).map_err(unreadable)? {
            of_folder.push(entry.map_err(unreadable)?.path());
        }
        of_folder.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
        of_folder.sort();
        files.extend(of_folder);
    }
    if files.is_empty() {
        println!("nothing to measure: name files, or a folder of .jsonl files");
    }
    Ok(files)
}

fn measure(path: &Path) -> Result<String, String> {
    let wrong = |what: String| format!("{}: {what}", path.display());
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let history = History::read(BufReader::new(file)).map_err(wrong)?;
    let mut least = [Duration::MAX; 2];
    let mut verdict = "";
    for _ in 0..TIMES {
        let began = Instant::now();
        let mut decided = Duration::ZERO;
        verdict = "ok";
        history.examine(Limit::None, |found| match found {
            Found::Linearizable(_) => decided = began.elapsed(),
            Found::Not(_) => (verdict, decided) = ("bad", began.elapsed()),
            Found::Undecided(_) => (verdict, decided) = ("undecided", began.elapsed()),
            Found::Why(_) => {}
        });
        let times = [decided, began.elapsed()];
        least = [0, 1].map(|which: usize| least[which].min(times[which]));
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let operations = history.operations();
    let [decided, explained] = least.map(|time| time.as_secs_f64() * 1e3);
    let why = (verdict == "bad").then(|| format!(", explained after {explained:.3}"));
    let why = why.unwrap_or_default();
    Ok(format!("{name:<20} {operations:>8} operations  {verdict:<9} {decided:>9.3} ms{why}"))
}
