//! Switches that the Go lab does not have: duplicates, delays, and cuts in one direction only. All are off by default; while off,
//! they consume no random numbers.

use super::{End, Leg, Network};
use crate::context::stream::Draws;
use crate::run;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// How many requests arrive twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplication {
    /// One request in `one_in` arrives a second time.
    pub one_in: u64,
    /// The second copy arrives less than this time after the first.
    pub within: Duration,
}

/// The switches of a network.
#[derive(Default)]
pub(super) struct Switches {
    /// Whether anything was ever switched on. This is read for every message, so it is an atomic and not a lock.
    used: AtomicBool,
    duplication: Mutex<Option<Duplication>>,
    everywhere: Mutex<Link>,
}

/// The cuts and delays of one end (or of all ends), by direction.
#[derive(Default)]
pub(super) struct Link {
    cut: BTreeSet<Leg>,
    delay: BTreeMap<Leg, Range<Duration>>,
}

impl Network {
    /// Makes a share of requests arrive twice, as [`Fate::Duplicate`](super::Fate::Duplicate) does. `None` turns this off.
    ///
    /// # Panics
    /// If `one_in` is 0.
    pub fn duplicate(&self, duplication: Option<Duplication>) {
        assert!(duplication.is_none_or(|d| d.one_in > 0), "Duplication: one_in must not be 0");
        run::excuse_for_good();
        *self.0.switches.duplication.lock() = duplication;
        self.0.switches.used.store(true, Relaxed);
    }

    /// Delays every request and every reply by a random time from these ranges, so that messages overtake one another. The range
    /// `d..d` always gives `d`. This delay is added to those of the other switches. A delayed request reaches the incarnation of
    /// the server that runs when the request arrives, perhaps the next one.
    pub fn delays(&self, requests: Range<Duration>, replies: Range<Duration>) {
        run::excuse_for_good();
        self.0.switches.everywhere.lock().delay = delays(requests, replies);
        self.0.switches.used.store(true, Relaxed);
    }

    /// The same for one end. This delay is added to the delay of [`delays`](Network::delays).
    ///
    /// # Panics
    /// If there is no such end.
    pub fn delay_end(&self, end: &str, requests: Range<Duration>, replies: Range<Duration>) {
        if requests.end.max(replies.end) > SHORT {
            run::excuse_for_good();
        }
        self.at(end, |link| link.delay = delays(requests, replies));
    }

    /// Sets whether the requests on an end are lost. Replies to earlier requests still come through. Callers of lost requests get
    /// `None` after the same time as on an end that is cut off.
    ///
    /// # Panics
    /// If there is no such end.
    pub fn lose_requests(&self, end: &str, yes: bool) {
        self.set_cut(end, Leg::Request, yes);
    }

    /// Sets whether the replies to an end are lost. Its requests are still handled. Callers of lost replies get `None` after the
    /// same time as on an end that is cut off.
    ///
    /// # Panics
    /// If there is no such end.
    pub fn lose_replies(&self, end: &str, yes: bool) {
        self.set_cut(end, Leg::Reply, yes);
    }

    fn set_cut(&self, end: &str, leg: Leg, yes: bool) {
        if yes {
            run::excuse_for_good();
        }
        self.at(end, |link| link.set_cut(leg, yes));
    }

    #[track_caller]
    fn at(&self, end: &str, change: impl FnOnce(&mut Link)) {
        let end = self.0.tables.lock().end(end).clone();
        change(&mut end.link.lock());
        self.0.switches.used.store(true, Relaxed);
    }
}

/// A delay up to this long can't be why nothing happens in a run, so it excuses nothing.
const SHORT: Duration = Duration::from_millis(50);

fn delays(requests: Range<Duration>, replies: Range<Duration>) -> BTreeMap<Leg, Range<Duration>> {
    [(Leg::Request, requests), (Leg::Reply, replies)].into()
}

impl Switches {
    fn used(&self) -> bool {
        self.used.load(Relaxed)
    }

    /// Whether messages in this direction are lost.
    pub fn cut(&self, end: &End, leg: Leg) -> bool {
        self.used() && end.link.lock().cut.contains(&leg)
    }

    /// By how much the switches delay a message.
    pub fn delay(&self, draws: &Draws<'_>, end: &End, leg: Leg) -> Duration {
        if !self.used() {
            return Duration::ZERO;
        }
        let everywhere = self.everywhere.lock().draw(draws, leg);
        everywhere + end.link.lock().draw(draws, leg)
    }

    /// How long after its first arrival a request arrives a second time, if it does.
    pub fn copy(&self, draws: &Draws<'_>) -> Option<Duration> {
        if !self.used() {
            return None;
        }
        let Duplication { one_in, within } = (*self.duplication.lock())?;
        let doubled = draws.chance("request doubled", 1, one_in);
        doubled.then(|| draw(draws, "second request late by", &(Duration::ZERO..within)))
    }
}

impl Link {
    fn set_cut(&mut self, leg: Leg, yes: bool) {
        if yes {
            self.cut.insert(leg);
        } else {
            self.cut.remove(&leg);
        }
    }

    fn draw(&self, draws: &Draws<'_>, leg: Leg) -> Duration {
        let label = match leg {
            Leg::Request => "request late by",
            Leg::Reply => "reply later by",
        };
        self.delay.get(&leg).map_or(Duration::ZERO, |range| draw(draws, label, range))
    }
}

/// A random whole number of microseconds in `range`. For an empty range, returns its start and consumes no random number.
fn draw(draws: &Draws<'_>, label: &'static str, range: &Range<Duration>) -> Duration {
    let micros = |duration: Duration| duration.as_micros() as u64;
    let (from, to) = (micros(range.start), micros(range.end));
    if from >= to {
        return range.start;
    }
    Duration::from_micros(draws.range(label, from..to))
}
