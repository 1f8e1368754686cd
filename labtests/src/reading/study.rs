//! Checks whether a run confirms the meanings that its words are assumed to have.
//!
//! Common words are ambiguous: the `term` of a reply may be the term of a conflict, and `vote` may name the server that already has
//! the vote. So when a test has failed, its run is checked for contradictions. Some things are certain, no matter what messages say:
//! what `get_state()`, `start()` and the apply channel report, which server called which, and in which order. A fact of a message
//! that can be compared with one of these either agrees with it or contradicts it. A fact that contradicts often is doubted: the
//! Raft means something else by the word. A bug also causes contradictions, but only a few: most of what a buggy Raft says is
//! correct.

mod evidence;
mod logs;
mod saves;
mod votes;

pub use evidence::{Doubts, Evidence};
pub use logs::{CONTENTS, NUMBERING, command_of};

use super::{Ask, Fact, Fields, Part, Place, Reading, Reply, Word};
use evidence::Tally;
use labrpc::api::{ApplyMsg, Command, Started};
use labrpc::describe::Value;
use labrpc::trace::What;
use std::collections::BTreeMap;

/// Checks one run for contradictions.
pub struct Study {
    reading: Reading,
    servers: Vec<Server>,
    calls: BTreeMap<u64, Call>,
    evidence: Evidence,
    votes: votes::Votes,
    logs: logs::Places,
}

/// What is certain about a server in its present incarnation.
#[derive(Default)]
struct Server {
    /// The highest term that `get_state()` or `start()` returned.
    term: u64,
    /// The highest term of its own calls.
    called_in: u64,
    /// The last term that it said it leads.
    leads: Option<u64>,
    /// The highest term of its requests for votes.
    asked_last: Option<u64>,
    /// The highest term of its requests for votes since the last call of `get_state()`.
    asked_in: Option<u64>,
    /// For each kind of message, the highest term that the server named in such a message since `get_state()` or `start()` last
    /// returned the server's term. Only its replies and its calls as a leader count.
    told: BTreeMap<Part, u64>,
    /// The highest index that its service was given.
    applied: u64,
    /// The term and vote that it saved last.
    saved: Option<(u64, Option<Option<u64>>)>,
}

/// What is needed of a call to check its reply.
#[derive(Clone, Copy)]
struct Call {
    from: usize,
    to: usize,
    method: &'static str,
    part: Part,
    term: Option<u64>,
    /// For AppendEntries: prevLogIndex and the last index.
    range: Option<(u64, u64)>,
    /// The receiver's term when the call arrived, as far as that is certain.
    found: u64,
}

impl Study {
    /// A study of a run with this number of servers.
    pub fn new(servers: usize, reading: Reading) -> Study {
        Study {
            reading,
            servers: (0..servers).map(|_| Server::default()).collect(),
            calls: BTreeMap::new(),
            evidence: Evidence::default(),
            votes: votes::Votes::default(),
            logs: logs::Places::default(),
        }
    }

    /// The facts that the run so far gives reason to doubt.
    pub fn doubts(&self) -> Doubts {
        self.evidence().doubts()
    }

    /// The evidence of the run so far about the meanings of its words.
    pub fn evidence(&self) -> Evidence {
        let mut evidence = self.evidence.clone();
        self.votes.conclude(&mut evidence.tallies);
        self.logs.conclude(&mut evidence.tallies);
        evidence
    }

    fn reads<T>(&mut self, part: Part, word: Word, value: Option<T>) {
        if value.is_some() {
            self.evidence.read.insert((part, word));
        }
    }

    fn tally(&mut self, fact: Fact) -> &mut Tally {
        self.evidence.tallies.entry(fact).or_default()
    }

    fn agrees(&mut self, fact: Fact) {
        self.tally(fact).agrees += 1;
    }

    fn contradicts(&mut self, fact: Fact, example: impl FnOnce() -> String) {
        self.tally(fact).contradict(example);
    }

    fn bears_out(&mut self, fact: Fact, yes: bool, example: impl FnOnce() -> String) {
        if yes { self.agrees(fact) } else { self.contradicts(fact, example) }
    }

    fn means_something_else(&mut self, fact: Fact, example: impl FnOnce() -> String) {
        self.contradicts(fact, example);
        self.tally(fact).means_something_else = true;
    }

    /// A server starts or restarts.
    pub fn begins_incarnation(&mut self, i: usize) {
        let saved = self.servers[i].saved;
        self.servers[i] = Server { saved, ..Server::default() };
    }

