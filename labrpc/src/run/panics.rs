//! The panic hook: a panic of a run's thread becomes the run's failure.

use crate::context::here;
use crate::context::unwind::{PanicNote, set_last};
use std::panic;
use std::sync::OnceLock;

/// Installs a hook that notes the panics of a run's threads instead of printing them, because the run's failure shows them.
pub(super) fn install_hook() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if here().is_none() {
                return before(info);
            }
            let trace = std::backtrace::Backtrace::capture();
            let captured = trace.status() == std::backtrace::BacktraceStatus::Captured;
            let note = PanicNote {
                place: info.location().map(|l| format!("{}:{}", l.file(), l.line())),
                backtrace: captured.then(|| own_frames(&trace.to_string())),
            };
            set_last(Some(note));
        }));
    });
}

/// The frames of a backtrace without those of Rust's panic code and those of the thread's start.
fn own_frames(backtrace: &str) -> String {
    let mut frames: Vec<String> = Vec::new();
    for line in backtrace.lines() {
        let begins = line.trim_start().starts_with(|c: char| c.is_ascii_digit());
        match frames.last_mut() {
            Some(frame) if !begins => *frame = format!("{frame}\n{line}"),
            _ => frames.push(line.to_string()),
        }
    }
    let panics = |frame: &String| frame.contains("panicking::") || frame.contains("begin_unwind");
    let first = frames.iter().position(|frame| frame.contains("begin_unwind")).unwrap_or(0);
    let own = frames.into_iter().skip(first).skip_while(panics);
    let own: Vec<_> = own.take_while(|frame| !frame.contains("catch_unwind")).collect();
    own.join("\n")
}
