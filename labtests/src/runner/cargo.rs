//! The lab under `cargo test`: a `#[test]` is one test of the lab, and environment variables say how it is run.

use super::{Backends, World, run_one};
use crate::lab::Lab;
use crate::report;
use crate::suites;
use labrpc::run::Backend;
use std::sync::OnceLock;

/// Runs a test for `cargo test`: under seed 1, or as these environment variables say.
///
/// - `LAB_SEED`: the seed, or the first of several.
/// - `LAB_SEEDS`: how many seeds.
/// - `LAB_REAL=1`: on threads and the wall clock; `0` or empty: simulated.
/// - `LAB_BACKEND=threads`: simulated on threads only; otherwise on coroutines first, see [`Backends`].
/// - `LAB_STRICT=1`: threads that are still running after `kill()` fail the test. Otherwise they give a warning.
///
/// # Panics
/// If the test fails, after a report on standard error; or if a variable has an invalid value.
pub fn cargo_test(name: &str, lab: impl Into<Lab>) {
    let lab = lab.into();
    let lab = if flag_in_env("LAB_STRICT") { lab.strict() } else { lab };
    let lab = with_backend_of_env(lab);
    labrpc::logging::init_for_tests();
    let first = number_in_env("LAB_SEED", 1);
    let seeds = number_in_env("LAB_SEEDS", 1);
    let world = if flag_in_env("LAB_REAL") { World::Real } else { World::Simulated };
    let last = seeds.checked_sub(1).and_then(|more| first.checked_add(more));
    let last = last.unwrap_or_else(|| {
        panic!("LAB_SEED={first} and LAB_SEEDS={seeds}: there must be at least one seed, and none above {}", u64::MAX)
    });
    let test = suites::all().find(|test| test.name == name);
    let test = test.unwrap_or_else(|| panic!("the lab has no test {name:?}"));
    for seed in first..=last {
        let report = run_one(&lab, test, seed, world);
        if let (Ok(_), Some(warning)) = (&report.result, report.warnings.first()) {
            let text = format!("warning, first in {name}, seed {seed}: {}", warning.message);
            report::say_once(&format!("{:?}", warning.kind), &text);
        }
        if let Some(why) = lab.why_threads() {
            report::say_once("threads", &why);
        }
        for line in report.coverage.unchecked() {
            report::say_once(&line, &format!("not checked on this Raft: {line}"));
        }
        if report.result.is_err() {
            #[expect(
                clippy::print_stderr,
                reason = "the test harness captures what the print macros write"
            )]
            {
                eprintln!("{}", report::failure(&report, &report::Again::CargoTest));
            }
            std::panic::resume_unwind(Box::new("the lab test failed"));
        }
    }
}

/// All tests of a process share what is learnt about coroutines.
fn with_backend_of_env(lab: Lab) -> Lab {
    static OF_THE_PROCESS: OnceLock<Backends> = OnceLock::new();
    let backends = OF_THE_PROCESS.get_or_init(|| match std::env::var("LAB_BACKEND").as_deref() {
        Err(_) | Ok("" | "coroutines") => Backends::default(),
        Ok("threads") => Backends::new(Backend::Threads),
        Ok(other) => panic!("LAB_BACKEND={other:?} is neither coroutines nor threads"),
    });
    Lab { backends: backends.clone(), ..lab }
}

fn flag_in_env(name: &str) -> bool {
    match std::env::var(name).as_deref() {
        Err(_) | Ok("" | "0") => false,
        Ok("1") => true,
        Ok(other) => panic!("{name}={other:?} is neither 0 nor 1"),
    }
}

fn number_in_env(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Err(_) => default,
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is not a number")),
    }
}

/// Asserts that a suite runs every test of `lab`.
///
/// # Panics
/// If a test is missing.
pub fn check_complete(suite: &[&str], lab: impl Into<Lab>) {
    let there: Vec<_> = lab.into().tests().map(|test| test.name).collect();
    assert_eq!(suite, there, "the suite's macro and suites::all() must list the same tests");
}
