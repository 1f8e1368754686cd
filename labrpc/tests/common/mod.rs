//! Helpers that several test files use.
#![allow(dead_code, reason = "each test binary uses a part")]

use labrpc::run::{Backend, Failure, FailureKind, Outcome, Run};
use std::process::Command;
use std::time::Duration;

/// The seeds with which tests run in simulations.
pub const SEEDS: std::ops::Range<u64> = 1..6;

/// The time limit of real runs, so that a run that hangs fails with the test's name.
const REAL_LIMIT: Duration = Duration::from_secs(60);

/// Runs `body` in simulations with several seeds, and once in real mode.
pub fn in_both_worlds(body: fn()) {
    in_simulations(body);
    succeed(Run::real(1).time_limit(REAL_LIMIT).run(body));
}

/// Runs `body` in simulations with several seeds, on threads and on coroutines. Both must give the same run.
pub fn in_simulations(body: fn()) {
    for seed in SEEDS {
        let on = |backend| Run::simulated(seed).backend(backend).run(body);
        let (threads, coroutines) = (on(Backend::Threads), on(Backend::Coroutines));
        let run = |outcome: &Outcome<()>| (outcome.fingerprint, outcome.steps, outcome.lab_time);
        assert_eq!(run(&threads), run(&coroutines), "seed {seed}");
        succeed(threads);
        succeed(coroutines);
    }
}

#[track_caller]
pub fn succeed<R>(outcome: Outcome<R>) -> R {
    outcome.result.unwrap_or_else(|failure| panic!("{failure}"))
}

/// Asserts that the run has failed with this kind and these words. Returns the failure.
#[track_caller]
pub fn failure<R>(outcome: Outcome<R>, kind: FailureKind, words: &[&str]) -> Failure {
    let failure = outcome.result.err().expect("the run should have failed");
    let text = failure.to_string();
    assert_eq!(failure.kind, kind, "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
    failure
}

/// Runs `body` in a process in which no other test runs. For tests that check a property of the whole process.
pub fn alone(test: &str, body: impl FnOnce()) {
    const ALONE: &str = "LABRPC_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let binary = std::env::current_exe().expect("a test binary has a path");
    let child = Command::new(binary).args(["--exact", test]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

/// How many OS threads the process has.
#[cfg(target_os = "linux")]
pub fn os_threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}
