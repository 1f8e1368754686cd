//! `raftlab check`: decides whether a history is linearizable.

use super::args::CheckArgs;
use super::pages::Pages;
use super::{End, Out};
use crate::interrupt::{self, Interrupt, LOOK_EVERY};
use crate::linearizability::{Bounds, Contradiction, Found, History, Limit, Options, Row};
use crate::report::WholeFile;
use crate::story;
use labrpc::channel::{self, RecvTimeoutError, Sender};
use labrpc::thread;
use labrpc::time::{Duration, Instant};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A message from the thread that reads and checks.
enum Said {
    Wrong(String),
    Read(Arc<History>),
    Found(Found),
    Done,
}

/// Reads the history and prints the verdict. All of that stays within the limit, because the work is done in another thread;
/// when the limit is reached, that thread is simply left running.
///
/// # Errors
/// A file can't be read, or is malformed.
pub fn check(
    args: CheckArgs,
    json: Option<&Path>,
    folder: Option<&Path>,
    out: &mut Out,
) -> Result<End, String> {
    let json = json.map(WholeFile::prepare).transpose()?;
    let pages = folder.map(|folder| Pages::prepare(folder, "")).transpose()?;
    let CheckArgs { files, limit, memory, model, initial, .. } = args;
    let options = Options { service: model, initial };
    let bounds = Bounds { limit: Limit::None, memory: memory as usize * (1 << 20) };
    let (say, said) = channel::unbounded();
    let deadline = limit.map(|limit| Instant::now() + limit);
    thread::spawn(move || work(&files, &options, bounds, &say));
    let mut report = Report::default();
    loop {
        report.interrupted = interrupt::asked();
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if report.interrupted.is_some() || left == Some(Duration::ZERO) {
            break;
        }
        match said.recv_timeout(left.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY))) {
            Ok(Said::Wrong(wrong)) => return Err(wrong),
            Ok(Said::Read(history)) => report.history = Some(history),
            Ok(Said::Found(found)) => report.found(found),
            Ok(Said::Done) => {
                report.complete = true;
                break;
            }
            Err(RecvTimeoutError::Timeout) => {}
            // The thread panicked. Report what is known.
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    report.tell(limit, out);
    if let Some(pages) = pages {
        let page = report.draw(&pages)?;
        page.into_iter().for_each(|page| out.line(format_args!("page: {}", page.display())));
    }
    if let Some(json) = json {
        report.write(&json)?;
    }
    Ok(report.end())
}

fn work(files: &[PathBuf], options: &Options, bounds: Bounds, say: &Sender<Said>) {
    let history = match open(files).and_then(|files| History::read_all(files, options)) {
        Ok(history) => Arc::new(history),
        Err(wrong) => return drop(say.send(Said::Wrong(wrong))),
    };
    let _ = say.send(Said::Read(history.clone()));
    // The process ends after the verdict. Freeing a million operations first would only take time.
    std::mem::forget(history.clone());
    history.examine(bounds, |found| _ = say.send(Said::Found(found)));
    let _ = say.send(Said::Done);
}

type Opened = (String, Box<dyn Read>);

fn open(files: &[PathBuf]) -> Result<Vec<Opened>, String> {
    let open = |file: &PathBuf| -> Result<Opened, String> {
        if file == Path::new("-") {
            return Ok(("standard input".into(), Box::new(io::stdin().lock())));
        }
        let opened = File::open(file);
        let opened = opened.map_err(|error| format!("can't read {}: {error}", file.display()))?;
        Ok((file.display().to_string(), Box::new(opened)))
    };
    files.iter().map(open).collect()
}

fn operation(key: &str, row: &Row) -> story::Operation {
    let ms = |nanos: u64| nanos as f64 / 1e6;
    story::Operation {
        name: row.name.clone(),
        client: row.client,
        call: ms(row.call),
        returned: row.ret.map(ms),
        operation: row.operation.clone(),
        answer: row.answer.clone(),
        order: None,
        misfit: false,
        key: key.into(),
    }
}

/// What is known about a history.
#[derive(Default)]
struct Report {
    history: Option<Arc<History>>,
    linearizable: usize,
    wrong: Vec<String>,
    undecided: Vec<String>,
    contradictions: Vec<Contradiction>,
    complete: bool,
    interrupted: Option<Interrupt>,
}

/// The same report for programs.
#[derive(Serialize)]
struct Json<'a> {
    verdict: &'static str,
    /// Whether the check ran to its end.
    complete: bool,
    operations: Option<usize>,
    linearizable_keys: usize,
    not_linearizable_keys: &'a [String],
    undecided_keys: &'a [String],
    contradictions: &'a [Contradiction],
}

