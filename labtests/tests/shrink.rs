//! The short version of a failing run: what it is, that it can be trusted, and how its file is read.

#![allow(missing_docs, reason = "tests")]

use labrpc::Persister;
use labrpc::tape::{Part, Tape};
use labrpc::time::Duration;
use labrpc::trace::Event;
use labtests::cli::{Out, Program};
use labtests::cluster::name;
use labtests::lab::Lab;
use labtests::report::first_line;
use labtests::runner::{self, Report, World};
use labtests::shrink::{self, Bounds, Short, TapeFile, Unshortened};
use labtests::suites::LabTest;
use labtests::suites::nastier::ONLY_STORMS;
use parking_lot::Mutex;
use raftlab::raft::Raft;
use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The reference, but a server that restarts finds an empty disk.
fn forgetful() -> Lab {
    Lab::new().raft(|peers, me, persister: Persister, apply| {
        let restarts = persister.raft_state_size() > 0;
        let persister = if restarts { Persister::new().named(name(me)) } else { persister };
        Raft::make(peers, me, persister, apply)
    })
}

fn test(name: &str) -> &'static LabTest {
    runner::select(name).unwrap()[0]
}

const RUNS: u32 = 300;

fn shortened(runs: u32) -> (Report, Result<Short, Unshortened>) {
    let lab = forgetful();
    let report = runner::run_one(&lab, test("all_servers_crash_together"), 1, World::Simulated);
    assert!(report.result.is_err(), "a server that forgets must be caught");
    let short = shrink::shrink(&lab, &report, Bounds { runs, within: None }, |_, _| {
        ControlFlow::Continue(())
    });
    (report, short)
}

/// The first line of a failure without its digits.
fn words(report: &Report) -> String {
    let failure = report.result.as_ref().expect_err("it should fail");
    first_line(&failure.message).chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

#[test]
fn a_failure_is_shortened_to_a_few_messages_and_fails_in_the_same_way() {
    let (report, short) = shortened(RUNS);
    let short = short.unwrap();
    assert!(short.runs <= RUNS && !short.stopped_early);
    assert!(short.after.messages <= 30, "{:?} instead of {:?}", short.after, short.before);
    assert!(short.after < short.before);
    assert_eq!(words(&short.report), words(&report));
    let events = Arc::new(Mutex::new(0));
    let sink = events.clone();
    let count = move |_: &Event| *sink.lock() += 1;
    let again = runner::replay_tape(&forgetful(), short.report.test, 1, &short.tape, count);
    assert_eq!(again.fingerprint, short.report.fingerprint);
    assert_eq!(again.result.as_ref().err(), short.report.result.as_ref().err());
    assert_eq!(*events.lock(), short.after.events);
    let (_, second) = shortened(RUNS);
    let second = second.unwrap();
    assert_eq!((second.tape, second.runs, second.after), (short.tape, short.runs, short.after));
}

#[test]
fn the_bound_on_runs_is_kept() {
    for runs in [1, 7, 20] {
        let mut told = Vec::new();
        let lab = forgetful();
        let test = test("all_servers_crash_together");
        let report = runner::run_one(&lab, test, 2, World::Simulated);
        let bounds = Bounds { runs, within: None };
        let short = shrink::shrink(&lab, &report, bounds, |run, _| {
            told.push(run);
            ControlFlow::Continue(())
        });
        assert_eq!(told, (1..=runs).collect::<Vec<_>>());
        assert_eq!(short.map_or(runs, |short| short.runs), runs);
    }
}

#[test]
fn a_limit_of_time_stops_a_search_early() {
    let lab = forgetful();
    let report = runner::run_one(&lab, test("all_servers_crash_together"), 1, World::Simulated);
    let bounds = Bounds { runs: RUNS, within: Some(Duration::ZERO) };
    let short = shrink::shrink(&lab, &report, bounds, |_, _| panic!("there is no time for a run"));
    assert_eq!(short.err(), Some(Unshortened::Nothing));
}

#[test]
fn a_run_that_passes_has_no_short_version() {
    let lab = Lab::new().raft(Raft::make);
    let report = runner::run_one(&lab, test("initial_election"), 1, World::Simulated);
    let short = shrink::shrink(&lab, &report, Bounds { runs: 10, within: None }, |_, _| {
        ControlFlow::Continue(())
    });
    assert_eq!(short.err(), Some(Unshortened::NotAFailure));
}

fn written(tape: Tape) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tape");
    let test = test("rejoin");
    let failure = "it failed".into();
    TapeFile { test, seed: 7, strict: true, failure, tape }.write(&path).unwrap();
    (folder, path)
}

fn a_tape() -> Tape {
    let draws = [("net S0->S1 Raft.Vote latency".to_string(), vec![1, 2, 3])].into();
    let parts = vec![
        Part { depth: 0, label: "run".into(), draws },
        Part { depth: 1, label: "round".into(), draws: [].into() },
    ];
    Tape { seed: u64::MAX, noisy: false, parts }
}

#[test]
fn a_file_is_read_as_it_was_written() {
    let (_folder, path) = written(a_tape());
    let file = TapeFile::read(&path).unwrap();
    assert_eq!((file.test.name, file.seed, file.strict), ("rejoin", 7, true));
    assert_eq!((file.failure.as_str(), file.tape), ("it failed", a_tape()));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("latency\": [1, 2, 3]\n"), "{text}");
}

