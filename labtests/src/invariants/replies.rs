//! What servers promise: their replies to calls.

use super::leadership::Leadership;
use super::model::{Asked, Call, Model, Verdict};
use super::server::Open;
use crate::names::name;
use crate::reading::{Part, Place, Reply, Word};
use labrpc::describe::Value;

impl Model {
    pub(super) fn delivered(&mut self, number: u64) {
        let Some(&Call { from, to, term, what, .. }) = self.calls.get(&number) else {
            return self.may_have_forgotten(number);
        };
        if let Some(term) = term.filter(|_| !matches!(what, Asked::Vote { .. })) {
            self.is_seen_waiting(to, term);
        }
        let server = &mut self.servers[to];
        let saves = server.saves;
        let cuts = match (what, term) {
            (Asked::Vote { .. }, Some(term)) => {
                server.asked.entry((term, from)).or_insert(saves);
                None
            }
            (Asked::Vote { .. } | Asked::Nothing, _) => None,
            (Asked::Append { prev, last }, Some(term)) => {
                for place in self.history.back_to(last, prev.index) {
                    server.given.entry(place).or_insert(saves);
                }
                Some((term, last))
            }
            (Asked::Install { last }, Some(term)) => {
                server.snapshot = server.snapshot.max(last.index);
                Some((term, last))
            }
            _ => Some((u64::MAX, Place::default())), // it is unknown what this does to the log
        };
        server.open(number, cuts, &self.history);
    }

