//! The last events before a failure that have to do with it.

use super::{Concerns, Kind, Told};
use std::collections::VecDeque;

/// The last things that were told, without idle heartbeats.
#[derive(Default)]
pub struct Recent(VecDeque<Told>);

/// How many are kept. A failure shows far fewer, but those may lie far back.
const KEPT: usize = 4000;

/// How many a failure shows.
const SHOWN: usize = 20;

/// With fewer than this, less closely related events are shown as well.
const ENOUGH: usize = 6;

impl Recent {
    /// Adds what was told.
    pub fn add(&mut self, told: Told) {
        if told.idle || told.minor {
            return;
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(told);
    }

    /// The last events that have to do with a failure with this message, for a run of this number of servers.
    pub fn concerning(&self, message: &str, servers: usize) -> Vec<&Told> {
        let concerns = Concerns::of(message, servers);
        let saves =
            ["save", "Persistent", "crash", "disk"].iter().any(|word| message.contains(word));
        let gone = message.contains("acknowledged");
        let clients = message.contains("read key") || message.contains("no order of these");
        let plain = |told: &&Told| match told.kind {
            Kind::Save => saves || told.why.is_some(),
            Kind::Client => clients,
            _ => true,
        };
        let of_server = |told: &&Told| {
            concerns.servers.is_empty()
                || told.server.is_none() && told.message.is_none()
                || concerns.servers.iter().any(|i| told.is_about(*i))
        };
        let of_index = |told: &&Told| {
            // If entries are gone, other messages than theirs are the cause.
            gone || concerns.indices.is_empty()
                || told.indices.is_none()
                || concerns.indices.iter().any(|index| told.is_about_index(*index))
        };
        let close = self.last(|told| plain(told) && of_server(told) && of_index(told));
        if close.len() >= ENOUGH {
            return close;
        }
        let near = self.last(|told| plain(told) && of_server(told));
        if near.len() >= ENOUGH { near } else { self.last(plain) }
    }

    fn last(&self, which: impl Fn(&&Told) -> bool) -> Vec<&Told> {
        let mut last: Vec<_> = self.0.iter().rev().filter(which).take(SHOWN).collect();
        last.reverse();
        last
    }
}

impl Told {
    /// It in one line, with the time and the reason.
    pub fn line(&self) -> String {
        let why = self.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
        format!("{:>11.3} ms  {}{why}", super::json::ms(self.at), self.text)
    }
}
