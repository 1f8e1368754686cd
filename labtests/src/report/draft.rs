//! A results file that grows with each run and appears only when it is complete.

use super::whole_file::WholeFile;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

/// See the [module](self). Until the file is complete, its content is in a file without a name, because it may not fit in memory.
pub struct Draft {
    file: WholeFile,
    text: BufWriter<File>,
    error: Option<io::Error>,
}

impl Draft {
    /// Prepares to write `path`, so that an unwritable path is reported before the tests run. Nothing is left behind if the
    /// program is stopped. `flag` is the flag that named the path.
    ///
    /// # Errors
    /// The folder doesn't exist or can't be written; or the path exists and is not a file, or may not be written.
    pub fn create(path: &Path, flag: &str) -> Result<Draft, String> {
        if path == Path::new("-") {
            return Err(format!(
                "can't write -: {flag} needs the name of a file, because the table goes to standard output"
            ));
        }
        let file = WholeFile::prepare(path)?;
        let text = BufWriter::new(file.draft()?);
        Ok(Draft { file, text, error: None })
    }

    /// Where the file will be.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Adds something at the end. After an error nothing more is added, and [`Draft::finish`] reports the error.
    pub fn add(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        if self.error.is_none() {
            self.error = write(&mut self.text).err();
        }
    }

    /// Writes the file in one step: at every moment, the path has either the old file or the new one. `head` goes before
    /// everything that was added.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn finish(self, head: &[u8]) -> Result<(), String> {
        let Draft { file, text, error } = self;
        file.write(|whole| {
            if let Some(error) = error {
                return Err(error);
            }
            let mut text = text.into_inner()?;
            text.rewind()?;
            whole.write_all(head)?;
            io::copy(&mut text, whole).map(|_| ())
        })
    }
}
