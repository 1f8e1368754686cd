//! Shows the progress of a long command: a bar on a terminal, a line now and then in a pipe.

use super::out::Out;
use indicatif::{ProgressBar, ProgressStyle};
use labrpc::time::{Duration, Instant};
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// How often a line of progress is written to a pipe.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// See the module.
pub struct Progress {
    bar: ProgressBar,
    last_line: Instant,
}

impl Progress {
    /// Starts with `pieces` pieces of work, none of which is done. The bar is on standard error.
    pub fn new(pieces: u64) -> Progress {
        let template = "{wide_bar} {pos}/{len}, {msg}, {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar());
        let bar = ProgressBar::new(pieces).with_style(style);
        Progress { bar, last_line: Instant::now() }
    }

    /// `done` pieces were done before.
    pub fn begin_at(&self, done: u64) {
        self.bar.set_position(done);
        self.bar.reset_eta();
    }

    /// Says what is being done, while no piece gets done.
    pub fn note(&self, message: String) {
        self.bar.set_message(message);
        self.bar.tick();
    }

    /// One more piece is done; `message` describes all of them.
    pub fn advance(&self, message: String) {
        self.bar.set_message(message);
        self.bar.inc(1);
        if !self.bar.is_hidden() {
            // A terminal shows Ctrl-C as ^C at the cursor. With the cursor at the end of the line, ^C would start a new line.
            let _ = io::stderr().write_all(b"\r");
        }
    }

    /// Whether a line is due. On a terminal it never is, because the bar is shown there.
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

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
