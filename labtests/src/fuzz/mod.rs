//! Fuzzes any Raft that is a state machine without threads, see [`Machine`].
//!
//! A run is a function of its seed: a random cluster with random options, and random faults ([`schedule`]). All servers are in
//! one thread, and the fuzz sees the state of each server after every step, so the invariants ([`truth`]) are exact. At the end
//! all faults stop, and the cluster must then commit a command within a bounded time.
//!
//! The suites test a Raft as a whole, with its threads; the fuzz tests its decisions, a hundred times as fast.

mod disk;
pub mod machine;
mod schedule;
mod service;
mod setup;
mod trail;
mod truth;
mod world;

use labrpc::rand;
use labrpc::run::{self, Run};
pub use machine::Machine;
use machine::Setup;
use std::fmt;
use std::ops::AddAssign;
use trail::Trail;
use truth::Broken;
use world::World;

/// What happened in runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls to servers.
    pub steps: u64,
    /// Leaders that were elected.
    pub elections: u64,
    /// Commands that were offered.
    pub offered: u64,
    /// Entries that were committed.
    pub commits: u64,
    /// Configuration changes among these.
    pub changes: u64,
    /// Configuration changes that were requested.
    pub wishes: u64,
    /// Reads that were requested.
    pub reads: u64,
    /// Reads that got an index.
    pub answered: u64,
    /// Snapshots that services made.
    pub snapshots: u64,
    /// Crashes.
    pub crashes: u64,
    /// How long the slowest recovery took, in units of the longest election timeout.
    pub slowest_recovery: u64,
    /// How long the slowest configuration change took, among those that the fuzz waited for; in the same unit.
    pub slowest_change: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Figures) {
        self.steps += other.steps;
        self.elections += other.elections;
        self.offered += other.offered;
        self.commits += other.commits;
        self.changes += other.changes;
        self.wishes += other.wishes;
        self.reads += other.reads;
        self.answered += other.answered;
        self.snapshots += other.snapshots;
        self.crashes += other.crashes;
        self.slowest_recovery = self.slowest_recovery.max(other.slowest_recovery);
        self.slowest_change = self.slowest_change.max(other.slowest_change);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} steps, {} elections, {} commits, {} of {} configuration changes, {} of {} reads answered, {} snapshots, {} crashes; \
             slowest recovery {} election timeouts, slowest change {}",
            self.steps,
            self.elections,
            self.commits,
            self.changes,
            self.wishes,
            self.answered,
            self.reads,
            self.snapshots,
            self.crashes,
            self.slowest_recovery,
            self.slowest_change
        )
    }
}

/// A run that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed, which gives the same run again.
    pub seed: u64,
    /// Which rule was broken and how, or the panic.
    pub message: String,
    /// The options, and the last steps.
    pub steps: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.message)?;
        writeln!(f, "the last steps:")?;
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

/// Does the run of `seed`.
///
/// # Errors
/// An invariant was broken, the Raft panicked, or the cluster did not recover.
pub fn fuzz<M: Machine>(seed: u64) -> Result<Figures, Failure> {
    // The first run creates no texts for its steps. They are created in a second run, only if the first one fails.
    make_run::<M>(seed, Trail::default()).or_else(|_| {
        let trail = Trail::kept();
        let failed = make_run::<M>(seed, trail.clone());
        failed.map_err(|message| Failure { seed, message, steps: trail.steps() })
    })
}

/// The run needs no threads, but inside a simulation random numbers and panics belong to the run.
fn make_run<M: Machine>(seed: u64, trail: Trail) -> Result<Figures, Broken> {
    let outcome = Run::simulated(seed).run(move || match act::<M>(trail) {
        Ok(figures) => figures,
        Err(broken) => run::fail(broken),
    });
    outcome.result.map_err(|failure| match failure.kind {
        run::FailureKind::Test => failure.message,
        _ => failure.to_string(),
    })
}

fn act<M: Machine>(trail: Trail) -> Result<Figures, Broken> {
    let dice = rand::tester();
    let mut world = World::<M>::new(Setup::draw(&dice), dice, trail)?;
    schedule::trouble(&mut world)?;
    schedule::recovery(&mut world)?;
    let (commits, changes) = (world.truth.commit_index(), world.truth.changes());
    Ok(Figures { commits, changes, ..world.figures })
}
