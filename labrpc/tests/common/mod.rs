//! What both files of tests use.
#![allow(dead_code, reason = "each test binary uses a part")]

use labrpc::run::{Backend, Failure, FailureKind, Outcome, Run};
use std::process::Command;
use std::time::Duration;

/// Seeds that every test of the network runs with.
pub const SEEDS: std::ops::Range<u64> = 1..6;

/// For a run that hangs for real, so that it fails by name.
const REAL_LIMIT: Duration = Duration::from_secs(60);

/// Runs `body` in simulations of several seeds and once for real.
pub fn in_both_worlds(body: fn()) {
    in_simulations(body);
    succeed(Run::real(1).time_limit(REAL_LIMIT).run(body));
}

/// Runs `body` in simulations of several seeds, on threads and on coroutines, which is the same run.
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

/// The failure of a run that must fail, in this way and with these words.
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

/// Runs `body` in a process where no other test runs, for what concerns the whole process.
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
