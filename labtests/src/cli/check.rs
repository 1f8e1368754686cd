//! `raftlab check`: whether a history is linearizable.

use super::{End, Out};
use crate::linearizability::{History, Limit, Verdict};
use labrpc::time::Duration;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// Reads the history, and says what it is.
///
/// # Errors
/// It can't be read, or is not as it should be.
pub fn check(file: &Path, limit: Option<Duration>, out: &mut Out) -> Result<End, String> {
    let history = read(file)?;
    let operations = match history.operations() {
        1 => "1 operation".into(),
        operations => format!("{operations} operations"),
    };
    let (end, text) = match history.check(limit.map_or(Limit::None, Limit::Time)) {
        Verdict::Linearizable => (End::Well, format!("linearizable: {operations}")),
        Verdict::Not(why) => (End::Failed, format!("not linearizable: {why}")),
        Verdict::Undecided => {
            let limit = limit.unwrap_or_default();
            (End::Undecided, format!("undecided after {limit:?}: {operations}"))
        }
    };
    out.line(text);
    Ok(end)
}

fn read(file: &Path) -> Result<History, String> {
    let (name, from): (_, Box<dyn BufRead>) = if file == Path::new("-") {
        ("standard input".into(), Box::new(io::stdin().lock()))
    } else {
        let opened = File::open(file);
        let opened = opened.map_err(|error| format!("can't read {}: {error}", file.display()))?;
        (file.display().to_string(), Box::new(BufReader::new(opened)))
    };
    History::read(from).map_err(|wrong| format!("{name}: {wrong}"))
}
