//! Standard output and standard error that can't be written: no panic, and everything that can be printed is printed.
#![cfg(target_os = "linux")]

use std::fs::{File, OpenOptions};
use std::process::{Command, Output, Stdio};

/// Calls of every kind: with and without an error, with errors of ours and of the argument parser, with short and long output.
const CALLS: [&str; 12] = [
    "initial_election",
    "initial_election --seeds 3",
    "nope",
    "--nope",
    "--help",
    "--version",
    "--list",
    "replay 1 initial_election",
    "check no_such_file",
    "bugs",
    "bugs commit_old_term",
    "fuzz --seeds 2",
];

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

fn run(args: &str, out: impl Into<Stdio>, error: impl Into<Stdio>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raftlab"));
    command.args(args.split(' ')).env("RUST_LOG", "debug").stdin(Stdio::null());
    command.stdout(out).stderr(error).spawn().unwrap().wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_full_standard_error_changes_nothing() {
    for args in CALLS {
        let (heard, unheard) =
            (run(args, Stdio::piped(), Stdio::piped()), run(args, Stdio::piped(), full()));
        assert_eq!(unheard.status, heard.status, "{args}");
        // Only the numbers of lines are compared, because the times of the wall clock differ.
        let lines = |output: &Output| text(&output.stdout).lines().count();
        assert_eq!(lines(&unheard), lines(&heard), "{args}: {}", text(&unheard.stdout));
    }
}

#[test]
fn a_full_standard_output_is_an_error_that_is_told() {
    for args in CALLS {
        let (heard, full) =
            (run(args, Stdio::piped(), Stdio::piped()), run(args, full(), Stdio::piped()));
        let error = text(&full.stderr);
        assert_eq!(full.status.code(), Some(2), "{args}: {error}");
        let is_full =
            error.contains("error: can't write to standard output: No space left on device");
        assert_eq!(is_full, !heard.stdout.is_empty(), "{args}: {error}");
        assert!(!error.contains("panicked"), "{args}: {error}");
    }
}

#[test]
fn where_nothing_can_be_written_the_status_is_left() {
    for args in CALLS {
        assert_eq!(run(args, full(), full()).status.code(), Some(2), "{args}");
    }
}

/// As `| head` does.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    for args in CALLS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = run(args, writer, Stdio::piped());
        let error = text(&output.stderr);
        assert!(
            !error.contains("panicked") && !error.contains("standard output"),
            "{args}: {error}"
        );
    }
}

#[test]
fn nobody_goes_on_for_a_reader_that_has_gone() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = run("2A --seed 7", writer, Stdio::piped());
    assert_eq!(output.status.code(), Some(141), "as if SIGPIPE had ended it");
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("results.json");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let args = format!("2A --seed 7 --json {}", json.display());
    assert_eq!(
        run(&args, writer, Stdio::piped()).status.code(),
        Some(0),
        "somebody reads the file"
    );
    let runs: Vec<serde_json::Value> = serde_json::from_reader(File::open(json).unwrap()).unwrap();
    assert_eq!(runs.len(), 3);
}
