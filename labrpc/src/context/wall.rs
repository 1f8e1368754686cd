//! The wall clock.

use std::time::Duration;

/// The wall-clock time since a start.
pub(crate) struct WallClock(pub std::time::Instant);

impl WallClock {
    #[expect(clippy::disallowed_methods, reason = "the real world's clock")]
    pub fn start() -> WallClock {
        WallClock(std::time::Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
