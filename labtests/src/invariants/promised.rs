//! What servers promise: the answers that they give to calls.

use super::model::{Asked, Call, Model, Verdict};
use super::reign::Reign;
use super::server::Open;
use crate::cluster::name;
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
            _ => Some((u64::MAX, Place::default())), // who knows what it does to the log
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
            // Without its term nobody knows whether it refuses the leader or what the leader sends.
            (Asked::Append { prev, last }, Some(false)) if !refused && said.term.is_some() => {
                // Where no heartbeat is ever agreed to, what is said to them means nothing.
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
            // The answer promises nothing: it may come before the snapshot is installed. What that covers is committed without this server.
            (Asked::Install { last }, yes) if !refused && yes != Some(false) => {
                if let Some(reign) = self.reigns.get_mut(&asked_in) {
                    reign.may_agree(call.to, last.index);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn may_agree(&mut self, call: Call, term: u64, last: Place) {
        self.known.answers = false;
        if let Some(reign) = self.reigns.get_mut(&term) {
            reign.may_agree(call.to, last.index);
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

    /// A reply names a term: the present one, or that in which the request came. Some replies to what isn't refused leave
    /// it at 0; no rule of Figure 3 forbids it.
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
            "{} answers {}'s call of term {} in term {term}, and was in term {} before that came. A reply names the \
             server's own term, \"for leader to update itself\" (Figure 2): without it an old leader, or candidate, never \
             learns that its term is over (§5.1)",
            name(i),
            name(call.from),
            asked_in,
            open.term
        ))
    }

    fn in_its_term(&self, call: Call, term: u64, open: Open, what: &str) -> Verdict {
        if term >= open.term {
            return Ok(());
        }
        Err(format!(
            "{} {what} {} in term {}, and was in term {} already. A server refuses what comes from older terms (§5.1)",
            name(call.to),
            name(call.from),
            term,
            open.term
        ))
    }

    fn grants(&mut self, call: Call, term: u64, last: Option<Place>, open: Open) -> Verdict {
        let (voter, candidate) = (call.to, call.from);
        self.in_its_term(call, term, open, "grants its vote to")?;
        self.speaks(voter, term)?;
        if let Some(last) = last.filter(|last| *last < open.kept) {
            return Err(format!(
                "{} grants its vote of term {} to {}, whose log ends with {last}, and has itself said that it has {}. \
                 Leader Completeness (Figure 3) rests on it that a candidate's log is at least as up-to-date as the \
                 voter's (§5.4.1)",
                name(voter),
                term,
                name(candidate),
                open.kept
            ));
        }
        self.votes(voter, term, candidate)?;
        self.is_seen_waiting(voter, term);
        let server = &self.servers[voter];
        // Who asks itself, too, may have saved that vote before it asked anybody.
        let unsaved =
            voter != candidate && server.asked.get(&(term, candidate)) == Some(&server.saves);
        if self.saving && self.known.votes && unsaved {
            return Err(format!(
                "{} grants its vote of term {} to {} and has saved nothing since it was asked. After a crash it may \
                 vote again, for another: votedFor is saved before the reply (Figure 2, Persistent state)",
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
        self.in_its_term(call, term, open, "accepts entries from")?;
        self.seen.heartbeats_agreed_to |= prev == last && prev.index > 0;
        self.speaks(i, term)?;
        let server = &self.servers[i];
        let made_it =
            |place: Place| self.reigns.get(&place.term).is_none_or(|reign| reign.leader == i);
        let in_snapshot = |place: Place| place.index <= server.snapshot.max(self.forgotten.index);
        // What it was sent in a message that can't be read isn't known.
        let all_known = self.known.acknowledgements;
        if all_known && !(in_snapshot(prev) || made_it(prev) || server.given.contains_key(&prev)) {
            return Err(format!(
                "{} says that its log agrees with {}'s at {prev}, an entry that it was never sent. Log Matching (Figure \
                 3) rests on the consistency check, also of heartbeats (§5.3)",
                name(i),
                name(call.from)
            ));
        }
        let unsaved = all_known && server.given.get(&last) == Some(&server.saves);
        if self.saving && unsaved && last != prev && !in_snapshot(last) && !made_it(last) {
            return Err(format!(
                "{} acknowledges {last} and has saved nothing since it was sent that. After a crash it is gone: log[] \
                 is saved before the reply (Figure 2, Persistent state)",
                name(i)
            ));
        }
        self.agrees(i, term, last)
    }

    /// A server does not agree with its leader at `prev`.
    fn disagrees(&mut self, call: Call, prev: Place, open: Open) -> Verdict {
        let i = call.to;
        let had = self.history.holds(open.kept, prev) == Some(true) && prev.index > 0;
        // Below what is committed, or what may be in its snapshot, a server may have other reasons to refuse.
        let most = self.reigns.values().filter_map(Reign::may_commit).max().unwrap_or(0);
        if had
            && self.known.acknowledgements
            && prev.index >= most
            && prev.index > self.servers[i].snapshot
        {
            return Err(format!(
                "{} had said that it has {}, and now refuses what its leader {} sends to follow {prev}. Either entries that \
                 were acknowledged are gone, though only one that conflicts with a new one is deleted (Figure 2, \
                 AppendEntries 3; §5.3); or it does not follow the leader of its term (Rules for Servers, Candidates)",
                name(i),
                open.kept,
                name(call.from)
            ));
        }
        Ok(())
    }
}
