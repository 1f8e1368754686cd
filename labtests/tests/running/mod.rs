//! Runs the command inside a test.

use labtests::cli::{Out, Program};
use labtests::lab::Lab;
use std::fs::{self, File};
use tempfile::NamedTempFile;

/// The exit status of the command with these arguments, and what it prints.
pub fn command(lab: impl Into<Lab>, args: &str) -> (u8, String) {
    let output = NamedTempFile::new().unwrap();
    let out = Out::new(File::create(output.path()).unwrap());
    let args = std::iter::once("raftlab").chain(args.split_whitespace());
    let status = Program::new(lab).run(args, out);
    (status, fs::read_to_string(output.path()).unwrap())
}
