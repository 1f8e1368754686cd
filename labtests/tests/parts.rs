//! The parts in order: a Raft passes the tests of a part as soon as that part is built, even if nothing of the later parts
//! exists. A Raft in which nothing is built passes no test.

#[path = "../examples/go_shape.rs"]
#[allow(dead_code, reason = "its main is for the example")]
mod go_shape;

use labrpc::Persister;
use labrpc::api::{Command, Raft, Refused, Snapshot, Started};
use labtests::cluster::Check;
use labtests::lab::Lab;
use labtests::runner::{self, Report, World};
use labtests::suites::{self, LabTest};
use std::sync::Arc;

/// How much of a Raft is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Built {
    Nothing,
    Elections,
    TheLog,
    Persistence,
}

/// A Raft of which only this much is built.
struct Partial {
    built: Built,
    raft: Arc<go_shape::Raft>,
}

impl Raft for Partial {
    fn start(&self, command: Command) -> Result<Started, Refused> {
        match self.built >= Built::TheLog {
            true => self.raft.start(command),
            false => Err(Refused::NotLeader { leader: None }),
        }
    }

    fn get_state(&self) -> (u64, bool) {
        match self.built >= Built::Elections {
            true => self.raft.get_state(),
            false => (0, false),
        }
    }

    fn snapshot(&self, _: u64, _: Snapshot) {}

    fn kill(&self) {
        self.raft.kill();
    }
}

fn lab(built: Built) -> Lab {
    let make = labtests::make(move |peers, me, persister, apply_ch| {
        let saves = built >= Built::Persistence;
        let persister = if saves { persister } else { Persister::new() };
        let (raft, mut services) = go_shape::Raft::make(peers, me, persister, apply_ch);
        if built == Built::Nothing {
            raft.kill(); // before its first election
            services.clear();
        }
        (Arc::new(Partial { built, raft }), services)
    });
    Lab::from(make)
}

fn tests_of(parts: &[&str]) -> impl Iterator<Item = &'static LabTest> {
    suites::all().filter(|test| parts.contains(&test.part))
}

/// Whether a test passed and reached the situation that it checks.
fn is_well(report: &Report) -> bool {
    report.result.is_ok() && report.check() != Some(Check::Missed)
}

/// The tests of these parts that a Raft does not pass, although this much is built.
fn failing(built: Built, parts: &[&str]) -> Vec<String> {
    tests_of(parts).filter_map(|test| why_not(built, test)).collect()
}

/// Why a Raft doesn't pass this test. Not every seed reaches the check of the test.
fn why_not(built: Built, test: &'static LabTest) -> Option<String> {
    for seed in 1..=3 {
        let report = runner::run_one(&lab(built), test, seed, World::Simulated);
        match &report.result {
            Err(failure) => return Some(format!("{}: {failure}", test.name)),
            Ok(_) if is_well(&report) => return None,
            Ok(_) => {}
        }
    }
    Some(format!("{} checks nothing", test.name))
}

#[test]
fn elections_are_enough_for_2a() {
    assert_eq!(failing(Built::Elections, &["2A", "2A+"]), [""; 0]);
}

#[test]
fn elections_and_the_log_are_enough_for_2b() {
    assert_eq!(failing(Built::TheLog, &["2A", "2A+", "2B", "2B+"]), [""; 0]);
}

#[test]
fn all_but_snapshots_is_enough_for_2c() {
    assert_eq!(failing(Built::Persistence, &["2C", "2C+"]), [""; 0]);
}

#[test]
fn a_stub_passes_nothing() {
    let all = ["2A", "2A+", "2B", "2B+", "2C", "2C+", "2D", "2D+"];
    let run = |test| runner::run_unwatched(&lab(Built::Nothing), test, 1, World::Simulated);
    let passed = tests_of(&all).map(run).filter(|report| report.result.is_ok());
    assert_eq!(passed.map(|report| report.test.name).collect::<Vec<_>>(), [""; 0]);
}

/// Each Raft fails a test of the next part. Otherwise the tests above would show nothing.
#[test]
fn what_is_not_built_is_missed() {
    for (built, missed) in [
        (Built::Elections, "basic_agree"),
        (Built::TheLog, "persist1"),
        (Built::Persistence, "snapshot_basic"),
    ] {
        let test = runner::select(missed).expect("the lab has it")[0];
        assert!(why_not(built, test).is_some(), "{built:?}");
    }
}
