//! What candidates and leaders say: the calls that servers make.

use super::message::{Ask, Place, is_pre_vote};
use super::model::{Asked, Call, Model, Verdict};
use super::reign::Reign;
use crate::cluster::{name, parse_end};
use labrpc::describe::Value;

impl Model {
    pub(super) fn called(&mut self, number: u64, end: &str, method: &str, args: &Value) -> Verdict {
        let Some((from, life, to)) = parse_end(end) else { return Ok(()) };
        let server = &self.servers[from];
        if !server.alive || server.life != life {
            return Ok(()); // a dead server's thread, in real mode
        }
        let Some(ask) = Ask::read(method, args) else {
            if is_pre_vote(method, args) {
                self.is_seen_waiting(from, self.servers[from].term); // for a majority that would vote for it
            }
            return Ok(());
        };
        let (term, what) = match ask {
            Ask::Vote { term, last } => (term, self.stands(from, term, last)?),
            Ask::Append { term, prev, entries, commit } => {
                self.leads(from, term, "sends entries as the leader of")?;
                (term, self.sends_entries(term, prev, &entries, commit)?)
            }
            Ask::Install { term, last } => {
                self.leads(from, term, "sends a snapshot as the leader of")?;
                (term, self.sends_snapshot(from, term, last)?)
            }
        };
        self.speaks(from, term)?;
        self.calls.insert(number, Call { from, to, term, what });
        Ok(())
    }

    /// A server names a term as its own. What earlier lives named, it must have saved.
    pub(super) fn speaks(&mut self, i: usize, term: u64) -> Verdict {
        let server = &mut self.servers[i];
        if term < server.term_of_earlier_lives {
            return Err(format!(
                "{} is in term {term}, and was in term {} before it crashed. Terms never go back: currentTerm is saved \
                 before anybody hears of it (Figure 2, Persistent state)",
                name(i),
                server.term_of_earlier_lives
            ));
        }
        if self.saving && server.saved.is_some_and(|(saved, _)| saved < term) {
            return Err(format!(
                "{} speaks of term {term} and has saved only term {}. currentTerm is saved before anybody hears of it \
                 (Figure 2, Persistent state)",
                name(i),
                server.saved.map_or(0, |(saved, _)| saved)
            ));
        }
        server.speaks_of(term);
        Ok(())
    }

    /// A server stands for election, and so votes for itself.
    fn stands(&mut self, i: usize, term: u64, last: Place) -> Result<Asked, String> {
        self.seen.votes = true;
        let kept = self.servers[i].kept;
        // What it acknowledged in an earlier term, it had when it began to stand.
        if kept.term < term
            && (last < kept.last || self.history.holds(last, kept.last) == Some(false))
        {
            return Err(format!(
                "{} stands for election in term {term} with a log that ends with {last}, but it had said that it has \
                 {}: entries that were acknowledged are gone (§5.3; Figure 2, Persistent state). Leader Completeness \
                 (Figure 3) rests on them",
                name(i),
                kept.last
            ));
        }
        self.votes(i, term, i)?;
        self.claims.entry((term, i)).or_insert(last);
        self.is_seen_standing(i, term);
        Ok(Asked::Vote { last })
    }

    /// A server gives its vote.
    pub(super) fn votes(&mut self, i: usize, term: u64, candidate: usize) -> Verdict {
        let before = *self.servers[i].votes.entry(term).or_insert(candidate);
        if before != candidate {
            return Err(format!(
                "{} votes for {} in term {term}, and had voted for {}. Election Safety (Figure 3) rests on one vote a \
                 term for each server, also across crashes (§5.2)",
                name(i),
                name(candidate),
                name(before)
            ));
        }
        let server = &self.servers[i];
        let wanted = (term, Some(candidate as u64));
        if self.saving && server.saved.is_some_and(|saved| saved.0 <= term && saved != wanted) {
            return Err(format!(
                "{} votes for {} in term {term} and has not saved that. After a crash it may vote again, for another: \
                 votedFor is saved before anybody hears of it (Figure 2, Persistent state)",
                name(i),
                name(candidate)
            ));
        }
        Ok(())
    }

