//! Slow threads: what may come between two steps of one thread while it does nothing.

use super::Group;
use crate::run;
use parking_lot::Mutex;
use rand::RngExt;
use rand_pcg::Pcg64;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// How the threads of a group stop now and then, as on a machine that has much else to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hiccups {
    /// So many times out of how many that the scheduler looks whether another thread is to go first. A thread that has just
    /// started, or has just let go of a lock, stops more often: see [`Group::hiccups`].
    pub one_in: u32,
    /// For how long. Not an empty range.
    pub lasting: Range<Duration>,
}

/// A group's. Off at first, and then nothing is drawn.
#[derive(Default)]
pub(super) struct Slowness {
    hiccups: Mutex<Option<Hiccups>>,
    /// Whether there are any: asked at every lock that is let go.
    on: AtomicBool,
}

impl Group {
    /// Whether its threads stop now and then, while others go on: before they take a lock, use a channel, read the clock or
    /// start a thread. What a thread has seen before it stops may be over when it goes on. In real mode nothing happens.
    ///
    /// Two places are worse than others: what was decided with the lock may be over when a thread acts on it without, and
    /// what was decided before a thread was started may be over when it runs. So a thread stops there more often.
    ///
    /// # Panics
    /// If it is one in zero, or they are to last for no time.
    pub fn hiccups(&self, hiccups: Option<Hiccups>) {
        let sound = |it: &Hiccups| it.one_in > 0 && it.lasting.start < it.lasting.end;
        assert!(hiccups.as_ref().is_none_or(sound), "there are no such hiccups: {hiccups:?}");
        if hiccups.is_some() {
            run::excuse_for_good();
        }
        self.0.slowness.on.store(hiccups.is_some(), Relaxed);
        *self.0.slowness.hiccups.lock() = hiccups;
    }

    /// Whether they do.
    pub(crate) fn is_slow(&self) -> bool {
        self.0.slowness.on.load(Relaxed)
    }

    /// How long one of its threads stops here, if it does: at the usual chance, divided by this.
    pub(crate) fn hiccup(&self, rng: &mut Pcg64, divided_by: u32) -> Option<Duration> {
        let slowness = self.0.slowness.hiccups.lock();
        let Hiccups { one_in, lasting } = slowness.as_ref()?;
        let one_in = one_in.saturating_mul(divided_by);
        (rng.random_range(0..one_in) == 0).then(|| rng.random_range(lasting.clone()))
    }
}
