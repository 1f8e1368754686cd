//! What is reported, where, and how often: warnings under `cargo test`, log lines, failures of one cause.

#[path = "../examples/go_shape.rs"]
#[allow(dead_code, reason = "its main is for the example")]
mod go_shape;

use labrpc::api::{ApplyMsg, Command, Raft, Refused, Snapshot, Started};
use labrpc::channel::Sender;
use labrpc::{ClientEnd, Persister, Service, thread, time};
use labtests::cli::{Out, Program};
use labtests::lab::Lab;
use labtests::reading::{Names, Word};
use labtests::report::say_once;
use labtests::runner::cargo_test;
use std::process::{self, Output};
use std::sync::Arc;
use std::time::Duration;

/// Server 0 leads, and nothing else happens. If `leaks` is set, its thread does not notice that the server is killed.
struct Idle {
    me: usize,
    leads: bool,
}

impl Idle {
    fn lab(leads: bool, leaks: bool) -> Lab {
        let make = move |_: Vec<ClientEnd>, me: usize, _: Persister, _: Sender<ApplyMsg>| {
            thread::spawn(move || {
                if leaks {
                    time::sleep(Duration::from_secs(1000));
                }
            });
            (Arc::new(Idle { me, leads }), Vec::<Service>::new())
        };
        Lab::new().raft(make)
    }
}

impl Raft for Idle {
    fn start(&self, _: Command) -> Result<Started, Refused> {
        Err(Refused::NotLeader { leader: None })
    }

    fn get_state(&self) -> (u64, bool) {
        log::debug!("is asked");
        (1, self.leads && self.me == 0)
    }

    fn snapshot(&self, _: u64, _: Snapshot) {}

    fn kill(&self) {}
}

/// Runs `body` in a process of its own: this test binary, started for `test` alone. Returns the output of that process.
fn alone(test: &str, vars: &[(&str, &str)], body: impl FnOnce()) -> Option<Output> {
    const ALONE: &str = "LABTESTS_ALONE";
    if std::env::var_os(ALONE).is_some() {
        body();
        return None;
    }
    let binary = std::env::current_exe().expect("a test binary has a path");
    let mut child = process::Command::new(binary);
    child.env_remove("LAB_STRICT").env(ALONE, "1").envs(vars.iter().copied());
    Some(child.args(["--exact", test]).output().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_is_said_once_is_seen_though_the_test_passes() {
    let test = "what_is_said_once_is_seen_though_the_test_passes";
    let output = alone(test, &[], || {
        say_once("a topic", "heard");
        say_once("a topic", "heard again");
        eprintln!("captured");
    });
    let Some(output) = output else { return };
    assert!(output.status.success());
    assert_eq!(text(&output.stderr), "heard\n");
}

#[test]
fn threads_that_kill_leaves_are_a_warning_once_for_all_tests() {
    let test = "threads_that_kill_leaves_are_a_warning_once_for_all_tests";
    let output = alone(test, &[("LAB_SEEDS", "2")], || {
        cargo_test("initial_election", Idle::lab(true, true));
        cargo_test("initial_election", Idle::lab(true, true));
    });
    let Some(output) = output else { return };
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("warning").count(), 1, "{said}");
    for word in
        ["first in initial_election, seed 1", "3 threads still run", "sleep at", "spawned at"]
    {
        assert!(said.contains(word), "{word:?} is missing in {said}");
    }
}

#[test]
fn threads_that_kill_leaves_fail_a_strict_run() {
    let test = "threads_that_kill_leaves_fail_a_strict_run";
    let body = || cargo_test("initial_election", Idle::lab(true, true));
    let Some(output) = alone(test, &[("LAB_STRICT", "1")], body) else { return };
    assert!(!output.status.success());
    assert!(text(&output.stdout).contains("left running: 10s after kill() 3 threads still run"));
}

#[test]
fn each_log_line_of_a_failing_test_is_printed_once() {
    let test = "each_log_line_of_a_failing_test_is_printed_once";
    let fails = || cargo_test("initial_election", Idle::lab(false, false));
    let Some(output) = alone(test, &[("RUST_LOG", "debug")], fails) else { return };
    assert!(!output.status.success());
    let said = text(&output.stdout) + &text(&output.stderr);
    let mut lines: Vec<_> = said.lines().filter(|line| line.ends_with("DEBUG is asked")).collect();
    let all = lines.len();
    lines.sort_unstable();
    lines.dedup();
    assert!(all >= 30 && lines.len() == all, "{all} lines, {} of them differ", lines.len());
}

#[test]
fn replay_prints_log_lines_between_the_events_and_nowhere_else() {
    let test = "replay_prints_log_lines_between_the_events_and_nowhere_else";
    let replays = || {
        labrpc::logging::init();
        let out = Out::new(std::io::stdout());
        let program = Program::new(Idle::lab(false, false));
        assert_eq!(program.run(["lab", "replay", "1", "initial_election"], out), 1);
    };
    let Some(output) = alone(test, &[("RUST_LOG", "debug")], replays) else { return };
    assert!(!text(&output.stderr).contains("is asked"));
    let said = text(&output.stdout);
    let times = said.lines().filter_map(|line| line.split_once(" ms  "));
    let times: Vec<f64> = times.map(|(ms, _)| ms.trim().parse().unwrap()).collect();
    assert!(times.is_sorted(), "{said}");
    assert!(said.matches("/main: DEBUG is asked").count() >= 30, "{said}");
}

#[test]
fn a_declared_name_that_no_message_has_is_told() {
    let test = "a_declared_name_that_no_message_has_is_told";
    let names =
        || Names::new().field("vote_granted", Word::VoteGranted).field("agred", Word::Success);
    let lab = || Lab::new().raft(go_shape::Raft::make).names(names().harmless("Raft.Gossip"));
    let output = alone(test, &[], || cargo_test("initial_election", lab()));
    let Some(output) = output else { return };
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    for name in ["agred", "Gossip"] {
        let told = format!("the meaning of the declared name {name:?}");
        assert_eq!(said.matches(&told).count(), 1, "{said}");
    }
    assert!(!said.contains("votegranted"), "{said}");
}

#[test]
fn the_command_that_repeats_a_failure_has_the_variables_that_change_it() {
    let test = "the_command_that_repeats_a_failure_has_the_variables_that_change_it";
    let body = || {
        let program = Program::new(Idle::lab(false, false)).variables(&["LAB_ODD", "LAB_UNSET"]);
        let out = Out::new(std::io::stdout());
        assert_eq!(program.run(["lab", "initial_election"], out), 1);
    };
    let Some(output) = alone(test, &[("LAB_ODD", "7")], body) else { return };
    let said = text(&output.stdout);
    let again = said.lines().find(|line| line.contains("replay 1 initial_election"));
    assert!(
        again.is_some_and(|line| line.contains(": LAB_ODD=7 ") && !line.contains("UNSET")),
        "{said}"
    );
}
