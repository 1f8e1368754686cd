//! All tests on the reference, one seed after the other, up to the first failure: what `cargo mutants` runs.

use labtests::report::{self, Again};
use labtests::runner::{self, World};
use labtests::suites;
use raftlab::raft::Raft;
use std::ops::ControlFlow;

/// Three seeds in earnest, which optimised takes seconds; one otherwise, for `labtests/tests/reference.rs` runs it too.
const SEEDS: u64 = if cfg!(debug_assertions) { 1 } else { 3 };

#[test]
fn every_test_passes_on_the_reference() {
    let work = (1..=SEEDS).flat_map(|seed| suites::all().map(move |test| (test, seed)));
    let mut failure = None;
    runner::run_all(&labtests::make(Raft::make), work, World::Simulated, 2, |run| {
        if run.result.is_ok() {
            return ControlFlow::Continue(());
        }
        failure = Some(report::failure(&run, &Again::CargoTest));
        ControlFlow::Break(())
    });
    assert!(failure.is_none(), "{}", failure.unwrap_or_default());
}
