//! The last steps of a run, for the report of its failure.

use labrpc::time::Duration;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many steps a report shows.
const SHOWN: usize = 60;

/// Remembers the last steps, if they are needed. The first run is done without them, because creating their texts takes most of
/// the time of a run.
#[derive(Clone, Default)]
pub(super) struct Trail(Option<Arc<Mutex<VecDeque<String>>>>);

impl Trail {
    /// A trail that remembers steps.
    pub fn kept() -> Trail {
        Trail(Some(Arc::default()))
    }

    /// Adds a step.
    pub fn note(&self, at: Duration, step: impl FnOnce() -> String) {
        let Some(steps) = &self.0 else { return };
        let mut steps = steps.lock();
        if steps.len() == SHOWN {
            steps.pop_front();
        }
        steps.push_back(format!("{:>10.3} ms  {}", at.as_secs_f64() * 1e3, step()));
    }

    /// The remembered steps, oldest first.
    pub fn steps(&self) -> Vec<String> {
        self.0.as_ref().map_or_else(Vec::new, |steps| steps.lock().iter().cloned().collect())
    }
}
