//! The lab never accuses a correct Raft, whatever its messages look like.
//!
//! The same runs are read in thousands of disguises: fields, methods and saved values have other names, are nested, reordered,
//! put into tuples and enum variants, or left out; or a known name means something else. In each disguise all tests must pass.
//!
//! `LAB_DISGUISES=2000` tries this many, each with all tests of 2A to 2D+; without it, a few disguises with a few tests. Add
//! `LAB_DISGUISE=292` to try only that one again, or `LAB_DISGUISE=500-999` for a range.

mod disguises {
    pub mod catalogue;
    pub mod change;
}

#[path = "../examples/go_shape.rs"]
#[allow(dead_code, reason = "its main is for the example")]
mod go_shape;

use disguises::catalogue::{Catalogue, Variant};
use labtests::lab::Lab;
use labtests::reading::Reading;
use labtests::runner::{self, World};
use labtests::suites::{self, LabTest};
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

/// How many disguises and tests are tried by default.
const FEW_VARIANTS: usize = 24;
const FEW_TESTS: usize = 4;

fn tests() -> Vec<&'static LabTest> {
    suites::all().filter(|test| test.part.starts_with('2')).collect()
}

/// The runs of a test in several variants, under one seed.
struct Runs {
    test: &'static LabTest,
    seed: u64,
    variants: Vec<Variant>,
}

/// This many variants share a seed. A run whose course doesn't depend on the names in its messages is then done once for all of
/// them.
const BESIDE: usize = 20;

fn work(catalogue: &Catalogue) -> Vec<Runs> {
    let tests = tests();
    let Some(wanted) = std::env::var("LAB_DISGUISES").ok() else {
        return a_few(catalogue, &tests);
    };
    let variants = catalogue.variants(wanted.parse().expect("LAB_DISGUISES is a number"));
    let only = std::env::var("LAB_DISGUISE").ok().map(|text| range(&text));
    let is_wanted =
        |variant: &&Variant| only.as_ref().is_none_or(|only| only.contains(&variant.number));
    let runs = |(number, variants): (usize, &[Variant])| {
        let seed = number as u64 + 1;
        let variants: Vec<_> = variants.iter().filter(is_wanted).cloned().collect();
        let tests = if variants.is_empty() { Vec::new() } else { tests.clone() };
        tests.into_iter().map(move |test| Runs { test, seed, variants: variants.clone() })
    };
    variants.chunks(BESIDE).enumerate().flat_map(runs).collect()
}

/// Parses `7`, or `7-9`.
fn range(text: &str) -> RangeInclusive<usize> {
    let number =
        |text: &str| text.parse().expect("LAB_DISGUISE is a number, or two with a dash between");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    number(first)..=number(last)
}

fn a_few(catalogue: &Catalogue, tests: &[&'static LabTest]) -> Vec<Runs> {
    let some = |variant: Variant| {
        (0..FEW_TESTS).map(move |n| {
            let test = tests[(variant.number * FEW_TESTS + n * 17) % tests.len()];
            Runs { test, seed: variant.number as u64 + 1, variants: vec![variant.clone()] }
        })
    };
    catalogue.variants(FEW_VARIANTS).into_iter().flat_map(some).collect()
}

fn reading(variant: &Variant) -> Reading {
    let disguise = variant.anew();
    variant.reading.clone().disguised(Arc::new(move |spoken| disguise.of(spoken)))
}

/// The failures that the suites report in these variants.
fn accusations(lab: &Lab, Runs { test, seed, variants }: &Runs) -> Vec<String> {
    let suspects: Vec<_> = match &variants[..] {
        [alone] => vec![alone],
        several => {
            let readings: Vec<_> = several.iter().map(reading).collect();
            match runner::run_beside(lab, test, *seed, &readings) {
                Some(noted) => several
                    .iter()
                    .zip(noted)
                    .filter(|(_, noted)| noted.is_some())
                    .map(|(v, _)| v)
                    .collect(),
                None => several.iter().collect(),
            }
        }
    };
    let accusation = |variant: &&Variant| {
        let (report, reading) =
            runner::run_read(lab, test, *seed, World::Simulated, &reading(variant));
        let failure = report.result.err()?;
        let doubts: Vec<_> = reading.doubts().keys().collect();
        Some(format!(
            "{}, seed {seed}, {variant}: {}\ndoubted: {doubts:?}",
            test.name, failure.message
        ))
    };
    suspects.iter().filter_map(accusation).collect()
}

#[track_caller]
fn no_disguise_accuses(lab: &Lab, catalogue: &Catalogue) {
    let work = work(catalogue);
    let runs: usize = work.iter().map(|runs| runs.variants.len()).sum();
    let lab = lab.clone();
    let run = move |runs: Runs| (runs.variants.len(), accusations(&lab, &runs));
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut failures, mut done, mut said) = (Vec::new(), 0, 0);
    runner::in_order(work.into_iter(), jobs, run, |(count, accusations)| {
        done += count;
        accusations.iter().for_each(|accusation| eprintln!("{accusation}\n"));
        failures.extend(accusations);
        if done - said >= 10_000 {
            said = done;
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
fn what_was_accused_once_is_not_accused_again() {
    let lab = Lab::new().raft(raftlab::raft::Raft::make);
    for (variant, name) in Catalogue::once_accused() {
        let test = suites::all().find(|test| test.name == name).unwrap();
        for seed in 30..33 {
            let runs = Runs { test, seed, variants: vec![variant.clone()] };
            assert_eq!(accusations(&lab, &runs), [""; 0]);
        }
    }
}

#[test]
fn what_was_accused_once_of_go_shape_is_not_accused_again() {
    let lab = Lab::new().raft(go_shape::Raft::make);
    let (variant, name, seed) = Catalogue::once_accused_go_shape();
    let test = suites::all().find(|test| test.name == name).unwrap();
    let runs = Runs { test, seed, variants: vec![variant] };
    assert_eq!(accusations(&lab, &runs), [""; 0]);
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
