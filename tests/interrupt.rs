//! Ctrl-C and SIGTERM as the shell sees them: whatever the command is doing, it ends, prints what it knows, and loses nothing.
#![cfg(unix)]

mod shell;

use labrpc::time::{Duration, sleep};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use shell::{Ended, InPipe, InTerminal};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// More runs than any machine can do in the time of this test.
const ENDLESS: &str = "2A --seeds 1000000";

fn in_folder(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

/// How many runs the file has, and how many it says were not run.
fn incomplete(json: &Path, signal: &str) -> (u64, u64) {
    let text = std::fs::read_to_string(json).unwrap();
    let mut lines: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mark = lines.pop().unwrap();
    assert_eq!(mark["incomplete"], true, "{mark}");
    assert_eq!(mark["interrupted_by"], signal, "{mark}");
    assert!(lines.iter().all(|line| line["passed"] == true));
    (lines.len() as u64, mark["not_run"].as_u64().unwrap())
}

/// How many runs the last line counts, and how many there should have been.
#[track_caller]
fn last_line(ended: &Ended, signal: &str) -> (u64, u64) {
    let line = ended.out.trim_end().lines().last().unwrap_or_default();
    let begin = format!("interrupted by {signal} after ");
    let counts = line.strip_prefix(&begin).unwrap_or_else(|| panic!("{}", ended.out));
    let (made, rest) = counts.split_once(" of ").unwrap();
    let all = rest.split(' ').next().unwrap();
    (made.parse().unwrap(), all.parse().unwrap())
}

#[test]
fn simulated_runs_in_a_pipe_are_all_in_the_json() {
    let (_folder, json) = in_folder("results.json");
    let mut lab = InPipe::start(&format!("--json {}", json.display()));
    lab.until("passed");
    lab.send(Signal::INT);
    let ended = lab.end().with_status(130);
    let (made, not_run) = incomplete(&json, "SIGINT");
    assert_eq!(last_line(&ended, "SIGINT"), (made, made + not_run));
    assert_eq!(ended.out.matches(" passed ").count() as u64, made, "{}", ended.out);
    assert!(ended.out.contains(&format!("{made} passed, 0 failed, {not_run} not run\n")));
    assert_eq!(ended.error, "");
}

#[test]
fn real_runs_in_a_pipe_are_all_in_the_json() {
    let (_folder, json) = in_folder("results.json");
    let mut lab = InPipe::start(&format!("--real 2A 2B --json {}", json.display()));
    lab.until("passed");
    lab.send(Signal::TERM);
    let ended = lab.end().with_status(143);
    let (made, not_run) = incomplete(&json, "SIGTERM");
    assert_eq!((last_line(&ended, "SIGTERM").0, made + not_run), (made, 13));
    assert_eq!(ended.out.matches(" passed ").count() as u64, made, "{}", ended.out);
}

#[test]
fn junit_marks_what_an_interrupt_left_out() {
    let (folder, junit) = in_folder("results.xml");
    let json = folder.path().join("results.json");
    let mut lab = InPipe::start(&format!("--json {} --junit {}", json.display(), junit.display()));
    lab.until("passed");
    lab.send(Signal::INT);
    let ended = lab.end().with_status(130);
    let (made, not_run) = incomplete(&json, "SIGINT");
    let files = format!("{} and {}", json.display(), junit.display());
    let last = format!(": {files} have these results and are marked incomplete\n");
    assert!(ended.out.ends_with(&last), "{}", ended.out);
    let xml = std::fs::read_to_string(junit).unwrap();
    let all = made + not_run;
    let counts = format!("tests=\"{}\" failures=\"0\" errors=\"1\"", made + 1);
    assert!(xml.contains(&counts), "{xml}");
    let why = format!("<error message=\"interrupted by SIGINT after {made} of {all} runs\">");
    assert!(xml.contains(&why) && xml.ends_with("</testsuites>\n"), "{xml}");
    assert_eq!(xml.matches("<testcase ").count() as u64, made + 1);
}

#[test]
fn a_sweep_in_a_pipe_goes_on_after_what_it_kept() {
    let (_folder, file) = in_folder("sweep");
    let args = format!("{ENDLESS} --resume {}", file.display());
    let sweep = InPipe::start(&args);
    while !file.exists() {
        sleep(Duration::from_millis(20));
    }
    sweep.send(Signal::INT);
    let ended = sweep.end().with_status(130);
    assert_eq!(last_line(&ended, "SIGINT").1, 3_000_000);
    let advice = format!("run again with --resume {} to continue after ", file.display());
    let (_, kept) = ended.out.split_once(&advice).unwrap_or_else(|| panic!("{}", ended.out));
    assert!(ended.out.contains("2A   initial_election "), "{}", ended.out);
    let mut again = InPipe::start(&args);
    again.until(&format!("resuming after {}\n", kept.trim_end()));
    again.send(Signal::INT);
    again.end().with_status(130);
}

#[test]
fn a_sweep_in_a_terminal_leaves_its_table_and_no_bar() {
    for args in [ENDLESS.to_string(), format!("{ENDLESS} --real --jobs 16")] {
        let mut sweep = InTerminal::start(&args, 100);
        sweep.until(", 0 failed");
        sweep.press_ctrl_c();
        let ended = sweep.end().with_status(130);
        assert_eq!(last_line(&ended, "SIGINT").1, 3_000_000);
        let (_, end) = ended.out.rsplit_once("part test ").unwrap();
        assert!(!end.contains('█') && end.contains("2A   initial_election "), "{end:?}");
    }
}

/// As with `| tee log`: Ctrl-C ends tee, too.
#[test]
fn who_has_lost_its_reader_tells_the_terminal() {
    let (_folder, json) = in_folder("results.json");
    let mut sweep = InTerminal::start_unread(&format!("{ENDLESS} --json {}", json.display()));
    sweep.until(", 0 failed");
    sweep.press_ctrl_c();
    let ended = sweep.end().with_status(130);
    let (made, not_run) = incomplete(&json, "SIGINT");
    assert_eq!(last_line(&ended, "SIGINT"), (made, made + not_run));
    assert!(ended.out.contains("2A   initial_election "), "{}", ended.out);
}

#[test]
fn an_experiment_keeps_what_it_has_measured_beside_what_is_there() {
    let (folder, csv) = in_folder("elections.csv");
    std::fs::write(&csv, "of all trials").unwrap();
    let args = format!("experiment elections --out {}", folder.path().display());
    let mut experiment = InPipe::start(&args);
    experiment.until("broadcast time");
    experiment.send(Signal::TERM);
    let ended = experiment.end().with_status(143);
    assert!(ended.out.contains("timeouts ") && ended.out.contains("interrupted by SIGTERM after "));
    let mut experiment = InTerminal::start(&args, 100);
    experiment.until("/9100, 150-150 ms");
    experiment.press_ctrl_c();
    let ended = experiment.end().with_status(130);
    assert!(ended.out.contains("interrupted by SIGINT after "), "{}", ended.out);
    assert!(ended.out.contains("measured so far: "), "{}", ended.out);
    let part = std::fs::read_to_string(folder.path().join("elections-incomplete.csv")).unwrap();
    assert!(part.lines().count() > 1 && part.starts_with("timeouts,seed,"), "{part}");
    assert_eq!(std::fs::read_to_string(&csv).unwrap(), "of all trials");
}

#[test]
fn a_fuzz_says_how_many_seeds_passed() {
    let mut fuzz = InTerminal::start("fuzz --seeds 10000000", 100);
    fuzz.until(" commits");
    fuzz.press_ctrl_c();
    let ended = fuzz.end().with_status(130);
    let (made, all) = last_line(&ended, "SIGINT");
    assert!(made > 0 && all == 10_000_000, "{}", ended.out);
    assert!(ended.out.contains(&format!("{made} seeds passed: ")), "{}", ended.out);
}

#[test]
fn a_check_that_waits_for_its_history_ends() {
    let mut check = InPipe::start("check -");
    let line = |n: u64| {
        let (call, ret) = (2 * n, 2 * n + 1);
        format!(
            "{{\"client\":0,\"call\":{call},\"return\":{ret},\"op\":\"put\",\"key\":\"k\",\"value\":\"x\"}}\n"
        )
    };
    // This is more than a pipe holds, so once it is written the program has begun to read.
    check.read(&(0..3000).map(line).collect::<String>());
    check.send(Signal::INT);
    let ended = check.end().with_status(130);
    assert_eq!(
        ended.out,
        "undecided: the history was not read to its end; interrupted by SIGINT\n"
    );
}

/// Concurrent appends of many lengths, and a read that no choice of them explains.
fn hard_history() -> String {
    let append = |n: usize| {
        let value = "a".repeat(n);
        format!(
            r#"{{"client":{n},"call":10,"return":90,"op":"append","key":"k","value":"{value}"}}"#
        )
    };
    let read = format!(
        r#"{{"client":99,"call":95,"return":99,"op":"get","key":"k","output":"{}"}}"#,
        "a".repeat(821)
    );
    (1..=40).map(append).chain([read]).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_check_that_looks_for_an_order_says_that_it_is_undecided() {
    let (_folder, file) = in_folder("history");
    std::fs::write(&file, hard_history()).unwrap();
    // The program prints nothing before, so the test can't know when the search begins.
    let ended = (6..16).find_map(|power| {
        let mut check = InTerminal::start(&format!("check {}", file.display()), 100);
        sleep(Duration::from_millis(1 << power));
        check.press_ctrl_c();
        let ended = check.end();
        let early = ended.status.signal().is_some()
            || ended.out.contains("the history was not read to its end");
        (!early).then_some(ended)
    });
    let ended = ended.expect("it never came to look for an order").with_status(130);
    let wanted = "undecided: 41 operations; interrupted by SIGINT\r\n";
    assert!(ended.out.ends_with(wanted), "{}", ended.out);
}

#[test]
fn a_replay_ends_with_the_events_so_far() {
    let mut replay = InTerminal::start("replay 1 figure_8_unreliable", 100);
    replay.until(" ms  ");
    replay.press_ctrl_c();
    let ended = replay.end().with_status(130);
    assert!(ended.out.trim_end().ends_with("interrupted by SIGINT"), "{}", ended.out);
}

#[test]
fn a_signal_that_is_sent_twice_at_once_is_one() {
    let (_folder, json) = in_folder("results.json");
    let mut lab = InPipe::start(&format!("--json {}", json.display()));
    lab.until("passed");
    lab.send(Signal::TERM);
    lab.send(Signal::TERM);
    lab.end().with_status(143);
    incomplete(&json, "SIGTERM");
}

/// A program that can't continue, because its output does not fit into a pipe of one page.
#[cfg(target_os = "linux")]
#[test]
fn a_second_signal_kills() {
    let (unread, writer) = std::io::pipe().unwrap();
    let size = rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap() as u64;
    let mut lab = Command::new(shell::RAFTLAB).stdout(writer).spawn().unwrap();
    while rustix::io::ioctl_fionread(&unread).unwrap() < size - 150 {
        sleep(Duration::from_millis(20));
    }
    let status = loop {
        match lab.try_wait().unwrap() {
            Some(status) => break status,
            None => kill_process(Pid::from_child(&lab), Signal::INT).unwrap(),
        }
        sleep(Duration::from_millis(50));
    };
    assert_eq!(status.signal(), Some(2), "{status}");
}

#[test]
fn a_terminal_that_is_closed_loses_nothing() {
    let (_folder, json) = in_folder("results.json");
    let status = shell::in_closing_terminal(&format!("--json {}", json.display()), "passed");
    assert_eq!(status.code(), Some(129), "{status}");
    assert!(incomplete(&json, "SIGHUP").0 > 0);
}
