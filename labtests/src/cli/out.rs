//! Where the command writes its output.

use crate::interrupt::LOOK_EVERY;
use crate::report::Row;
use console::Term;
use labrpc::time::sleep;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

/// Standard output. Its disk may be full, and its reader may go away.
pub struct Out {
    to: BufWriter<Box<dyn Write + Send>>,
    error: Option<io::Error>,
    terminal: Option<Term>,
    insists: bool,
}

impl Out {
    /// Standard output.
    pub fn stdout() -> Out {
        let terminal = Some(Term::stdout()).filter(Term::is_term);
        Out { terminal, ..Out::new(io::stdout()) }
    }

    /// Any other destination, such as a file in a test.
    pub fn new(to: impl Write + Send + 'static) -> Out {
        Out { to: BufWriter::new(Box::new(to)), error: None, terminal: None, insists: false }
    }

    /// Writes a line and flushes it at once.
    pub fn line(&mut self, text: impl Display) {
        self.queue(&text);
        self.flush();
        if self.insists && self.is_broken() && io::stderr().is_terminal() {
            *self = Out { terminal: Some(Term::stderr()), ..Out::new(io::stderr()) };
            self.queue(&text);
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.error = self.error.take().or_else(|| self.to.flush().err());
    }

    /// From now on, lines that can't be written go to the terminal, if there is one. Ctrl-C also ends the program that reads
    /// the output (such as `tee`), so this waits a moment for that to happen.
    pub fn insist(&mut self) {
        self.insists = true;
        if self.terminal.is_none() {
            sleep(LOOK_EVERY);
        }
    }

    /// Writes a row of a table, fitted to the width of the output.
    pub fn row(&mut self, row: &Row) {
        self.line(row.fit(self.width()));
    }

    /// How many columns there are; `None`: no limit.
    pub fn width(&self) -> Option<usize> {
        let (_, columns) = self.terminal.as_ref()?.size_checked()?;
        Some(columns.into())
    }

    /// Whether colours can be shown, and are wanted (`NO_COLOR`).
    pub fn is_coloured(&self) -> bool {
        self.terminal.is_some() && console::colors_enabled()
    }

    /// Writes a line without flushing it. It appears at the latest with the next [`Out::line`].
    pub fn queue(&mut self, text: impl Display) {
        if self.error.is_none() {
            self.error = writeln!(self.to, "{text}").err();
        }
    }

    /// Whether nothing more can be written.
    pub fn is_broken(&self) -> bool {
        self.error.is_some()
    }

    /// Whether everything could be written, as long as somebody read it.
    ///
    /// # Errors
    /// For example, the disk is full.
    pub fn finish(&mut self) -> Result<(), String> {
        match self.error.take().or_else(|| self.to.flush().err()) {
            Some(error) => unless_unread(&error),
            None => Ok(()),
        }
    }
}

/// Whether this is an error. It is none if nobody reads any more.
///
/// # Errors
/// It is an error.
pub(super) fn unless_unread(error: &io::Error) -> Result<(), String> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(format!("can't write to standard output: {error}")),
    }
}

/// Prints something on standard error. If that fails too, there is nowhere left to report it.
pub(super) fn tell(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
