//! Slow threads: what may come between two steps of one thread while it does nothing.

use super::Group;
use crate::run;
use parking_lot::Mutex;
use rand::RngExt;
use rand_pcg::Pcg64;
use std::ops::Range;
use std::time::Duration;

/// How the threads of a group stop now and then, as on a machine that has much else to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hiccups {
    /// So many times out of how many that the scheduler looks whether another thread is to go first.
    pub one_in: u32,
    /// For how long. Not an empty range.
    pub lasting: Range<Duration>,
}

/// A group's. Off at first, and then nothing is drawn.
#[derive(Default)]
pub(super) struct Slowness(Mutex<Option<Hiccups>>);

impl Group {
    /// Whether its threads stop now and then, while others go on: before they take a lock, use a channel, read the clock or
    /// start a thread. What a thread has seen before it stops may be over when it goes on. In real mode nothing happens.
    ///
    /// # Panics
    /// If it is one in zero, or they are to last for no time.
    pub fn hiccups(&self, hiccups: Option<Hiccups>) {
        let sound = |it: &Hiccups| it.one_in > 0 && it.lasting.start < it.lasting.end;
        assert!(hiccups.as_ref().is_none_or(sound), "there are no such hiccups: {hiccups:?}");
        if hiccups.is_some() {
            run::excuse_for_good();
        }
        *self.0.slowness.0.lock() = hiccups;
    }

    /// How long one of its threads stops here, if it does.
    pub(crate) fn hiccup(&self, rng: &mut Pcg64) -> Option<Duration> {
        let slowness = self.0.slowness.0.lock();
        let Hiccups { one_in, lasting } = slowness.as_ref()?;
        (rng.random_range(0..*one_in) == 0).then(|| rng.random_range(lasting.clone()))
    }
}