    pub(super) fn answered(&mut self, number: u64, end: &str, reply: &Value) -> Verdict {
        let Some(&call) = self.calls.get(&number) else {
            self.may_have_forgotten(number);
            return Ok(());
        };
        let Some(open) = self.servers[call.to].close(number) else { return Ok(()) };
        let Some(asked_in) = call.term else { return Ok(()) };
        let part = call.reply;
        let said = self.reading.reply(end, call.method, part, reply);
        if let Some(term) = said.term {
            self.answers_in(call, asked_in, term, open)?;
        }
        self.notes_what_it_could_read(call, part, said, reply);
        let refused = said.term.is_some_and(|term| term > asked_in);
        match (call.what, said.yes) {
            (Asked::Vote { last }, Some(true)) => self.grants(call, asked_in, last, open),
            (Asked::Vote { .. }, None) if !refused => {
                self.servers[call.to].perhaps.insert((asked_in, call.from));
                Ok(())
            }
            (Asked::Append { prev, last }, Some(true)) => {
                self.acknowledges(call, asked_in, (prev, last), open)
            }
            // A refusal without a term may refuse the leader, or only the entries that the leader sends.
            (Asked::Append { prev, last }, Some(false)) if !refused && said.term.is_some() => {
                // If no heartbeat is ever accepted, then refusals of heartbeats mean nothing.
                if prev != last || self.seen.heartbeats_agreed_to {
                    self.disagrees(call, prev, open)?;
                }
                self.servers[call.to].heard(asked_in);
                Ok(())
            }
            (Asked::Append { last, .. }, None) if !refused => {
                self.may_agree(call, asked_in, last);
                Ok(())
            }
            // This reply promises nothing: it may come before the snapshot is installed. The entries that the snapshot covers are
            // committed even without this server.
            (Asked::Install { last }, yes) if !refused && yes != Some(false) => {
                if let Some(leadership) = self.leaderships.get_mut(&asked_in) {
                    leadership.may_agree(call.to, last.index);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn may_agree(&mut self, call: Call, term: u64, last: Place) {
        self.known.answers = false;
        if let Some(leadership) = self.leaderships.get_mut(&term) {
            leadership.may_agree(call.to, last.index);
        }
    }

    fn notes_what_it_could_read(&mut self, call: Call, part: Part, said: Reply, reply: &Value) {
        let answer = match call.what {
            Asked::Vote { .. } => Some((part, Word::VoteGranted)),
            Asked::Append { .. } => Some((part, Word::Success)),
            _ => None,
        };
        let term = Some((part, Word::Term)).filter(|_| call.what != Asked::Unknown);
        for (fact, read) in [(answer, said.yes.is_some()), (term, said.term.is_some())] {
            if let Some(fact) = fact.filter(|_| !read) {
                self.known.miss(fact, call.method, reply);
            }
        }
    }

    /// A reply names a term: the server's current term, or its term when the request came. Some Rafts leave the term at 0 in
    /// replies that do not refuse; no rule of Figure 3 forbids that.
    fn answers_in(&mut self, call: Call, asked_in: u64, term: u64, open: Open) -> Verdict {
        let i = call.to;
        let lost = term > 0 && term < self.servers[i].term_of_earlier_lives;
        if lost || term >= open.term {
            return self.speaks(i, term);
        }
        if term == 0 && asked_in >= open.term {
            return Ok(());
        }
        Err(format!(
            "{0} answers {1}'s call of term {2} with term {term}, but {0} was in term {3} before the call came. A reply must name \
             the server's own term, \"for leader to update itself\" (Figure 2). Otherwise an old leader or candidate never learns \
             that its term is over (§5.1)",
            name(i),
            name(call.from),
            asked_in,
            open.term
        ))
    }

    fn in_its_term(
        &self,
        call: Call,
        term: u64,
        open: Open,
        (what, property): (&str, &str),
    ) -> Verdict {
        if term >= open.term {
            return Ok(());
        }
        Err(format!(
            "{0} {what} {1} in term {2}, but {0} was already in term {3}. A server must refuse requests of older terms (§5.1). \
             {property} (Figure 3) rests on this rule",
            name(call.to),
            name(call.from),
            term,
            open.term
        ))
    }

    fn grants(&mut self, call: Call, term: u64, last: Option<Place>, open: Open) -> Verdict {
        let (voter, candidate) = (call.to, call.from);
        self.in_its_term(call, term, open, ("grants its vote to", "Election Safety"))?;
        self.speaks(voter, term)?;
        if let Some(last) = last.filter(|last| *last < open.kept) {
            return Err(format!(
                "{0} grants its vote of term {1} to {2}, whose log ends with {last}, but {0} had said that its own log has {3}. \
                 The candidate's log must be at least as up-to-date as the voter's log (§5.4.1). Leader Completeness (Figure 3) \
                 rests on this rule",
                name(voter),
                term,
                name(candidate),
                open.kept
            ));
        }
        self.votes(voter, term, candidate)?;
        self.is_seen_waiting(voter, term);
        let server = &self.servers[voter];
        // A candidate that also sends itself a request may have saved its vote before it sent any.
        let unsaved =
            voter != candidate && server.asked.get(&(term, candidate)) == Some(&server.saves);
        if self.saving && self.known.votes && unsaved {
            return Err(format!(
                "{0} grants its vote of term {1} to {2}, but {0} has saved nothing since the request came. After a crash {0} may \
                 vote again in that term, for another candidate. votedFor must be saved before the reply (Figure 2, Persistent \
                 state). Election Safety (Figure 3) rests on this rule",
                name(voter),
                term,
                name(candidate)
            ));
        }
        Ok(())
    }

    fn acknowledges(
        &mut self,
        call: Call,
        term: u64,
        (prev, last): (Place, Place),
        open: Open,
    ) -> Verdict {
        let i = call.to;
        self.in_its_term(call, term, open, ("accepts entries from", "Leader Completeness"))?;
        self.seen.heartbeats_agreed_to |= prev == last && prev.index > 0;
        self.speaks(i, term)?;
        let server = &self.servers[i];
        let made_it = |place: Place| {
            self.leaderships.get(&place.term).is_none_or(|leadership| leadership.leader == i)
        };
        let in_snapshot = |place: Place| place.index <= server.snapshot.max(self.forgotten.index);
        // A message that can't be read may have sent any entry to this server.
        let all_known = self.known.acknowledgements;
        if all_known && !(in_snapshot(prev) || made_it(prev) || server.given.contains_key(&prev)) {
            return Err(format!(
                "{0} says that its log agrees with {1}'s log at {prev}, but {0} was never sent that entry. A follower must make \
                 the consistency check for every AppendEntries, also for heartbeats (§5.3). Log Matching (Figure 3) rests on \
                 this rule",
                name(i),
                name(call.from)
            ));
        }
        let unsaved = all_known && server.given.get(&last) == Some(&server.saves);
        if self.saving && unsaved && last != prev && !in_snapshot(last) && !made_it(last) {
            return Err(format!(
                "{} acknowledges {last}, but it has saved nothing since that entry was first sent to it. After a crash the entry \
                 is gone. log[] must be saved before the reply (Figure 2, Persistent state). Leader Completeness (Figure 3) rests \
                 on this rule",
                name(i)
            ));
        }
        self.agrees(i, term, last)
    }

    /// A server does not agree with its leader at `prev`.
    fn disagrees(&mut self, call: Call, prev: Place, open: Open) -> Verdict {
        let i = call.to;
        let had = self.history.holds(open.kept, prev) == Some(true) && prev.index > 0;
        // At an index that is committed, or that its snapshot may cover, a server may have other reasons to refuse.
        let most = self.leaderships.values().filter_map(Leadership::may_commit).max().unwrap_or(0);
        if had
            && self.known.acknowledgements
            && prev.index >= most
            && prev.index > self.servers[i].snapshot
        {
            return Err(format!(
                "{0} had said that its log has {1}. Now its leader {2} sent it an AppendEntries with {prev} as the previous \
                 entry, and {0} refuses it. There are two possible causes. Either entries that {0} had acknowledged are gone: a \
                 follower must delete entries only from the first conflict on (Figure 2, AppendEntries 3; §5.3). Or {0} does not \
                 follow the leader of its term (Rules for Servers, Candidates). Leader Completeness (Figure 3) rests on both rules",
                name(i),
                open.kept,
                name(call.from)
            ));
        }
        Ok(())
    }
}
