//! The short version of a failure: how it is searched, where its tape is written, and how that is told.

use super::args::Flags;
use super::played::Act;
use super::progress::Progress;
use crate::interrupt;
use crate::lab::Lab;
use crate::report::Again;
use crate::runner::Report;
use crate::shrink::{self, Bounds, Short, Size, TapeFile, Unshortened};
use crate::story::Kind;
use labrpc::time::Duration;
use parking_lot::Mutex;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A search takes at most this long.
const WITHIN: Duration = Duration::from_secs(20);

/// A short version has at most this many of ten messages. Otherwise it only makes the text longer.
const MOST_OF_TEN: u64 = 7;

/// Makes short versions of failures.
pub struct Shortener {
    bounds: Bounds,
    folder: PathBuf,
}

impl Shortener {
    /// As the flags say. `None`: no short versions.
    pub fn of(flags: &Flags) -> Option<Shortener> {
        let bounds = Bounds { runs: flags.shrink_runs, within: Some(WITHIN) };
        let folder = flags.tapes.clone();
        let folder = folder.unwrap_or_else(|| std::env::temp_dir().join("raftlab-tapes"));
        (bounds.runs > 0 && !flags.real).then_some(Shortener { bounds, folder })
    }

    /// The short version of a failed run. `None` if there is nothing to say.
    pub fn shorten(
        &self,
        lab: &Lab,
        report: &Report,
        again: &Again,
        progress: &Progress,
    ) -> Option<Shortened> {
        let none = |why: &str| Shortened { text: format!("  no short version: {why}"), act: None };
        let tell = |runs, size: Size| {
            progress.note(format!("shortening: {runs} runs, {} messages", size.messages));
            interrupt::asked().map_or(ControlFlow::Continue(()), |_| ControlFlow::Break(()))
        };
        let short = match shrink::shrink(lab, report, self.bounds, tell) {
            Ok(short) => short,
            Err(Unshortened::OnlyOnCoroutines) => {
                let why = "its run on threads is not the same as on coroutines";
                return Some(none(why));
            }
            Err(_) => return None,
        };
        if short.after.messages * 10 > short.before.messages * MOST_OF_TEN {
            return None; // the run itself is as easy to read
        }
        let Again::Command(program) = again else { return None };
        let file = TapeFile::of(lab, &short.report, short.tape.clone());
        let path = self.folder.join(format!("{}-{}.tape", report.test.name, report.seed));
        let written = make_folder(&self.folder).and_then(|()| file.write(&path));
        if let Err(wrong) = written {
            return Some(none(&wrong));
        }
        let act = Act::of_tape(lab, short.report.test, report.seed, short.tape.clone(), &path);
        let mut text = format!("  short version: {} ({})", act.command(program), gain(&short));
        for line in story_of(&act) {
            text += &format!("\n  {line}");
        }
        Some(Shortened { text, act: Some(act) })
    }
}

/// A short version, or why there is none.
pub struct Shortened {
    /// What to print.
    pub text: String,
    /// The run, if there is one.
    pub act: Option<Act>,
}

/// A short version with more lines than this is not told as a part of the failure's text.
const LINES: usize = 60;

/// The story of a short version, if it fits a page: without saves, which every step has, and without what prepares the run.
fn story_of(act: &Act) -> Vec<String> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = lines.clone();
    act.replay(move |told| {
        let is_shown = !told.idle && !told.minor && told.kind != Kind::Save;
        if is_shown && !told.at.is_zero() {
            heard.lock().push(told.line());
        }
    });
    let lines = std::mem::take(&mut *lines.lock());
    if lines.len() > LINES { Vec::new() } else { lines }
}

fn make_folder(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("can't make {}: {error}", folder.display()))
}

/// How much shorter it is.
fn gain(Short { before, after, runs, stopped_early, .. }: &Short) -> String {
    let seconds = |size: &Size| size.time.as_secs_f64();
    let early = if *stopped_early { ", stopped early" } else { "" };
    format!(
        "{} messages in {:.1} s instead of {} in {:.1} s; {runs} runs{early}",
        after.messages,
        seconds(after),
        before.messages,
        seconds(before),
    )
}
