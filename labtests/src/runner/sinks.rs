//! The sinks that get the events of a run.

use crate::invariants::Watch;
use crate::outcome::Report;
use crate::property::Property;
use crate::reading::Reading;
use crate::story::{Recent, Teller, Told};
use crate::suites::LabTest;
use labrpc::run;
use labrpc::time::Duration;
use labrpc::trace::{Event, Sink};
use parking_lot::Mutex;
use std::sync::Arc;

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

/// A sink that keeps what a failure shows: the last events that have to do with it, and how far each server is.
#[derive(Clone)]
pub(super) struct LastEvents {
    heard: Arc<Mutex<(Teller, Recent)>>,
    /// Later events are ignored.
    until: Option<Duration>,
}

impl Sink for LastEvents {
    fn event(&mut self, event: &Event) {
        if self.until.is_some_and(|until| event.at > until) {
            return;
        }
        let (teller, recent) = &mut *self.heard.lock();
        teller.tell(event).into_iter().for_each(|told| recent.add(told));
    }
}

impl LastEvents {
    /// For a run of this test, whose messages are read in this way.
    pub fn new(test: &LabTest, reading: &Reading, until: Option<Duration>) -> LastEvents {
        let teller = Teller::new(test.setup.servers, reading.clone());
        LastEvents { heard: Arc::new(Mutex::new((teller, Recent::default()))), until }
    }

    /// Adds to the report of the failed run what it shows of the run.
    pub fn explain(&self, report: &mut Report) {
        let Err(failure) = &report.result else { return };
        let (teller, recent) = &*self.heard.lock();
        let last = recent.concerning(&failure.message, report.test.setup.servers);
        report.last_events = last.into_iter().map(Told::line).collect();
        if Property::of(failure) == Some(Property::Progress) {
            report.standing = teller.standing();
        }
    }
}
