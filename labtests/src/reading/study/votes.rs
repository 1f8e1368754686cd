//! What is certain about elections.

use super::evidence::Tally;
use super::{Call, Study};
use crate::reading::message::title;
use crate::reading::{Fact, Fields, Part, Place, Reply, Word};
use labrpc::describe::Value;
use std::collections::{BTreeMap, BTreeSet};

const GRANTED: Fact = (Part::VoteReply, Word::VoteGranted);

/// What was seen of elections.
#[derive(Default)]
pub(super) struct Votes {
    /// The candidates that asked for votes, with their term and the last entry of their log.
    pub candidacies: BTreeMap<(usize, u64), Option<Place>>,
    /// How many servers said yes to a candidate, and how many said no.
    answers: BTreeMap<(usize, u64), (u64, u64)>,
    /// The terms that servers said they lead, with the server.
    led: BTreeSet<(u64, usize)>,
    /// Servers that seemed to lead a term which another server said it leads, with the kind of call and the term.
    pub claims_besides: BTreeSet<(Part, usize, u64)>,
    /// Whether there was a request for votes whose term can't be read.
    unread: bool,
    /// The methods that ask for votes, with the names of their arguments.
    methods: BTreeSet<(&'static str, String)>,
    /// The values of unknown fields that look like flags, by field.
    flags: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Votes {
    /// Server `i` said that it leads this term.
    pub fn led(&mut self, i: usize, term: u64) {
        self.led.insert((term, i));
    }

    /// Another server that said that it leads this term, if server `i` never said so.
    pub fn leader_besides(&self, i: usize, term: u64) -> Option<usize> {
        let leaders = self.led.range((term, 0)..=(term, usize::MAX)).map(|(_, leader)| *leader);
        leaders.clone().all(|leader| leader != i).then_some(leaders)?.next()
    }

    /// Adds the evidence of the run as a whole.
    pub fn conclude(&self, tallies: &mut BTreeMap<Fact, Tally>) {
        for (term, leader) in &self.led {
            let (yes, no) = self.answers.get(&(*leader, *term)).copied().unwrap_or_default();
            let tally = tallies.entry(GRANTED).or_default();
            match yes.cmp(&no) {
                std::cmp::Ordering::Greater => tally.agrees += 1,
                std::cmp::Ordering::Less => tally.contradict(|| {
                    format!("S{leader} said that it leads term {term}, but only {yes} servers granted it their votes and {no} did not")
                }),
                std::cmp::Ordering::Equal => {}
            }
        }
        let asks = tallies.entry((Part::Vote, Word::Term)).or_default();
        for (term, leader) in self.led.iter().filter(|_| !self.unread) {
            match self.candidacies.contains_key(&(*leader, *term)) {
                true => asks.agrees += 1,
                false => asks.contradict(|| {
                    format!("S{leader} said that it leads term {term}, but it had not asked for votes in that term")
                }),
            }
        }
        if self.methods.len() > 1 {
            asks.means_something_else = true;
            asks.contradict(|| {
                format!(
                    "{:?} all look like RequestVote: one of them may be a pre-vote",
                    self.methods
                )
            });
        }
        if let Some((flag, values)) = self.flags.iter().find(|(_, values)| values.len() > 1) {
            asks.means_something_else = true;
            asks.contradict(|| {
                format!("the field {flag} is sometimes {} and sometimes not: it may distinguish a pre-vote from a vote", first(values))
            });
        }
    }
}

fn first(values: &BTreeSet<String>) -> &str {
    values.first().map_or("", String::as_str)
}

/// What may be a flag: `true`, a variant without values, 0 or 1.
fn as_flag(value: &Value) -> Option<String> {
    match value {
        Value::Bool(_) | Value::Unit(_) | Value::Unsigned(0 | 1) | Value::Signed(0 | 1) => {
            Some(value.to_string())
        }
        Value::Tagged(_, inner) => as_flag(inner),
        _ => None,
    }
}

impl Study {
    pub(super) fn asks_for_votes(
        &mut self,
        from: usize,
        method: &'static str,
        term: Option<u64>,
        last: Option<Place>,
        args: &Value,
    ) {
        self.votes.methods.insert((method, title(args).to_string()));
        for (name, value) in Fields::of(args, self.reading.names()).rest() {
            if let Some(flag) = as_flag(value) {
                self.votes.flags.entry(name).or_default().insert(flag);
            }
        }
        let Some(term) = term else {
            self.votes.unread = true;
            return;
        };
        if term == 0 {
            self.means_something_else((Part::Vote, Word::Term), || {
                "it was 0, but no server becomes a candidate in term 0".into()
            });
        }
        let is_new = !self.votes.candidacies.contains_key(&(from, term));
        self.votes.candidacies.entry((from, term)).or_insert(last);
        if let Some(last) = last.filter(|last| last.index == 0 && last.term > 0) {
            let fact = (Part::Vote, Word::LastLogIndex);
            self.means_something_else(fact, || {
                format!("the entry at index 0 is of term {}", last.term)
            });
        }
        let server = &mut self.servers[from];
        server.called_in = server.called_in.max(term);
        server.asked_in = server.asked_in.max(Some(term));
        server.asked_last = server.asked_last.max(Some(term));
        let before = server.term;
        if is_new {
            self.bears_out((Part::Vote, Word::Term), term >= before, || {
                format!("S{from} was in term {before}, but asked for votes in term {term}")
            });
        }
        self.saved_term_is(from, term);
        self.saved_vote_is(from, term, from);
    }

    pub(super) fn votes_answered(&mut self, call: Call, term: u64, reply: Reply) {
        let Some(yes) = reply.yes else { return };
        let counts = self.votes.answers.entry((call.from, term)).or_default();
        *(if yes { &mut counts.0 } else { &mut counts.1 }) += 1;
        if reply.term.is_some_and(|newer| newer > term) {
            self.bears_out(GRANTED, !yes, || {
                format!(
                    "S{} granted a vote of term {term}, but named a newer term in the same reply",
                    call.to
                )
            });
        }
        if call.to != call.from && self.votes.candidacies.contains_key(&(call.to, term)) {
            self.bears_out(GRANTED, !yes, || {
                format!(
                    "S{} asked for votes in term {term} itself, but granted its vote to S{}",
                    call.to, call.from
                )
            });
        }
        if yes {
            self.saved_vote_is(call.to, term, call.from);
        }
    }
}
