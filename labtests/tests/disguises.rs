//! Nothing accuses a correct Raft, whatever its messages look like.
//!
//! The same runs are read in thousands of disguises: fields, methods and saved values have other names, are nested, reordered,
//! put into tuples and enum variants, left out; or a name that is known means something else. In each of them all tests pass.
//!
//! `LAB_DISGUISES=2000` tries so many, each with all tests of 2A to 2D+; without it, a few with a few.

mod disguises {
    pub mod catalogue;
    pub mod change;
}

#[path = "../examples/go_shape.rs"]
#[allow(dead_code, reason = "its main is for the example")]
mod go_shape;

use disguises::catalogue::{Catalogue, Variant};
use labtests::lab::Lab;
use labtests::reading::{Names, Reading};
use labtests::runner::{self, World};
use labtests::suites::{self, LabTest};
use std::ops::ControlFlow;
use std::sync::Arc;

/// What a few are, by default.
const FEW_VARIANTS: usize = 24;
const FEW_TESTS: usize = 4;

fn tests() -> Vec<&'static LabTest> {
    suites::all().filter(|test| test.part.starts_with('2')).collect()
}

/// Each variant with its tests. The seed is the variant's number, so that the runs differ, too.
fn work(catalogue: &Catalogue) -> Vec<(&'static LabTest, Variant)> {
    let tests = tests();
    let wanted = std::env::var("LAB_DISGUISES").ok().map(|text| text.parse().expect("a number"));
    let variants = catalogue.variants(wanted.unwrap_or(FEW_VARIANTS));
    let some = |variant: &Variant| -> Vec<&'static LabTest> {
        match wanted {
            Some(_) => tests.clone(),
            None => (0..FEW_TESTS)
                .map(|n| tests[(variant.number * FEW_TESTS + n * 17) % tests.len()])
                .collect(),
        }
    };
    variants
        .into_iter()
        .flat_map(|variant| some(&variant).into_iter().map(move |test| (test, variant.clone())))
        .collect()
}

#[track_caller]
fn no_disguise_accuses(lab: &Lab, catalogue: &Catalogue) {
    let work = work(catalogue);
    let runs = work.len();
    let lab = lab.clone();
    let run = move |(test, variant): (&'static LabTest, Variant)| {
        let (disguise, seed) = (variant.clone(), variant.number as u64 + 1);
        let reading =
            Reading::new(Names::new()).disguised(Arc::new(move |spoken| disguise.of(spoken)));
        let (report, reading) = runner::run_read(&lab, test, seed, World::Simulated, &reading);
        report.result.err().map(|failure| {
            let doubts: Vec<_> = reading.doubts().keys().collect();
            format!(
                "{}, seed {seed}, {variant}: {}\ndoubted: {doubts:?}",
                test.name, failure.message
            )
        })
    };
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut failures = Vec::new();
    let mut done = 0;
    runner::in_order(work.into_iter(), jobs, run, |failure| {
        done += 1;
        if let Some(failure) = failure {
            eprintln!("{failure}\n");
            failures.push(failure);
        }
        if done % 2_000 == 0 {
            eprintln!("{done} of {runs} runs, {} failed", failures.len());
        }
        ControlFlow::Continue(())
    });
    eprintln!("{runs} runs, {} failed", failures.len());
    assert!(
        failures.is_empty(),
        "{} of {runs} runs accuse a correct Raft; the first: {}",
        failures.len(),
        failures[0]
    );
}

#[test]
fn no_disguise_of_go_shape_is_accused() {
    no_disguise_accuses(&Lab::new().raft(go_shape::Raft::make), &Catalogue::of_go_shape());
}

#[test]
fn no_disguise_of_the_reference_is_accused() {
    no_disguise_accuses(
        &Lab::new().raft(raftlab::raft::Raft::make),
        &Catalogue::of_the_reference(),
    );
}
