//! `raftlab check`: whether a history is linearizable.

use super::{End, Out};
use crate::interrupt::LastWords;
use crate::linearizability::{History, Limit, Verdict};
use labrpc::time::{Duration, Instant};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// Reads the history, and says what it is.
///
/// # Errors
/// It can't be read, or is not as it should be.
pub fn check(file: &Path, limit: Option<Duration>, out: &mut Out) -> Result<End, String> {
    let reading =
        LastWords::new(|by| say_at_once(format!("interrupted by {by}: not all was read")));
    let history = read(file)?;
    drop(reading);
    let operations = match history.operations() {
        1 => "1 operation".into(),
        operations => format!("{operations} operations"),
    };
    let (began, so_many) = (Instant::now(), operations.clone());
    let checking = LastWords::new(move |by| {
        let time = began.elapsed().as_secs_f64();
        say_at_once(format!("interrupted by {by}: undecided after {time:.1} s: {so_many}"));
    });
    let (end, text) = match history.check(limit.map_or(Limit::None, Limit::Time)) {
        Verdict::Linearizable => (End::Well, format!("linearizable: {operations}")),
        Verdict::Not(why) => (End::Failed, format!("not linearizable: {why}")),
        Verdict::Undecided => {
            let limit = limit.unwrap_or_default();
            (End::Undecided, format!("undecided after {limit:?}: {operations}"))
        }
    };
    drop(checking);
    out.line(text);
    Ok(end)
}

fn say_at_once(text: String) {
    Out::stdout().line(text);
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
