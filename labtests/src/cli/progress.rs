//! How far a long command is: a bar on a terminal, a line now and then in a pipe.

use super::out::Out;
use indicatif::{ProgressBar, ProgressStyle};
use labrpc::time::{Duration, Instant};
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// In a pipe, it says this often how far it is.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// See the module.
pub struct Progress {
    bar: ProgressBar,
    last_line: Instant,
}

impl Progress {
    /// Of so many pieces of work, none of which is done. The bar is on standard error.
    pub fn new(pieces: u64) -> Progress {
        let template = "{wide_bar} {pos}/{len}, {msg}, {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar());
        let bar = ProgressBar::new(pieces).with_style(style);
        Progress { bar, last_line: Instant::now() }
    }

    /// So many were done before.
    pub fn begin_at(&self, done: u64) {
        self.bar.set_position(done);
        self.bar.reset_eta();
    }

    /// One more is done, and this is to say about all of them.
    pub fn advance(&self, message: String) {
        self.bar.set_message(message);
        self.bar.inc(1);
        if !self.bar.is_hidden() {
            // A terminal shows Ctrl-C as ^C where the cursor is. At the end of the line, that would begin a new one.
            let _ = io::stderr().write_all(b"\r");
        }
    }

    /// Whether it is time for a line: not on a terminal, which shows the bar.
    pub fn line_due(&mut self) -> bool {
        let due = !io::stderr().is_terminal() && self.last_line.elapsed() >= LINE_EVERY;
        if due {
            self.last_line = Instant::now();
        }
        due
    }

    /// Prints a line above the bar.
    pub fn say(&self, out: &mut Out, text: impl Display) {
        self.bar.suspend(|| out.line(text));
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
