//! Slow threads: a thread pauses between two of its steps, and meanwhile other threads run.

use super::Group;
use crate::run;
use parking_lot::Mutex;
use rand::RngExt;
use rand_pcg::Pcg64;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// How the threads of a group pause now and then (a *hiccup*), as on a busy machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hiccups {
    /// Each time the scheduler makes a thread yield to another, the thread pauses instead in one case of `one_in`. A thread that
    /// has just started, or has just released a lock, pauses more often: see [`Group::hiccups`].
    pub one_in: u32,
    /// How long a pause lasts. The range must not be empty.
    pub lasting: Range<Duration>,
}

/// The hiccups of a group. Off by default; while off, they consume no random numbers.
#[derive(Default)]
pub(super) struct Slowness {
    hiccups: Mutex<Option<Hiccups>>,
    /// Whether hiccups are on. This is read whenever a lock is released, so it is an atomic.
    on: AtomicBool,
}

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
            run::excuse_for_good();
        }
        self.0.slowness.on.store(hiccups.is_some(), Relaxed);
        *self.0.slowness.hiccups.lock() = hiccups;
    }

    /// Whether hiccups are on.
    pub(crate) fn is_slow(&self) -> bool {
        self.0.slowness.on.load(Relaxed)
    }

    /// Decides whether a thread of the group pauses here, and for how long. The chance is one in `one_in * divided_by`.
    pub(crate) fn hiccup(&self, rng: &mut Pcg64, divided_by: u32) -> Option<Duration> {
        let slowness = self.0.slowness.hiccups.lock();
        let Hiccups { one_in, lasting } = slowness.as_ref()?;
        let one_in = one_in.saturating_mul(divided_by);
        (rng.random_range(0..one_in) == 0).then(|| rng.random_range(lasting.clone()))
    }
}
