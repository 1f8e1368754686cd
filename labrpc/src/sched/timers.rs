//! Timers: what happens at which virtual time.

use super::{Core, Sched};
use std::cmp::Ordering as Order;
use std::time::Duration;

/// Code that runs between two steps of the tasks, at a time that was set in advance. It must not park.
pub(super) type Action = Box<dyn FnOnce() + Send>;

pub(super) struct Timer {
    at: Duration,
    seq: u64,
    what: Due,
}

pub(super) enum Due {
    Wake { task: u64, park: u64 },
    Act(Action),
}

impl Ord for Timer {
    /// The earliest timer is the greatest, because a `BinaryHeap` pops the greatest first.
    fn cmp(&self, other: &Timer) -> Order {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Timer) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Timer) -> bool {
        self.cmp(other) == Order::Equal
    }
}

impl Eq for Timer {}

/// A timer that is due later than this is ignored.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Core {
    pub(super) fn add_timer(&mut self, at: Duration, what: Due) {
        if at > FAR {
            return;
        }
        let seq = self.fresh_id();
        self.timers.push(Timer { at: at.max(self.now), seq, what });
    }

    /// Fires the timers that are due: wakes tasks, up to the first timer with an action. Returns that action.
    pub(super) fn fire_due(&mut self) -> Option<Action> {
        while self.timers.peek().is_some_and(|timer| timer.at <= self.now) {
            match self.timers.pop()?.what {
                Due::Act(action) => return Some(action),
                Due::Wake { task, park } if self.is_current(task, park) => self.wake(task, true),
                Due::Wake { .. } => {}
            }
        }
        None
    }

    pub(super) fn is_current(&self, task: u64, park: u64) -> bool {
        self.tasks.get(&task).is_some_and(|slot| slot.parked.is_some() && slot.parks == park)
    }

    /// When the next timer is due. Removes timers whose task does not wait for them any more.
    pub(super) fn next_timer(&mut self) -> Option<Duration> {
        while let Some(timer) = self.timers.peek() {
            match timer.what {
                Due::Wake { task, park } if !self.is_current(task, park) => self.timers.pop(),
                _ => return Some(timer.at),
            };
        }
        None
    }
}

impl Sched {
    /// Runs `action` at the time `at`, between two steps.
    pub fn at(&self, at: Duration, action: Action) {
        let mut core = self.core.lock();
        if !core.over {
            core.add_timer(at, Due::Act(action));
        }
    }
}
