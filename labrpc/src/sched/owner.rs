//! What the scheduler needs of the run whose tasks it schedules. It knows nothing else of a run.

use crate::failure::FailureKind;
use std::time::Duration;

/// A run.
pub(crate) trait Owner: Send + Sync {
    /// Fails the run. `since`: when the failure began, if that was earlier than now.
    fn fail(&self, kind: FailureKind, text: String, since: Option<Duration>);

    /// Fails the run because of what the current thread does.
    fn fail_here(&self, kind: FailureKind, text: String);

    /// Of the test's calls that should return soon, the one that has lasted longest: its thread, what was called, and since when.
    fn longest_brief_call(&self) -> Option<(String, String, Duration)>;

    /// A likely reason why no timer seems to fire.
    fn suspected_clock(&self) -> Option<String>;
}
