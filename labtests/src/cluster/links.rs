//! What is wrong between two servers, in one direction each; it stays wrong when they restart.

use super::{Cluster, name, parse_end};
use labrpc::network::{Leg, Letter};
use labrpc::time::Duration;
use labrpc::trace;
use std::collections::BTreeMap;
use std::ops::Range;

/// From which server to which a message goes; `None` if it isn't one between servers. Replies travel backwards on an end.
pub fn way_of(letter: &Letter) -> Option<(usize, usize)> {
    let (caller, _, called) = parse_end(&letter.end)?;
    Some(match letter.leg {
        Leg::Request => (caller, called),
        Leg::Reply => (called, caller),
    })
}

/// What is wrong, by sender and receiver.
pub(super) type Links = BTreeMap<(usize, usize), Link>;

#[derive(Clone, Default)]
pub(super) struct Link {
    cut: bool,
    delay: Range<Duration>,
}

impl Cluster {
    /// Whether nothing that `from` sends reaches `to` any more, neither requests nor replies; the other direction is
    /// not concerned.
    pub fn cut_one_way(&self, from: usize, to: usize, yes: bool) {
        let what = if yes { "cuts" } else { "mends" };
        trace::tester(|| format!("{what} the way from {} to {}", name(from), name(to)));
        self.0.links.lock().entry((from, to)).or_default().cut = yes;
        self.set_link(from, to);
        self.set_link(to, from);
    }

    /// Delays every message between two servers by a drawn time of this range, each way; `d..d` is always `d`.
    pub fn delay_link(&self, a: usize, b: usize, range: Range<Duration>) {
        trace::tester(|| {
            format!("delays messages between {} and {} by {range:?}", name(a), name(b))
        });
        self.set_delay(a, b, &range);
        self.set_delay(b, a, &range);
    }

    /// The same for what `from` sends to `to` only, be it requests or replies.
    pub fn delay_way(&self, from: usize, to: usize, range: Range<Duration>) {
        trace::tester(|| {
            format!("delays messages from {} to {} by {range:?}", name(from), name(to))
        });
        self.set_delay(from, to, &range);
    }

    fn set_delay(&self, from: usize, to: usize, range: &Range<Duration>) {
        self.0.links.lock().entry((from, to)).or_default().delay = range.clone();
        self.set_link(from, to);
        self.set_link(to, from);
    }

    /// Nothing is wrong between any two servers any more.
    pub fn mend_links(&self) {
        trace::tester(|| "mends all links".into());
        let ways: Vec<_> = std::mem::take(&mut *self.0.links.lock()).into_keys().collect();
        for (from, to) in ways {
            self.set_link(from, to);
            self.set_link(to, from);
        }
    }

    /// Tells the network about the end from `i` to `j`, if it has one: its replies go from `j` to `i`.
    pub(super) fn set_link(&self, i: usize, j: usize) {
        let links = self.0.links.lock();
        let there = links.get(&(i, j)).cloned().unwrap_or_default();
        let back = links.get(&(j, i)).cloned().unwrap_or_default();
        drop(links);
        let end = self.0.slots.lock()[i].ends.get(j).cloned();
        if let Some(end) = end {
            let net = self.net();
            net.lose_requests(&end, there.cut);
            net.lose_replies(&end, back.cut);
            net.delay_end(&end, there.delay, back.delay);
        }
    }

    /// The same for all ends of a new life of `i`.
    pub(super) fn set_links(&self, i: usize) {
        if !self.0.links.lock().is_empty() {
            (0..self.n()).for_each(|j| self.set_link(i, j));
        }
    }
}
