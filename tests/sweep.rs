//! All tests on the reference, one seed after another, up to the first failure. This is what `cargo mutants` runs.

use labtests::lab::Lab;
use labtests::report::{self, Again};
use labtests::runner::{self, World};
use raftlab::raft::Raft;
use std::ops::ControlFlow;

/// Three seeds in an optimised build, where they take seconds; otherwise one seed, because `labtests/tests/reference.rs` runs
/// the tests too.
const SEEDS: u64 = if cfg!(debug_assertions) { 1 } else { 3 };

#[test]
fn every_test_passes_on_the_reference() {
    let lab = Lab::new().raft(Raft::make).strict();
    let tests: Vec<_> = lab.tests().collect();
    let work =
        (1..=SEEDS).flat_map(move |seed| tests.clone().into_iter().map(move |test| (test, seed)));
    let mut failure = None;
    runner::run_all(&lab, work, World::Simulated, 2, |run| {
        if run.result.is_ok() {
            return ControlFlow::Continue(());
        }
        failure = Some(report::failure(&run, &Again::CargoTest));
        ControlFlow::Break(())
    });
    assert!(failure.is_none(), "{}", failure.unwrap_or_default());
}
