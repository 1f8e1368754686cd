//! Faults between two servers, each in one direction. They stay when the servers restart.

use super::deeds::deed;
use super::{Cluster, name, parse_end};
use labrpc::network::{Leg, Letter};
use labrpc::time::Duration;
use labrpc::trace::{self, Act};
use std::collections::BTreeMap;
use std::ops::Range;

/// The sender and the receiver of a message; `None` if it isn't a message between servers. On an end, a reply travels in the
/// opposite direction to its request.
pub fn way_of(letter: &Letter) -> Option<(usize, usize)> {
    let (caller, _, called) = parse_end(&letter.end)?;
    Some(match letter.leg {
        Leg::Request => (caller, called),
        Leg::Reply => (called, caller),
    })
}

/// The faults, by sender and receiver.
pub(super) type Links = BTreeMap<(usize, usize), Link>;

#[derive(Clone, Default)]
pub(super) struct Link {
    cut: bool,
    delay: Range<Duration>,
}

impl Cluster {
    /// Sets whether messages from `from` to `to` are lost, both requests and replies. The other direction does not change.
    pub fn cut_one_way(&self, from: usize, to: usize, yes: bool) {
        let what = if yes { "cuts" } else { "mends" };
        let text = || format!("{what} the way from {} to {}", name(from), name(to));
        trace::deed(|| deed(Act::Links, &[from, to], text()));
        self.0.links.lock().entry((from, to)).or_default().cut = yes;
        self.set_link(from, to);
        self.set_link(to, from);
    }

    /// Delays every message between two servers, in both directions, by a random time from this range; `d..d` is always `d`.
    pub fn delay_link(&self, a: usize, b: usize, range: Range<Duration>) {
        let text = || format!("delays messages between {} and {} by {range:?}", name(a), name(b));
        trace::deed(|| deed(Act::Links, &[a, b], text()));
        self.set_delay(a, b, &range);
        self.set_delay(b, a, &range);
    }

    /// The same only for messages from `from` to `to`, both requests and replies.
    pub fn delay_way(&self, from: usize, to: usize, range: Range<Duration>) {
        let text = || format!("delays messages from {} to {} by {range:?}", name(from), name(to));
        trace::deed(|| deed(Act::Links, &[from, to], text()));
        self.set_delay(from, to, &range);
    }

    fn set_delay(&self, from: usize, to: usize, range: &Range<Duration>) {
        self.0.links.lock().entry((from, to)).or_default().delay = range.clone();
        self.set_link(from, to);
        self.set_link(to, from);
    }

    /// Removes the faults between all servers.
    pub fn mend_links(&self) {
        trace::deed(|| deed(Act::Links, &[], "mends all links".into()));
        let ways: Vec<_> = std::mem::take(&mut *self.0.links.lock()).into_keys().collect();
        for (from, to) in ways {
            self.set_link(from, to);
            self.set_link(to, from);
        }
    }

    /// Tells the network about faults on the end from `i` to `j`, if that end exists. Replies on this end go from `j` to `i`.
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

    /// The same for all ends of a new incarnation of server `i`.
    pub(super) fn set_links(&self, i: usize) {
        if !self.0.links.lock().is_empty() {
            (0..self.n()).for_each(|j| self.set_link(i, j));
        }
    }
}