    /// A server acts as the leader of a term; `how` says how.
    pub fn leads(&mut self, i: usize, term: u64, how: &str) -> Verdict {
        self.is_seen_waiting(i, term); // a leader waits for nobody, until it is deposed
        if let Some(reign) = self.reigns.get(&term) {
            if reign.leader == i {
                return Ok(());
            }
            return Err(format!(
                "{} and {} both lead term {term}. Election Safety (Figure 3, §5.2): at most one leader can be elected \
                 in a given term",
                name(reign.leader),
                name(i)
            ));
        }
        let voters =
            (0..self.servers.len()).filter(|&v| self.servers[v].votes.get(&term) == Some(&i));
        let voters: Vec<_> = voters.map(|v| name(v).to_string()).collect();
        if self.seen.votes && !self.members_vary && voters.len() < self.quorum() {
            return Err(format!(
                "{} {how} term {term} with {} of {} votes ({}). Election Safety (Figure 3) rests on a majority (§5.2)",
                name(i),
                voters.len(),
                self.servers.len(),
                voters.join(", ")
            ));
        }
        let base = self.claims.get(&(term, i)).copied();
        self.reigns.insert(term, Reign::new(i, base, self.servers.len()));
        let commits: Vec<_> = self.commits.range(..term).map(|(t, place)| (*t, *place)).collect();
        commits.into_iter().try_for_each(|(t, place)| self.is_complete(term, t, place))
    }

    /// A leader has what leaders of earlier terms have committed.
    pub(super) fn is_complete(&self, term: u64, earlier: u64, committed: Place) -> Verdict {
        let reign = &self.reigns[&term];
        let Some(base) = reign.base else { return Ok(()) };
        if base.index >= committed.index && self.history.holds(base, committed) != Some(false) {
            return Ok(());
        }
        Err(format!(
            "{} leads term {term} with a log that ended with {base} when it was elected, but {committed} was committed \
             in term {earlier}. Leader Completeness (Figure 3, §5.4): a committed entry is in the logs of the leaders \
             of all higher terms",
            name(reign.leader)
        ))
    }

    fn sends_entries(
        &mut self,
        term: u64,
        prev: Place,
        entries: &[(u64, &Value)],
        commit: Option<u64>,
    ) -> Result<Asked, String> {
        self.seen.appends = true;
        let base = self.reigns[&term].base.map_or(0, |base| base.index);
        let mut joint = prev; // the last that the leader was elected with
        let mut last = prev;
        for (entry_term, value) in entries {
            let place = Place { index: last.index + 1, term: *entry_term };
            if place.index <= base {
                joint = place;
            } else {
                self.is_of_leaders_log(term, place)?;
            }
            let carried = self.history.carried(place, last.term, value);
            carried.map_err(|what| {
                format!("{what}. Log Matching (Figure 3, §5.3): an index and a term name one entry, and all before it")
            })?;
            self.has(term, place);
            last = place;
        }
        self.is_of_leaders_log(term, joint)?;
        self.has(term, prev);
        if let Some(commit) = commit {
            let leader = self.reigns[&term].leader;
            let there = self.history.term_at(self.reigns[&term].last, commit);
            self.commits(
                leader,
                term,
                commit,
                there.filter(|term| *term > 0),
                "says that it has committed",
            )?;
        }
        Ok(Asked::Append { prev, last })
    }

    pub(super) fn has(&mut self, term: u64, place: Place) {
        if let Some(reign) = self.reigns.get_mut(&term) {
            reign.has(place, term);
        }
    }

    /// What a leader shows of its log is what it was elected with, and what it has added since.
    pub(super) fn is_of_leaders_log(&self, term: u64, place: Place) -> Verdict {
        let reign = &self.reigns[&term];
        let Some(base) = reign.base else { return Ok(()) };
        let there = if place.index <= base.index {
            self.history.term_at(base, place.index)
        } else {
            Some(term)
        };
        match there {
            Some(there) if there != place.term => Err(format!(
                "{}, the leader of term {term}, has an entry of term {} at index {}, where its log has one of term \
                 {there}. Leader Append-Only (Figure 3, §5.3): a leader never overwrites or deletes entries of its own",
                name(reign.leader),
                place.term,
                place.index
            )),
            _ => Ok(()),
        }
    }

    fn sends_snapshot(&mut self, i: usize, term: u64, last: Place) -> Result<Asked, String> {
        self.commits(i, term, last.index, Some(last.term), "sends a snapshot up to")?;
        Ok(Asked::Install { last })
    }
}
