//! Measures what the trace and the invariants cost: the Go lab's 28 tests on the reference, simulated, with both and with
//! neither. There is one job, because tests side by side would take turns on the CPUs.
//!
//! ```text
//! cargo bench -p labtests --bench watch
//! ```

use labrpc::time::{Duration, Instant};
use labtests::lab::Lab;
use labtests::runner::{self, World};
use raftlab::raft::Raft;

/// How many passes of each kind are done, alternating.
const PASSES: u64 = 9;

fn main() {
    let lab = Lab::new().raft(Raft::make);
    let classic = || lab.tests().filter(|test| !test.part.ends_with('+'));
    let pass = |seed, watched: bool| {
        let began = Instant::now();
        for test in classic() {
            let run = if watched { runner::run_one } else { runner::run_unwatched };
            let report = run(&lab, test, seed, World::Simulated);
            assert!(report.result.is_ok(), "{} fails under seed {seed}", test.name);
        }
        began.elapsed()
    };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for seed in 1..=PASSES {
        without.push(pass(seed, false));
        with.push(pass(seed, true));
    }
    let (with, without) = (total(&with), total(&without));
    println!("2A-2D, {PASSES} seeds, one job: {without:.2} s with neither trace nor invariants");
    println!("                          {with:.2} s with both: {:.2} times", with / without);
}

fn total(passes: &[Duration]) -> f64 {
    passes.iter().map(Duration::as_secs_f64).sum()
}
