//! The result of one run of a test.

use crate::cluster::{Check, Stats};
use crate::invariants::Coverage;
use crate::suites::LabTest;
use labrpc::run::Failure;
use labrpc::tape::Tape;
use labrpc::time::Duration;

/// How a test is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Under the seeded scheduler, in virtual time.
    Simulated,
    /// On threads and the wall clock.
    Real,
}

impl World {
    /// The name of the world, in one word.
    pub fn name(self) -> &'static str {
        match self {
            World::Simulated => "simulated",
            World::Real => "real",
        }
    }
}

/// The result of one run of a test.
#[derive(Clone, Debug)]
pub struct Report {
    /// The test.
    pub test: &'static LabTest,
    /// The seed of the run.
    pub seed: u64,
    /// The world of the run.
    pub world: World,
    /// How long it took in wall time.
    pub wall: Duration,
    /// How long it took on the clock of the test.
    pub lab_time: Duration,
    /// See [`labrpc::run::Outcome::fingerprint`].
    pub fingerprint: u64,
    /// What the run amounted to, or why it failed.
    pub result: Result<Stats, Box<Failure>>,
    /// If the run failed: the last events that have to do with the failure.
    pub last_events: Vec<String>,
    /// If the run made no progress: what each server is and does.
    pub standing: Vec<String>,
    /// See [`Watch::coverage`](crate::invariants::Watch::coverage).
    pub coverage: Coverage,
    /// Problems that are not failures, such as threads that are still running after `kill()`.
    pub warnings: Vec<Failure>,
    /// The tape of a run that was recorded or done from a tape.
    pub tape: Option<Box<Tape>>,
}

impl Report {
    /// Whether the test reached the situation that it checks; `None` if it failed, or does not report this. A test that never
    /// reaches that situation under any seed checks nothing.
    pub fn check(&self) -> Option<Check> {
        let stats = self.result.as_ref().ok()?;
        let given_up = matches!(stats.check, Check::DoesNotFit(_));
        (given_up || self.test.declares_check()).then_some(stats.check)
    }
}
