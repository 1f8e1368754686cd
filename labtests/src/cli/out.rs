//! Where the command writes.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};

/// Standard output, which may be full, and whose reader may go away.
pub struct Out {
    to: BufWriter<Box<dyn Write + Send>>,
    error: Option<io::Error>,
}

impl Out {
    /// Standard output.
    pub fn stdout() -> Out {
        Out::new(io::stdout())
    }

    /// Anything else: a file, for a test.
    pub fn new(to: impl Write + Send + 'static) -> Out {
        Out { to: BufWriter::new(Box::new(to)), error: None }
    }

    /// Writes a line that is to be seen at once.
    pub fn line(&mut self, text: impl Display) {
        self.queue(text);
        self.error = self.error.take().or_else(|| self.to.flush().err());
    }

    /// Writes one of many lines, at the latest with the next [`Out::line`].
    pub fn queue(&mut self, text: impl Display) {
        if self.error.is_none() {
            self.error = writeln!(self.to, "{text}").err();
        }
    }

    /// Whether everything could be written that somebody wanted to read.
    ///
    /// # Errors
    /// The disk is full, for instance.
    pub fn finish(&mut self) -> Result<(), String> {
        match self.error.take().or_else(|| self.to.flush().err()) {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(format!("can't write to standard output: {error}"))
            }
            _ => Ok(()),
        }
    }
}
