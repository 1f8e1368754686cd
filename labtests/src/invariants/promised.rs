//! What servers promise: the answers that they give to calls.

use super::message::{Place, Reply};
use super::model::{Asked, Call, Model, Verdict};
use super::reign::Reign;
use super::server::Open;
use crate::cluster::name;

impl Model {
    pub(super) fn delivered(&mut self, number: u64) {
        let Some(&Call { from, to, term, what }) = self.calls.get(&number) else { return };
        if !matches!(what, Asked::Vote { .. }) {
            self.is_seen_waiting(to, term);
        }
        let server = &mut self.servers[to];
        let saves = server.saves;
        let cuts = match what {
            Asked::Vote { .. } => {
                server.asked.entry((term, from)).or_insert(saves);
                None
            }
            Asked::Append { prev, last } => {
                for place in self.history.back_to(last, prev.index) {
                    server.given.entry(place).or_insert(saves);
                }
                Some((term, last))
            }
            Asked::Install { last } => {
                server.snapshot = server.snapshot.max(last.index);
                Some((term, last))
            }
        };
        server.open(number, cuts, &self.history);
    }

    pub(super) fn answered(&mut self, number: u64, reply: Reply) -> Verdict {
        let Some(&call) = self.calls.get(&number) else { return Ok(()) };
        let Some(open) = self.servers[call.to].close(number) else { return Ok(()) };
        let i = call.to;
        if let Some(term) = reply.term {
            self.answers_in(call, term, open)?;
        }
        let refused = reply.term.is_some_and(|term| term > call.term);
        match (call.what, reply.yes) {
            (Asked::Vote { last }, Some(true)) => self.grants(call, last, open),
            (Asked::Append { prev, last }, Some(true)) => self.acknowledges(call, prev, last, open),
            (Asked::Append { prev, .. }, Some(false)) if !refused => {
                self.disagrees(call, prev, open)
            }
            // Of a snapshot in pieces the last one may come alone.
            (Asked::Install { last }, yes) if !refused && yes != Some(false) => {
                self.agrees(i, call.term, last)
            }
            _ => Ok(()),
        }
    }

    /// A reply names a term: the present one, or that in which the request came. Some replies to what isn't refused leave
    /// it at 0; no rule of Figure 3 forbids it.
    fn answers_in(&mut self, call: Call, term: u64, open: Open) -> Verdict {
        let i = call.to;
        let lost = term > 0 && term < self.servers[i].term_of_earlier_lives;
        if lost || term >= open.term {
            return self.speaks(i, term);
        }
        if term == 0 && call.term >= open.term {
            return Ok(());
        }
        Err(format!(
            "{} answers {}'s call of term {} in term {term}, and was in term {} before that came. A reply names the \
             server's own term, \"for leader to update itself\" (Figure 2): without it an old leader, or candidate, never \
             learns that its term is over (§5.1)",
            name(i),
            name(call.from),
            call.term,
            open.term
        ))
    }

    fn in_its_term(&self, call: Call, open: Open, what: &str) -> Verdict {
        if call.term >= open.term {
            return Ok(());
        }
        Err(format!(
            "{} {what} {} in term {}, and was in term {} already. A server refuses what comes from older terms (§5.1)",
            name(call.to),
            name(call.from),
            call.term,
            open.term
        ))
    }

    fn grants(&mut self, call: Call, last: Place, open: Open) -> Verdict {
        let (voter, candidate) = (call.to, call.from);
        self.in_its_term(call, open, "grants its vote to")?;
        self.speaks(voter, call.term)?;
        if last < open.kept {
            return Err(format!(
                "{} grants its vote of term {} to {}, whose log ends with {last}, and has itself said that it has {}. \
                 Leader Completeness (Figure 3) rests on it that a candidate's log is at least as up-to-date as the \
                 voter's (§5.4.1)",
                name(voter),
                call.term,
                name(candidate),
                open.kept
            ));
        }
        self.votes(voter, call.term, candidate)?;
        self.is_seen_waiting(voter, call.term);
        let server = &self.servers[voter];
        if self.saving && server.asked.get(&(call.term, candidate)) == Some(&server.saves) {
            return Err(format!(
                "{} grants its vote of term {} to {} and has saved nothing since it was asked. After a crash it may \
                 vote again, for another: votedFor is saved before the reply (Figure 2, Persistent state)",
                name(voter),
                call.term,
                name(candidate)
            ));
        }
        Ok(())
    }

    fn acknowledges(&mut self, call: Call, prev: Place, last: Place, open: Open) -> Verdict {
        let i = call.to;
        self.in_its_term(call, open, "accepts entries from")?;
        self.speaks(i, call.term)?;
        let server = &self.servers[i];
        let made_it =
            |place: Place| self.reigns.get(&place.term).is_none_or(|reign| reign.leader == i);
        let in_snapshot = |place: Place| place.index <= server.snapshot;
        if !(in_snapshot(prev) || made_it(prev) || server.given.contains_key(&prev)) {
            return Err(format!(
                "{} says that its log agrees with {}'s at {prev}, an entry that it was never sent. Log Matching (Figure \
                 3) rests on the consistency check, also of heartbeats (§5.3)",
                name(i),
                name(call.from)
            ));
        }
        let unsaved = server.given.get(&last) == Some(&server.saves);
        if self.saving && unsaved && last != prev && !in_snapshot(last) && !made_it(last) {
            return Err(format!(
                "{} acknowledges {last} and has saved nothing since it was sent that. After a crash it is gone: log[] \
                 is saved before the reply (Figure 2, Persistent state)",
                name(i)
            ));
        }
        self.agrees(i, call.term, last)
    }

    /// A server does not agree with its leader at `prev`.
    fn disagrees(&mut self, call: Call, prev: Place, open: Open) -> Verdict {
        let i = call.to;
        let had = self.history.holds(open.kept, prev) == Some(true) && prev.index > 0;
        // Below what is committed, or what may be in its snapshot, a server may have other reasons to refuse.
        let most = self.reigns.values().filter_map(Reign::may_commit).max().unwrap_or(0);
        if had && prev.index >= most && prev.index > self.servers[i].snapshot {
            return Err(format!(
                "{} had said that it has {}, and now refuses what its leader {} sends to follow {prev}. Either entries that \
                 were acknowledged are gone, though only one that conflicts with a new one is deleted (Figure 2, \
                 AppendEntries 3; §5.3); or it does not follow the leader of its term (Rules for Servers, Candidates)",
                name(i),
                open.kept,
                name(call.from)
            ));
        }
        self.servers[i].heard(call.term);
        Ok(())
    }
}
