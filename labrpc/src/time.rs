//! Time in both worlds: virtual time in a simulation, the wall clock outside it. The interface is that of `std::time`.

pub use std::time::Duration;

use crate::context::{self, wall::WallClock};
use crate::sched::Wait;
use std::ops::{Add, AddAssign, Sub};
use std::sync::OnceLock;

/// A moment. In a simulation it is the virtual time since the simulation's start. Outside, it is the time since the process first
/// read the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// The current time.
    #[track_caller]
    pub fn now() -> Instant {
        match context::simulated() {
            Some(here) => {
                here.note_clock();
                here.point(); // a yield point, so that time passes in a loop that reads the clock
                Instant(here.world.now())
            }
            None => Instant(process_clock().elapsed()),
        }
    }

    /// How long ago this moment was. Zero if it is in the future.
    #[track_caller]
    pub fn elapsed(self) -> Duration {
        Instant::now().saturating_duration_since(self)
    }

    /// The time from `earlier` to this moment. Zero if this moment is before `earlier`.
    pub fn saturating_duration_since(self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn since_start(self) -> Duration {
        self.0
    }

    /// The moment at which the clock shows `since_start`. For tests of code that gets the time as an argument.
    pub const fn at(since_start: Duration) -> Instant {
        Instant(since_start)
    }

    /// The same moment as std's instant. `None` if it is too far in the future for std.
    pub(crate) fn to_std(self) -> Option<std::time::Instant> {
        process_clock().0.checked_add(self.0)
    }

    pub(crate) fn from_std(instant: std::time::Instant) -> Instant {
        Instant(instant.saturating_duration_since(process_clock().0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(duration))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_sub(duration))
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// Sleeps for `duration`.
#[track_caller]
pub fn sleep(duration: Duration) {
    match context::here() {
        Some(here) if here.task.is_some() => {
            here.note_sleep();
            let deadline = here.world.now().saturating_add(duration);
            let wait = Wait::new("sleep");
            while !here.park(&[], Some(deadline), wait) {}
        }
        // A thread of the test ends here if the run has failed. The threads of servers go on.
        Some(here) if here.group.is_test() => here.world.sleep_or_unwind(duration),
        #[expect(
            clippy::disallowed_methods,
            reason = "outside a simulation the system's sleep is used"
        )]
        _ => std::thread::sleep(duration),
    }
}

/// The clock of threads outside simulations.
fn process_clock() -> &'static WallClock {
    static CLOCK: OnceLock<WallClock> = OnceLock::new();
    CLOCK.get_or_init(WallClock::start)
}
