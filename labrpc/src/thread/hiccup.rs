//! Slow threads: a thread pauses between two of its steps, and meanwhile other threads run.

use super::{Group, Hiccups};
use crate::context::told;
use std::sync::atomic::Ordering::Relaxed;

impl Group {
    /// Makes the group's threads pause now and then while other threads go on (`None`: turns this off). A thread pauses before it
    /// takes a lock, uses a channel, reads the clock or starts a thread. What it saw before the pause may not be true any more
    /// after it. In real mode nothing happens.
    ///
    /// Pauses find most errors in two places. A thread may act without the lock on a decision that it made while it held the lock,
    /// and the decision may be outdated by then. And a decision may be outdated when the thread that was started to carry it out
    /// begins to run. So a thread pauses more often after it has released a lock, and when it has just started.
    ///
    /// # Panics
    /// If `one_in` is 0, or `lasting` is an empty range.
    pub fn hiccups(&self, hiccups: Option<Hiccups>) {
        let sound = |it: &Hiccups| it.one_in > 0 && it.lasting.start < it.lasting.end;
        assert!(
            hiccups.as_ref().is_none_or(sound),
            "hiccups need a one_in above 0 and a range of times that is not empty: {hiccups:?}"
        );
        if hiccups.is_some() {
            told::excuse_for_good();
        }
        self.0.slowness.on.store(hiccups.is_some(), Relaxed);
        *self.0.slowness.hiccups.lock() = hiccups;
    }
}