    /// `get_state()` of server `i` returned this.
    pub fn believes(&mut self, i: usize, term: u64, leads: bool) {
        self.servers[i].leads = leads.then_some(term);
        self.is_in(i, term);
        if let Some(asked) = self.servers[i].asked_in.take() {
            let fact = (Part::Vote, Word::Term);
            self.bears_out(fact, term >= asked, || {
                format!("S{i} asked for votes in term {asked}, but get_state() returned term {term} after that")
            });
        }
        if leads {
            self.votes.led(i, term);
        }
    }

    /// A server says that it is in this term. It cannot have named a higher term before.
    fn is_in(&mut self, i: usize, term: u64) {
        let server = &mut self.servers[i];
        server.term = server.term.max(term);
        for (part, told) in std::mem::take(&mut server.told) {
            self.bears_out((part, Word::Term), term >= told, || {
                format!("S{i} named term {told}, but said after that that it is in term {term}")
            });
        }
    }

    /// `start()` of server `i` returned this.
    pub fn took(&mut self, i: usize, started: Started, command: &Command) {
        self.servers[i].leads = Some(started.term);
        self.is_in(i, started.term);
        self.evidence.read.insert(NUMBERING);
        // The entries that it was elected with are in its log, so a new command comes after them.
        if let Some(Some(claim)) = self.votes.candidacies.get(&(i, started.term)).copied()
            && claim.index > 0
        {
            self.bears_out(NUMBERING, started.index > claim.index, || {
                format!("S{i} was elected with a log that ended with {claim}, but start() returned index {} for a command after that", started.index)
            });
        }
        self.votes.led(i, started.term);
        self.logs.started(started, command);
    }

    /// Server `i` gave this message to its service.
    pub fn applies(&mut self, i: usize, message: &ApplyMsg) {
        let (ApplyMsg::Command { index, .. }
        | ApplyMsg::Snapshot { index, .. }
        | ApplyMsg::Internal { index, .. }) = message
        else {
            return;
        };
        self.evidence.read.insert(NUMBERING);
        self.servers[i].applied = self.servers[i].applied.max(*index);
        if let ApplyMsg::Command { index, term, .. } = message {
            self.logs.applied.insert(Place { index: *index, term: *term });
        }
    }

    /// Something happened on the network or on a disk.
    pub fn event(&mut self, what: &What) {
        match what {
            What::Called { call, end, method, args } => self.called(*call, end, method, args),
            What::Delivered { call, .. } => {
                let Some(call) = self.calls.get_mut(call) else { return };
                call.found = self.servers[call.to].certainly_in();
            }
            What::Answered { call, end, reply } => {
                let Some(&asked) = self.calls.get(call) else { return };
                let reply = self.reading.reply(end, asked.method, asked.reply_part(), reply);
                self.answered(asked, reply);
            }
            What::Saved { who, what, value } => self.saved(who, what, value),
            _ => {}
        }
    }

    fn called(&mut self, number: u64, end: &str, method: &'static str, args: &Value) {
        let Some((from, _, to)) = crate::names::parse_end(end) else { return };
        let reading = self.reading.clone();
        let call = Call { from, to, method, part: Part::Vote, term: None, range: None, found: 0 };
        reading.ask(end, method, args, |ask, args| match ask {
            Ask::Vote { term, last } => {
                self.reads(Part::Vote, Word::Term, *term);
                self.reads(Part::Vote, Word::LastLogIndex, *last);
                self.counts_from_one(Part::Vote, Word::LastLogIndex, args);
                self.asks_for_votes(from, method, *term, *last, args);
                self.calls.insert(number, Call { term: *term, ..call });
            }
            Ask::Append { term, logs, commit } => {
                self.reads(Part::Append, Word::Term, *term);
                self.reads(Part::Append, Word::PrevLogIndex, logs.last_index());
                self.reads(Part::Append, Word::LeaderCommit, *commit);
                self.counts_from_one(Part::Append, Word::PrevLogIndex, args);
                self.counts_from_one(Part::Append, Word::LeaderCommit, args);
                self.is_of_its_leader(from, (Part::Append, Word::Term), *term);
                let range = self.sends_entries(from, to, *term, logs, *commit);
                let part = Part::Append;
                self.calls.insert(number, Call { part, term: *term, range, ..call });
            }
            Ask::Install { term, last, .. } => {
                self.reads(Part::Install, Word::Term, *term);
                self.reads(Part::Install, Word::LastIncludedIndex, *last);
                self.counts_from_one(Part::Install, Word::LastIncludedIndex, args);
                self.is_of_its_leader(from, (Part::Install, Word::Term), *term);
                self.sends_snapshot(from, to, *term, *last);
                let part = Part::Install;
                self.calls.insert(number, Call { part, term: *term, ..call });
            }
            _ => {}
        });
    }