#[test]
fn a_file_that_is_no_tape_is_told_what_is_wrong() {
    let (_folder, path) = written(a_tape());
    let good = fs::read_to_string(&path).unwrap();
    let wrong = |text: &str| {
        fs::write(&path, text).unwrap();
        let error = TapeFile::read(&path).unwrap_err();
        error.strip_prefix(&format!("{} ", path.display())).expect(&error).to_string()
    };
    for text in ["", "hello", "{}", "[1]", "{\"format\": \"other/1\"}", "\u{7f}ELF"] {
        assert_eq!(
            wrong(text),
            "is not a tape. A tape is a file that `test` has written for a failure"
        );
    }
    let newer = wrong(&good.replace("raftlab-tape/1", "raftlab-tape/2"));
    assert!(
        newer.starts_with("is a tape of format raftlab-tape/2, but this program reads"),
        "{newer}"
    );
    let shorter = wrong(&good[..good.len() / 2]);
    assert!(shorter.starts_with("is a damaged tape: "), "{shorter}");
    let edited = wrong(&good.replace("1, 2, 3", "1, 2, 4"));
    assert!(edited.starts_with("is a damaged tape: its checksum does not match"), "{edited}");
    let unknown = wrong(&good.replace("\"strict\"", "\"stricter\""));
    assert!(unknown.starts_with("is a damaged tape: unknown field"), "{unknown}");
    fs::write(&path, [0xff, 0xfe, 0, 1]).unwrap();
    assert!(TapeFile::read(&path).unwrap_err().contains("is not a tape"));
    fs::remove_file(&path).unwrap();
    assert!(TapeFile::read(&path).unwrap_err().contains("can't be read: No such file"));
}

/// The output of the command for these arguments, and its status.
fn command(args: &str) -> (u8, String) {
    let output = tempfile::NamedTempFile::new().unwrap();
    let out = Out::new(fs::File::create(output.path()).unwrap());
    let args = std::iter::once("raftlab").chain(args.split_whitespace());
    let status = Program::new(forgetful()).run(args, out);
    (status, fs::read_to_string(output.path()).unwrap())
}

#[test]
fn the_command_tells_of_the_tape_and_replays_it() {
    let folder = tempfile::tempdir().unwrap();
    let tapes = folder.path().join("tapes");
    let path = tapes.join("all_servers_crash_together-1.tape");
    let run = |more: &str| {
        command(&format!("all_servers_crash_together {more} --tapes {}", tapes.display()))
    };
    let (status, text) = run("--shrink-runs 0");
    assert!(status == 1 && !text.contains("short version") && !tapes.exists(), "{text}");
    let (status, text) = run("--shrink-runs 60");
    let line = text.lines().find(|line| line.starts_with("  short version: "));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert_eq!(status, 1);
    assert!(line.contains(&format!(" replay {} (", path.display())), "{line}");
    assert!(line.contains(" messages in ") && line.ends_with("; 60 runs)"), "{line}");
    let (status, events) = command(&format!("replay {}", path.display()));
    assert_eq!(status, 1);
    assert!(events.contains("FAILED 2C+ all_servers_crash_together: "), "{events}");
    assert_eq!(run("--shrink-runs 60").1.lines().find(|other| *other == line), Some(line));
    for wrong in ["nowhere.tape", "rejoin", "7"] {
        assert_eq!(command(&format!("replay {wrong}")).0, 2, "{wrong}");
    }
    assert_eq!(command(&format!("replay {} rejoin", path.display())).0, 2);
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replacen("[1", "[2", 1)).unwrap();
    assert_eq!(command(&format!("replay {}", path.display())).0, 2, "a damaged tape");
}

#[test]
fn storms_work_on_any_number_of_servers() {
    let lab = Lab::new().raft(Raft::make);
    for (number, name) in ONLY_STORMS.iter().enumerate() {
        let test = test(name).on([2, 3, 5][number % 3]);
        let report = runner::run_one(&lab, test, 1, World::Simulated);
        let stats = report.result.unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert_eq!(stats.servers, test.setup.servers, "{name}");
    }
}

/// A correct Raft is correct on every tape: the edits of a search can't make a failure.
#[test]
fn no_edit_of_a_tape_makes_a_correct_raft_fail() {
    use rand::{RngExt, SeedableRng};
    let lab = Lab::new().raft(Raft::make);
    let mut dice = rand_pcg::Pcg64::seed_from_u64(1);
    for name in ["crashes_around_saves", "replication_with_paused_threads"] {
        let tape = *runner::record(&lab, test(name), 1).tape.unwrap();
        for _ in 0..10 {
            let mut tape = tape.clone();
            for _ in 0..dice.random_range(1..40) {
                let chosen = dice.random_range(1..tape.parts.len());
                match dice.random_range(0..3) {
                    0 => drop(tape.parts.drain(tape.with_inner(chosen))),
                    1 => tape.parts[chosen].draws.clear(),
                    _ => tape.parts[chosen].draws.values_mut().flatten().for_each(|number| {
                        *number = dice.random_range(0..3) * dice.random_range(0..1000);
                    }),
                }
            }
            for servers in tape.parts[0].draws.get_mut("option takes part").into_iter().flatten() {
                *servers = dice.random_range(0..2);
            }
            let report = runner::replay_tape(&lab, test(name), 1, &tape, |_: &Event| {});
            report.result.unwrap_or_else(|failure| panic!("{name}: {failure}\n{tape:?}"));
        }
    }
}
