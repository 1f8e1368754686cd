//! Reads the lines of a file, which may be compressed.

use flate2::bufread::MultiGzDecoder;
use std::io::{BufRead, BufReader, Read};

/// A longer line is rejected, so that it can't use up the memory.
const LONGEST: u64 = 64 << 20;

/// Some editors put this at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of a file, without blank lines.
pub struct Lines<'a> {
    from: Box<dyn BufRead + 'a>,
    number: u32,
    line: Vec<u8>,
}

impl<'a> Lines<'a> {
    /// Starts to read a file, which may be compressed with gzip.
    ///
    /// # Errors
    /// It can't be read.
    pub fn new(from: impl Read + 'a) -> Result<Lines<'a>, String> {
        let mut from = BufReader::new(from);
        let start = from.fill_buf().map_err(|error| format!("can't read it: {error}"))?;
        let from: Box<dyn BufRead + 'a> = match start {
            [0x1f, 0x8b, ..] => Box::new(BufReader::new(MultiGzDecoder::new(from))),
            _ => Box::new(from),
        };
        Ok(Lines { from, number: 0, line: Vec::new() })
    }

    /// The next line, without surrounding space, and with its number. `None`: there are no more lines.
    ///
    /// # Errors
    /// It can't be read, or is not a line of text.
    pub fn next(&mut self) -> Result<Option<(u32, &str)>, String> {
        loop {
            self.number += 1;
            self.line.clear();
            let number = self.number;
            let mut some = self.from.by_ref().take(LONGEST);
            let read = some.read_until(b'\n', &mut self.line);
            let read = read.map_err(|error| format!("can't read line {number}: {error}"))?;
            if read == 0 {
                return Ok(None);
            }
            if read as u64 == LONGEST && !self.line.ends_with(b"\n") {
                return Err(format!("line {number} is longer than {} MiB", LONGEST >> 20));
            }
            if number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
                self.line.drain(..BYTE_ORDER_MARK.len());
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        let wrong = |_| format!("line {}: this is not UTF-8", self.number);
        let text = std::str::from_utf8(&self.line).map_err(wrong)?;
        Ok(Some((self.number, text.trim())))
    }
}