    /// A Raft that writes -1 for "no entry" counts from 0.
    fn counts_from_one(&mut self, part: Part, word: Word, args: &Value) {
        let fields = Fields::of(args, self.reading.names());
        if let Some(number) = fields.below_zero(word) {
            let text = format!("it was {number} once, so it is not an index that counts from 1");
            self.means_something_else((part, word), || text);
        }
    }

    /// A server that has said that it leads term 5 sends nothing with term 4.
    fn is_of_its_leader(&mut self, from: usize, fact: Fact, term: Option<u64>) {
        let Some(term) = term else { return };
        if term == 0 {
            return self
                .means_something_else(fact, || "it was 0, but no server leads term 0".into());
        }
        let server = &mut self.servers[from];
        if let Some(asked) = server.asked_last.filter(|asked| term < *asked) {
            self.contradicts(fact, || {
                format!(
                    "S{from} asked for votes in term {asked}, but then sent a message of a leader with term {term}"
                )
            });
        }
        self.led_it_itself(from, fact, term);
        self.names_term(from, fact.0, term);
        let server = &mut self.servers[from];
        server.called_in = server.called_in.max(term);
        if let Some(leads) = server.leads.filter(|leads| term <= *leads) {
            self.bears_out(fact, term == leads, || {
                format!(
                    "S{from} said that it leads term {leads}, but then sent a message of a leader with term {term}"
                )
            });
        }
        self.saved_term_is(from, term);
    }

    /// A leader sends messages only with terms that it led itself.
    fn led_it_itself(&mut self, from: usize, fact: Fact, term: u64) {
        let server = &self.servers[from];
        let later = server.called_in.max(server.leads.unwrap_or(0));
        let Some(other) = self.votes.leader_besides(from, term) else { return };
        let text = || {
            format!(
                "S{from} sent a message of a leader with term {term}, but S{other} had said that it leads that term"
            )
        };
        // A server that was already in a newer term cannot be a second leader of `term`, and no bug would make it send `term`. So
        // the field means something else.
        if term < later {
            self.means_something_else(fact, text);
        } else if self.votes.claims_besides.insert((fact.0, from, term)) {
            self.contradicts(fact, text);
        }
    }

    fn names_term(&mut self, i: usize, part: Part, term: u64) {
        let told = self.servers[i].told.entry(part).or_default();
        *told = term.max(*told);
    }

    fn answered(&mut self, call: Call, reply: Reply) {
        let part = call.reply_part();
        self.reads(part, Word::Term, reply.term);
        match part {
            Part::VoteReply => self.reads(part, Word::VoteGranted, reply.yes),
            Part::AppendReply => self.reads(part, Word::Success, reply.yes),
            // In a reply to InstallSnapshot, only a refusal is read. A refusal never accuses the server that refuses.
            _ => {}
        }
        let Some(asked) = call.term else { return };
        let fact = (part, Word::Term);
        if reply.term == Some(0) {
            // Term 0 in a reply may be a bug, if other replies have a term.
            self.contradicts(fact, || {
                format!("S{} replied with term 0 to a call of term {asked}", call.to)
            });
        }
        if let Some(term) = reply.term.filter(|term| *term > 0) {
            if term < call.found.min(asked) {
                // This is neither the server's own term nor the caller's. A bug would send one of these two.
                self.means_something_else(fact, || {
                    format!(
                        "S{} was in term {} and replied with term {term} to a call of term {asked}",
                        call.to, call.found
                    )
                });
            } else if term == asked {
                self.agrees(fact);
            }
            let higher = |(other, told): (&Part, &u64)| {
                (other.is_reply() && *other != part && *told > term).then_some((*other, *told))
            };
            for (other, told) in
                self.servers[call.to].told.iter().filter_map(higher).collect::<Vec<_>>()
            {
                self.contradicts((other, Word::Term), || {
                    format!("S{} named term {told}, but then term {term} in {part}", call.to)
                });
            }
            self.names_term(call.to, part, term);
        }
        match part {
            Part::VoteReply => self.votes_answered(call, asked, reply),
            Part::AppendReply => self.entries_answered(call, asked, reply),
            _ => {}
        }
    }
}

impl Call {
    fn reply_part(&self) -> Part {
        match self.part {
            Part::Vote => Part::VoteReply,
            Part::Append => Part::AppendReply,
            _ => Part::InstallReply,
        }
    }
}

impl Server {
    /// The term that the server has certainly reached.
    fn certainly_in(&self) -> u64 {
        self.term.max(self.called_in)
    }
}

#[cfg(test)]
mod tests;