impl Report {
    fn found(&mut self, found: Found) {
        match found {
            Found::Linearizable(_) => self.linearizable += 1,
            Found::Not(key) => self.wrong.push(key),
            Found::Undecided(key) => self.undecided.push(key),
            Found::Why(why) => {
                self.contradictions.push(*why);
                self.contradictions.sort_by_key(|why| why.operations.len());
            }
        }
    }

    fn end(&self) -> End {
        if let Some(by) = self.interrupted {
            return End::Interrupted(by);
        }
        self.verdict()
    }

    fn verdict(&self) -> End {
        match (self.wrong.is_empty(), self.undecided.is_empty() && self.complete) {
            (false, _) => End::Failed,
            (true, true) => End::Well,
            (true, false) => End::Undecided,
        }
    }

    fn tell(&self, limit: Option<Duration>, out: &mut Out) {
        let so_far = match (self.interrupted, limit) {
            (Some(by), _) => format!("interrupted by {by}"),
            (None, Some(limit)) => format!("not certain after {limit:?}"),
            (None, None) => "the check ended too early".into(),
        };
        let Some(history) = &self.history else {
            return out.line(format!("undecided: the history was not read to its end; {so_far}"));
        };
        let operations = match history.operations() {
            1 => "1 operation".into(),
            operations => format!("{operations} operations"),
        };
        for (number, why) in self.contradictions.iter().enumerate() {
            if number > 0 {
                out.line("");
            }
            out.line(format!("not linearizable: {why}"));
            for place in &why.operations {
                if let Some(note) = history.note(*place) {
                    out.line(format!("  #{}: {note}", history.place(*place)));
                }
            }
        }
        let explained = |key: &String| self.contradictions.iter().any(|why| why.key == *key);
        let unexplained: Vec<_> = self.wrong.iter().filter(|key| !explained(key)).collect();
        if !unexplained.is_empty() {
            out.line(format!(
                "not linearizable: keys {unexplained:?}; their explanation was not finished; {so_far}"
            ));
        }
        match self.verdict() {
            End::Well => out.line(format!("linearizable: {operations}")),
            End::Failed if self.wrong.len() + self.undecided.len() + self.linearizable > 1 => {
                out.line(format!(
                    "{operations}: {} keys are not linearizable, {} are, {} are undecided",
                    self.wrong.len(),
                    self.linearizable,
                    self.undecided.len()
                ));
            }
            End::Failed => {}
            _ => {
                let why = match self.complete {
                    false => so_far,
                    true => "a search needs more memory than --memory allows".into(),
                };
                out.line(format!("undecided: {operations}; {why}"));
            }
        }
    }

    /// Writes the page of the history: of the keys that are not linearizable, or of all keys if there are none. `None`: there is no
    /// history.
    fn draw(&self, pages: &Pages) -> Result<Option<PathBuf>, String> {
        let Some(history) = &self.history else { return Ok(None) };
        let keys: Vec<_> = self.contradictions.iter().map(|why| why.key.clone()).collect();
        let rows = history.rows((!keys.is_empty()).then_some(&keys[..]));
        let place = |of: &usize| rows.binary_search_by_key(of, |(place, ..)| *place).ok();
        let whys = self.contradictions.iter().map(|why| story::Contradiction {
            key: why.key.clone(),
            longest: why.longest.iter().filter_map(place).collect(),
            misfit: why.misfit.as_ref().and_then(place),
            text: why.to_string(),
        });
        let whys = whys.collect();
        let operations = rows.iter().map(|(_, key, row)| operation(key, row)).collect();
        let verdict = match self.verdict() {
            End::Well => Some(true),
            End::Failed => Some(false),
            _ => None,
        };
        pages.draw_history(operations, whys, verdict).map(Some)
    }

    fn write(&self, file: &WholeFile) -> Result<(), String> {
        let json = Json {
            verdict: match self.verdict() {
                End::Well => "linearizable",
                End::Failed => "not linearizable",
                _ => "undecided",
            },
            complete: self.complete,
            operations: self.history.as_ref().map(|history| history.operations()),
            linearizable_keys: self.linearizable,
            not_linearizable_keys: &self.wrong,
            undecided_keys: &self.undecided,
            contradictions: &self.contradictions,
        };
        file.write(|to| {
            serde_json::to_writer_pretty(&mut *to, &json)?;
            writeln!(to)
        })
    }
}
