//! How far each server has come, for a cluster that makes no progress: who leads, who agrees, who refuses and why, who is silent.

use super::Teller;
use super::view::Role;
use crate::names::name;
use labrpc::time::Duration;
use std::collections::BTreeMap;

/// What one server has answered to another lately, by caller and receiver.
pub type Answers = BTreeMap<(usize, usize), Answer>;

/// See [`Answers`].
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The last index to which the receiver agreed, and when.
    agreed: Option<(u64, Duration)>,
    /// The refusals since then: how many, when the first one came, and the reason of the last one.
    refused: Option<(u64, Duration, Option<String>)>,
    /// The requests since the last answer: how many, and when the first one was made.
    unanswered: Option<(u64, Duration)>,
    /// Why the network lost one of them.
    lost: Option<String>,
}

impl Answer {
    /// A request is made.
    pub fn asked(&mut self, now: Duration) {
        let (count, since) = self.unanswered.unwrap_or((0, now));
        self.unanswered = Some((count + 1, since));
    }

    /// The receiver says yes.
    pub fn agreed(&mut self, upto: u64, now: Duration) {
        *self = Answer { agreed: Some((upto, now)), ..Answer::default() };
    }

    /// The receiver says no.
    pub fn refused(&mut self, why: Option<String>, now: Duration) {
        let (count, since, _) = self.refused.take().unwrap_or((0, now, None));
        (self.refused, self.unanswered, self.lost) = (Some((count + 1, since, why)), None, None);
    }

    /// The network lost a request or its reply.
    pub fn lost(&mut self, why: &str) {
        self.lost = Some(why.into());
    }

    fn in_words(&self) -> String {
        if let Some((count, since, why)) = &self.refused {
            let why = why.as_ref().map_or(String::new(), |why| format!("; the last reason: {why}"));
            return format!("refuses its messages ({} since {}{why})", times(*count), at(*since));
        }
        if let Some((count, since)) = self.unanswered.filter(|(count, _)| *count > 1) {
            let lost = self.lost.as_ref().map_or(String::new(), |why| format!(": {why}"));
            return format!("has answered none of its {count} messages since {}{lost}", at(since));
        }
        match self.agreed {
            Some((0, when)) => format!("agreed that the log is empty, at {}", at(when)),
            Some((upto, when)) => format!("agreed up to index {upto}, at {}", at(when)),
            None => "has not answered yet".into(),
        }
    }
}

impl Teller {
    /// A line for each server: what it is, how far it is, and what it answers to the leader.
    pub fn standing(&self) -> Vec<String> {
        (0..self.views.len()).map(|i| self.standing_of(i)).collect()
    }

    fn standing_of(&self, i: usize) -> String {
        let view = &self.views[i];
        let who = name(i);
        if !view.alive {
            return format!("{who} is down");
        }
        let term = view.term.map_or("an unknown term".into(), |term| format!("term {term}"));
        let role = match view.role {
            Some(Role::Leader) => format!("leads {term}"),
            Some(Role::Candidate) => format!("is a candidate in {term}"),
            Some(Role::Follower) => format!("is a follower in {term}"),
            None => format!("is in {term}"),
        };
        let link = if view.connected { "" } else { ", cut off by the test" };
        let log = match (view.last_index(), view.commit) {
            (0, _) => "no entry is known of its log".into(),
            (last, commit) => {
                format!("its log ends at index {last}, committed up to {}", commit.unwrap_or(0))
            }
        };
        let leader = self.leader().filter(|leader| *leader != i);
        let answer =
            leader.and_then(|leader| self.answers.get(&(leader, i)).map(|answer| (leader, answer)));
        let answer = answer.map_or(String::new(), |(leader, answer)| {
            format!("; to {}: it {}", name(leader), answer.in_words())
        });
        format!("{who} {role}{link}; {log}{answer}")
    }

    /// The leader of the highest term among those that run and lead.
    fn leader(&self) -> Option<usize> {
        let leads = |i: &usize| self.views[*i].alive && self.views[*i].role == Some(Role::Leader);
        (0..self.views.len()).filter(leads).max_by_key(|i| self.views[*i].term)
    }
}

fn times(count: u64) -> String {
    if count == 1 { "once".into() } else { format!("{count} times") }
}

fn at(when: Duration) -> String {
    format!("{:.3} s", when.as_secs_f64())
}
