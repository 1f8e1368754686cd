//! Where the command writes.

use crate::interrupt::LOOK_EVERY;
use crate::report::Row;
use console::Term;
use labrpc::time::sleep;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

/// Standard output, which may be full, and whose reader may go away.
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

    /// Anything else: a file, for a test.
    pub fn new(to: impl Write + Send + 'static) -> Out {
        Out { to: BufWriter::new(Box::new(to)), error: None, terminal: None, insists: false }
    }

    /// Writes a line that is to be seen at once.
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

    /// From now on, lines that can't be written go to the terminal, if there is one. Ctrl-C ends whoever reads them, too (`tee`, for one),
    /// and has a moment for it.
    pub fn insist(&mut self) {
        self.insists = true;
        if self.terminal.is_none() {
            sleep(LOOK_EVERY);
        }
    }

    /// Writes the row of a table, as it fits here.
    pub fn row(&mut self, row: &Row) {
        self.line(row.fit(self.width()));
    }

    /// How many columns there are; `None`: as many as one likes.
    pub fn width(&self) -> Option<usize> {
        let (_, columns) = self.terminal.as_ref()?.size_checked()?;
        Some(columns.into())
    }

    /// Writes one of many lines, at the latest with the next [`Out::line`].
    pub fn queue(&mut self, text: impl Display) {
        if self.error.is_none() {
            self.error = writeln!(self.to, "{text}").err();
        }
    }

    /// Whether nothing more can be written.
    pub fn is_broken(&self) -> bool {
        self.error.is_some()
    }

    /// Whether everything could be written that somebody wanted to read.
    ///
    /// # Errors
    /// The disk is full, for instance.
    pub fn finish(&mut self) -> Result<(), String> {
        match self.error.take().or_else(|| self.to.flush().err()) {
            Some(error) => unless_unread(&error),
            None => Ok(()),
        }
    }
}

/// Whether that is an error: not if nobody reads any more.
///
/// # Errors
/// It is.
pub(super) fn unless_unread(error: &io::Error) -> Result<(), String> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(format!("can't write to standard output: {error}")),
    }
}

/// Says something on standard error. If that can't be written either, nobody can be told.
pub(super) fn tell(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
