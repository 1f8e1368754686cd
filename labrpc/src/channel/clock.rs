//! Channels on which the simulation's clock sends: `after` and `tick`.

use super::queue::Queue;
use crate::context::{self, World};
use crate::time::Instant;
use std::sync::Arc;
use std::time::Duration;

impl Queue<Instant> {
    /// A channel on which the clock sends: first after `delay`, later every `period`, if there is one.
    pub fn clock(delay: Duration, period: Option<Duration>) -> Arc<Queue<Instant>> {
        let queue = Arc::new(Queue::new(Some(1)));
        if let Some(here) = context::simulated() {
            let at = here.world.now().saturating_add(delay);
            arm(&here.world, &queue, at, period);
        }
        queue
    }
}

fn arm(world: &Arc<World>, queue: &Arc<Queue<Instant>>, at: Duration, period: Option<Duration>) {
    let Some(sched) = &world.sched else { return };
    let (queue, world) = (Arc::downgrade(queue), Arc::downgrade(world));
    sched.at(
        at,
        Box::new(move || {
            let (Some(queue), Some(world)) = (queue.upgrade(), world.upgrade()) else {
                return;
            };
            let _ = queue.deliver(Instant::at(at));
            if let Some(period) = period {
                arm(&world, &queue, at.saturating_add(period), Some(period));
            }
        }),
    );
}
