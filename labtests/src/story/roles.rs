//! How roles and terms change: what a candidacy, a leadership or a higher term looks like from outside.

use super::view::{Change, Role, Vote};
use super::{Kind, Teller};
use crate::names::{name, names};
use std::collections::BTreeSet;

/// Which servers have voted for whom, and who follows whom.
#[derive(Default)]
pub struct Elections {
    /// The votes that have reached each candidate, for its present term.
    votes: Vec<(u64, BTreeSet<usize>)>,
    /// The leader of which each server was last seen as a follower, with its term.
    follows: Vec<Option<(u64, usize)>>,
}

impl Elections {
    /// For this number of servers.
    pub fn new(servers: usize) -> Elections {
        Elections { votes: vec![(0, BTreeSet::new()); servers], follows: vec![None; servers] }
    }

    /// A vote has reached its candidate.
    pub fn counts(&mut self, candidate: usize, term: u64, voter: usize) {
        let votes = &mut self.votes[candidate];
        if votes.0 == term {
            votes.1.insert(voter);
        }
    }
}

impl Teller {
    /// Server `i` asks for votes in `term`, or has saved its own vote.
    pub(super) fn is_candidate(&mut self, i: usize, term: u64) {
        let view = &self.views[i];
        if view.term > Some(term) || (view.term, view.role) == (Some(term), Some(Role::Candidate)) {
            return;
        }
        if view.term == Some(term) && view.role == Some(Role::Leader) {
            return;
        }
        self.elections.votes[i] = (term, BTreeSet::from([i]));
        let text = format!("{} becomes a candidate in term {term}", name(i));
        let change = Change {
            role: Some(Some(Role::Candidate)),
            term: Some(term),
            vote: Some(Vote::For(i as u64)),
            ..Change::of(i)
        };
        self.say_role(i, "candidate", term, text, change);
    }

    /// Server `i` acts as the leader of `term`.
    pub(super) fn is_leader(&mut self, i: usize, term: u64) {
        let view = &self.views[i];
        if view.term > Some(term) || (view.term, view.role) == (Some(term), Some(Role::Leader)) {
            return;
        }
        let (of, votes) = &self.elections.votes[i];
        let others: Vec<_> = votes.iter().copied().filter(|voter| *voter != i).collect();
        let text = match others.is_empty() || *of != term {
            true => format!("{} leads term {term}", name(i)),
            false => {
                format!(
                    "{} wins the election of term {term} with the votes of {} and its own",
                    name(i),
                    names(&others)
                )
            }
        };
        let change = Change { role: Some(Some(Role::Leader)), term: Some(term), ..Change::of(i) };
        self.say_role(i, "leader", term, text, change);
    }

    /// Server `i` agrees that `leader` leads `term`.
    pub(super) fn is_follower(&mut self, i: usize, term: u64, leader: usize) {
        if self.views[i].term > Some(term) || self.elections.follows[i] == Some((term, leader)) {
            return;
        }
        self.elections.follows[i] = Some((term, leader));
        let lost = self.views[i].role == Some(Role::Candidate) && self.views[i].term == Some(term);
        let text = match lost {
            true => format!(
                "{} loses the election of term {term} and follows {}",
                name(i),
                name(leader)
            ),
            false => format!("{} follows {}, the leader of term {term}", name(i), name(leader)),
        };
        let role = Some(Some(Role::Follower));
        let vote = (self.views[i].term < Some(term)).then_some(Vote::Unknown);
        let change = Change { role, term: Some(term), vote, ..Change::of(i) };
        self.say_role(i, "follower", term, text, change);
    }

    /// Server `i` has shown that its term is `term`. Whom it voted for in that term is not known yet.
    pub(super) fn has_term(&mut self, i: usize, term: u64) {
        let view = &self.views[i];
        if view.term >= Some(term) {
            return;
        }
        if view.term.is_none() && term == 0 {
            return self.note(Change { term: Some(0), ..Change::of(i) });
        }
        let was = view.role;
        let (what, text) = match was {
            Some(Role::Leader) => {
                ("follower", format!("{} steps down: its term is {term} now", name(i)))
            }
            Some(Role::Candidate) => {
                ("follower", format!("{} gives up its candidacy: its term is {term} now", name(i)))
            }
            _ => ("term", format!("{} moves to term {term}", name(i))),
        };
        let role = Some(Some(Role::Follower));
        let change = Change { role, term: Some(term), vote: Some(Vote::Unknown), ..Change::of(i) };
        self.say_role(i, what, term, text, change);
    }

    /// Server `i` told the tester that it does not lead `term`.
    pub(super) fn does_not_lead(&mut self, i: usize, term: u64) {
        self.has_term(i, term);
        let view = &self.views[i];
        if view.role == Some(Role::Leader) && view.term == Some(term) {
            let text = format!("{} says that it does not lead term {term} any more", name(i));
            let change = Change { role: Some(Some(Role::Follower)), ..Change::of(i) };
            self.say_role(i, "follower", term, text, change);
        }
    }

    /// Server `i` has voted for `candidate` in `term`; `None`: it has not voted yet.
    pub(super) fn has_voted(&mut self, i: usize, term: u64, candidate: Option<u64>) {
        let vote = candidate.map_or(Vote::Nobody, Vote::For);
        if self.views[i].term == Some(term) && self.views[i].vote != vote {
            self.note(Change { vote: Some(vote), ..Change::of(i) });
        }
    }

    fn say_role(&mut self, i: usize, what: &'static str, term: u64, text: String, change: Change) {
        let mut told = self.told(Kind::Role, what, text);
        (told.server, told.term) = (Some(i), Some(term));
        self.views[i].change(&change);
        told.changes.push(change);
        self.push(told);
    }
}
