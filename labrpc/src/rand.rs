//! Seeded random numbers. Each user has a stream of its own. So if one user consumes one more random number, the numbers of the
//! others stay the same.

pub use ::rand::RngExt;

use crate::context;
pub use crate::context::stream::Stream;
use ::rand::TryRng;
use std::convert::Infallible;
use std::sync::Arc;

/// The random number generator for Rafts and services. Inside a run it is seeded; outside, its seed comes from the system.
///
/// ```
/// use labrpc::rand::{RngExt, rng};
/// let timeout_ms = rng().random_range(400..800);
/// assert!((400..800).contains(&timeout_ms));
/// ```
pub fn rng() -> LabRng {
    LabRng(match context::here() {
        Some(here) => here.world.user.clone(),
        None => Arc::new(Stream::new(outside_seed(), 3)),
    })
}

/// The tester's random numbers (which server to crash, how long to wait).
pub fn tester() -> Arc<Stream> {
    context::here()
        .map_or_else(|| Arc::new(Stream::new(outside_seed(), 2)), |here| here.world.tester.clone())
}

/// The network's random numbers (which messages get lost, how late a message is).
pub(crate) fn network() -> Arc<Stream> {
    context::here()
        .map_or_else(|| Arc::new(Stream::new(outside_seed(), 1)), |here| here.world.network.clone())
}

/// Outside a run nothing is replayed, so the system may choose the seed.
fn outside_seed() -> u64 {
    ::rand::rngs::SysRng.try_next_u64().unwrap_or(1)
}

/// See [`rng`].
pub struct LabRng(Arc<Stream>);

impl TryRng for LabRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}
