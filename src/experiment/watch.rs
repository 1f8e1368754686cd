//! Reads the results of a trial from its trace.

use super::trial::OLD_LEADER;
use labrpc::describe::Value;
use labrpc::time::Duration;
use labrpc::trace::{Event, What};
use labtests::cluster::parse_end;
use std::collections::{BTreeMap, BTreeSet};

/// Watches until every server has heard from a new leader.
#[derive(Default)]
pub struct Watch {
    servers: usize,
    /// When another server became leader for the first time.
    pub elected: Option<Duration>,
    /// When the last server had heard from a new leader.
    pub replaced: Option<Duration>,
    /// The latest term in which a server asked for votes.
    pub last_term: u64,
    /// The heartbeats of new leaders that have no reply yet: the term of each, by call.
    heartbeats: BTreeMap<u64, u64>,
    /// For each term, the servers that have heard from its leader, including the leader.
    heard: BTreeMap<u64, BTreeSet<usize>>,
}

impl Watch {
    /// Watches a cluster of this many servers.
    pub fn new(servers: usize) -> Watch {
        Watch { servers, ..Watch::default() }
    }

    /// Processes an event.
    pub fn event(&mut self, event: &Event) {
        match &event.what {
            What::Called { call, end, method: "Raft.AppendEntries", args } => {
                if let (Some((leader, _, _)), Some(term)) = (parse_end(end), term_of(args)) {
                    self.leads(leader, term, *call, event.at);
                }
            }
            What::Called { method: "Raft.RequestVote", args, .. } => {
                self.last_term = self.last_term.max(term_of(args).unwrap_or_default());
            }
            What::Answered { call, end, reply } => {
                if let (Some((_, _, follower)), Some(term)) = (parse_end(end), term_of(reply)) {
                    self.answers(follower, term, *call, event.at);
                }
            }
            _ => {}
        }
    }

    fn leads(&mut self, leader: usize, term: u64, call: u64, at: Duration) {
        if leader != OLD_LEADER {
            self.elected.get_or_insert(at);
            self.heartbeats.insert(call, term);
            self.heard.entry(term).or_default().insert(leader);
        }
    }

    /// A heartbeat counts if the server accepts it in the term of its leader, so if it is not too late.
    fn answers(&mut self, follower: usize, term: u64, call: u64, at: Duration) {
        if self.heartbeats.remove(&call) == Some(term) {
            let heard = self.heard.entry(term).or_default();
            heard.insert(follower);
            if heard.len() == self.servers - 1 {
                self.replaced.get_or_insert(at);
            }
        }
    }
}

fn term_of(value: &Value) -> Option<u64> {
    value.field("term")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: u64, what: What) -> Event {
        Event { at: Duration::from_millis(at), what }
    }

    fn message(term: u64) -> Value {
        Value::Struct("Message", vec![("term", Value::Unsigned(term))])
    }

    fn calls(at: u64, call: u64, end: &str, method: &'static str, term: u64) -> Event {
        event(at, What::Called { call, end: end.into(), method, args: message(term).into() })
    }

    fn answers(at: u64, call: u64, end: &str, term: u64) -> Event {
        event(at, What::Answered { call, end: end.into(), reply: message(term).into() })
    }

    fn watch(events: &[Event]) -> Watch {
        let mut watch = Watch::new(4);
        events.iter().for_each(|event| watch.event(event));
        watch
    }

    const APPEND: &str = "Raft.AppendEntries";

    #[test]
    fn a_leader_has_replaced_the_old_one_when_all_others_have_heard_it() {
        let heard = [
            calls(1, 1, "S0->S1", APPEND, 2),
            calls(2, 2, "S0->S2", APPEND, 2),
            answers(3, 1, "S0->S1", 2),
            calls(50, 3, "S1->S2", "Raft.RequestVote", 3),
            calls(60, 4, "S1->S2", APPEND, 3),
            calls(60, 5, "S1->S3", APPEND, 3),
            answers(62, 4, "S1->S2", 3),
        ];
        let mut watch = watch(&heard);
        let ms = Duration::from_millis;
        assert_eq!((watch.elected, watch.last_term, watch.replaced), (Some(ms(60)), 3, None));
        watch.event(&answers(63, 5, "S1->S3", 3));
        watch.event(&answers(64, 5, "S1->S3", 3));
        assert_eq!(watch.replaced, Some(ms(63)));
    }

    #[test]
    fn a_heartbeat_that_comes_too_late_counts_for_nothing() {
        let late = [
            calls(60, 4, "S1->S2", APPEND, 3),
            calls(60, 5, "S1->S3", APPEND, 3),
            answers(62, 4, "S1->S2", 3),
            answers(63, 5, "S1->S3", 4),
        ];
        assert_eq!(watch(&late).replaced, None);
    }
}
