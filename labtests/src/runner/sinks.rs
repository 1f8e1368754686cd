//! The sinks that get the events of a run.

use crate::invariants::Watch;
use labrpc::run;
use labrpc::time::Duration;
use labrpc::trace::{Event, Sink};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many events a failure shows.
const LAST_EVENTS: usize = 25;

/// A sink, and a watch that observes the run.
pub(super) struct Both<S> {
    pub sink: S,
    pub watch: Watch,
}

impl<S: Sink> Sink for Both<S> {
    fn event(&mut self, event: &Event) {
        self.sink.event(event); // first, so that it gets the event that breaks a rule
        self.watch.event(event);
    }

    fn reads_words(&self) -> bool {
        self.sink.reads_words() || self.watch.reads_words()
    }
}

/// A sink that ignores everything.
pub(super) struct Nobody;

impl Sink for Nobody {
    fn event(&mut self, _: &Event) {}

    fn reads_words(&self) -> bool {
        false
    }
}

/// How many events of a run are studied. A faulty Raft may send messages without end, and more of them would show nothing new.
const ENOUGH: u64 = 20_000;

/// Ends a run after enough events, counted from a given time on.
pub(super) struct Enough {
    from: Duration,
    left: u64,
}

impl Enough {
    pub fn from(from: Duration) -> Enough {
        Enough { from, left: ENOUGH }
    }
}

impl Sink for Enough {
    fn event(&mut self, event: &Event) {
        if event.at < self.from {
            return;
        }
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            run::condemn("enough was seen");
        }
    }

    fn reads_words(&self) -> bool {
        false
    }
}

/// A sink that keeps the last events, to print them.
#[derive(Clone, Default)]
pub(super) struct LastEvents {
    events: Arc<Mutex<VecDeque<Event>>>,
    /// Later events are ignored.
    until: Option<Duration>,
}

impl Sink for LastEvents {
    fn event(&mut self, event: &Event) {
        if self.until.is_some_and(|until| event.at > until) {
            return;
        }
        let mut events = self.events.lock();
        if events.len() == LAST_EVENTS {
            events.pop_front();
        }
        events.push_back(event.clone());
    }
}

impl LastEvents {
    pub fn until(until: Option<Duration>) -> LastEvents {
        LastEvents { events: Arc::default(), until }
    }

    pub fn take(&self) -> Vec<String> {
        self.events.lock().drain(..).map(|event| event.to_string()).collect()
    }
}
