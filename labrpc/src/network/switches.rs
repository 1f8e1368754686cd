//! Switches beyond the Go lab's: duplicates, delays, and cuts of one way only. All are off at first, and then draw
//! nothing.

use super::{End, Leg, Network};
use crate::rand::Stream;
use crate::run;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// How many requests arrive twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplication {
    /// One request in so many arrives a second time.
    pub one_in: u64,
    /// The second time is less than this after the first.
    pub within: Duration,
}

/// What is wrong with the ways of a network.
#[derive(Default)]
pub(super) struct Switches {
    /// Whether anything was ever switched on: asked for every message, so it is no lock.
    used: AtomicBool,
    duplication: Mutex<Option<Duplication>>,
    everywhere: Mutex<Link>,
}

/// What is wrong with one way, by leg.
#[derive(Default)]
pub(super) struct Link {
    cut: BTreeSet<Leg>,
    delay: BTreeMap<Leg, Range<Duration>>,
}

impl Network {
    /// Lets a share of requests arrive twice, as [`Fate::Copy`](super::Fate::Copy) does; `None` lets none.
    ///
    /// # Panics
    /// If it is one in zero.
    pub fn duplicate(&self, duplication: Option<Duplication>) {
        assert!(duplication.is_none_or(|d| d.one_in > 0), "one request in zero can't be doubled");
        run::excuse_for_good();
        *self.0.switches.duplication.lock() = duplication;
        self.0.switches.used.store(true, Relaxed);
    }

    /// Delays every request, and every reply, by a drawn time of these ranges, so that they overtake one another;
    /// `d..d` is always `d`. Comes on top of what other switches do, and a delayed request reaches whoever is the
    /// server when it arrives: its next incarnation, perhaps.
    pub fn delays(&self, requests: Range<Duration>, replies: Range<Duration>) {
        run::excuse_for_good();
        self.0.switches.everywhere.lock().delay = delays(requests, replies);
        self.0.switches.used.store(true, Relaxed);
    }

    /// The same for one end, on top of what holds for all.
    ///
    /// # Panics
    /// If there is no such end.
    pub fn delay_end(&self, end: &str, requests: Range<Duration>, replies: Range<Duration>) {
        if requests.end.max(replies.end) > SHORT {
            run::excuse_for_good();
        }
        self.at(end, |link| link.delay = delays(requests, replies));
    }

    /// Whether the requests on an end are lost, though replies to earlier ones come through. Their callers get `None`
    /// when a call on an end that is cut off would.
    ///
    /// # Panics
    /// If there is no such end.
    pub fn lose_requests(&self, end: &str, yes: bool) {
        self.set_cut(end, Leg::Request, yes);
    }

    /// Whether the replies to an end are lost, though its requests are handled. Their callers get `None` when a call
    /// on an end that is cut off would.
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

/// A delay that keeps nobody from anything.
const SHORT: Duration = Duration::from_millis(50);

fn delays(requests: Range<Duration>, replies: Range<Duration>) -> BTreeMap<Leg, Range<Duration>> {
    [(Leg::Request, requests), (Leg::Reply, replies)].into()
}

impl Switches {
    fn used(&self) -> bool {
        self.used.load(Relaxed)
    }

    /// Whether this way is cut.
    pub fn cut(&self, end: &End, leg: Leg) -> bool {
        self.used() && end.link.lock().cut.contains(&leg)
    }

    /// How late a message is.
    pub fn delay(&self, draws: &Stream, end: &End, leg: Leg) -> Duration {
        if !self.used() {
            return Duration::ZERO;
        }
        let everywhere = self.everywhere.lock().draw(draws, leg);
        everywhere + end.link.lock().draw(draws, leg)
    }

    /// How much after the first time a request arrives a second time, if it does.
    pub fn copy(&self, draws: &Stream) -> Option<Duration> {
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

    fn draw(&self, draws: &Stream, leg: Leg) -> Duration {
        let label = match leg {
            Leg::Request => "request late by",
            Leg::Reply => "reply later by",
        };
        self.delay.get(&leg).map_or(Duration::ZERO, |range| draw(draws, label, range))
    }
}

/// A whole number of microseconds. Of an empty range its start, and nothing is drawn.
fn draw(draws: &Stream, label: &'static str, range: &Range<Duration>) -> Duration {
    let micros = |duration: Duration| duration.as_micros() as u64;
    let (from, to) = (micros(range.start), micros(range.end));
    if from >= to {
        return range.start;
    }
    Duration::from_micros(draws.range(label, from..to))
}
