//! When two runs fail in the same way.

use super::can_be_shortened;
use crate::cluster::Stats;
use crate::outcome::Report;
use crate::report;
use labrpc::run::{Failure, FailureKind};

/// What two failures have in common that count as the same: the kind, and the first line of the message without its numbers (so
/// the servers may be others, but in the same roles). For panics, also the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Same {
    kind: FailureKind,
    pattern: String,
    place: Option<String>,
}

impl Same {
    /// What the failure of a run has in common with others. `None` if the run has no short version.
    pub fn of(report: &Report) -> Option<Same> {
        let failure = report.result.as_ref().err().filter(|_| can_be_shortened(report))?;
        Some(Same::of_failure(failure))
    }

    fn of_failure(failure: &Failure) -> Same {
        Same {
            kind: failure.kind,
            pattern: report::numberless(&failure.message),
            place: failure.place.clone().filter(|_| failure.kind == FailureKind::Panic),
        }
    }

    /// Whether this is the result of a run that fails in the same way.
    pub fn as_in(&self, result: &Result<Stats, Box<Failure>>) -> bool {
        matches!(result, Err(failure) if Same::of_failure(failure) == *self)
    }
}
