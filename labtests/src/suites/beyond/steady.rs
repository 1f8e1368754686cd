//! A leader that all servers hear, so that nothing may disturb it.

use crate::cluster::name;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::agree;
use labrpc::run;
use labrpc::time::Instant;
use std::collections::BTreeSet;

/// A leader, and the term in which all connected servers have followed it for an election timeout.
pub struct Steady<'a> {
    stage: &'a Stage<'a>,
    /// The leader.
    pub leader: usize,
    /// The leader's term.
    pub term: u64,
    /// The terms of all servers when this was made. A server that is cut off may be in another term than the leader.
    terms: Vec<u64>,
    since: Instant,
}

impl<'a> Steady<'a> {
    /// Waits until the connected servers have a steady leader.
    #[track_caller]
    pub fn new(stage: &'a Stage<'a>) -> Steady<'a> {
        let cluster = stage.cluster;
        agree(cluster, 1, cluster.connected());
        let look = || {
            let leader = cluster.check_one_leader();
            let connected = (0..cluster.n()).filter(|&i| cluster.is_connected(i));
            let terms = connected.filter_map(|i| Some(cluster.state(i)?.0));
            (leader, terms.collect::<BTreeSet<_>>())
        };
        let mut before = look();
        for _ in 0..10 {
            cluster.sleep(ELECTION_TIMEOUT);
            let now = look();
            if let (leader, terms) = &now
                && now == before
                && terms.len() == 1
                && let Some(&term) = terms.first()
            {
                let terms = (0..cluster.n()).map(|i| cluster.state(i).map_or(0, |(term, _)| term));
                let (leader, terms, since) = (*leader, terms.collect(), Instant::now());
                return Steady { stage, leader, term, terms, since };
            }
            before = now;
        }
        run::fail(format!(
            "no server has failed for 10 s or more, but the term still rises: {}",
            cluster.who_thinks_what()
        ))
    }

    /// Whether the leader still leads the same term.
    pub fn leads(&self) -> bool {
        self.stage.cluster.state(self.leader) == Some((self.term, true))
    }

    /// Fails the test if the leader doesn't lead any more, if another server has become a candidate, or if a server, connected
    /// or not, has gone on to a later term. `what` says what happened, and which rule says that it is no reason for this.
    #[track_caller]
    pub fn undisturbed(&self, what: &str) {
        let &Steady { stage, leader, term, ref terms, since } = self;
        let cluster = stage.cluster;
        cluster.reached_check();
        let later = |i: &usize| cluster.state(*i).is_some_and(|(now, _)| now > term.max(terms[*i]));
        let asks =
            |mail: &Mail| mail.kind == Kind::Vote && mail.is_call() && mail.term > Some(term);
        let candidacies = stage.mail(|mail| mail.at > since && asks(mail));
        let odd = match (candidacies.first(), (0..cluster.n()).find(later)) {
            (Some(first), _) => {
                let after = first.at.saturating_duration_since(since);
                format!(
                    "{} became a candidate{}, {after:?} later",
                    name(first.from),
                    first.in_term()
                )
            }
            (None, Some(i)) => format!("{} has gone on to a later term", name(i)),
            (None, None) if !self.leads() => "now it doesn't".to_string(),
            (None, None) => return,
        };
        run::fail(format!(
            "{} led term {term}, but {odd}. {what}; {}",
            name(leader),
            cluster.who_thinks_what()
        ));
    }
}
