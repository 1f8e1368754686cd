//! The rules themselves: each thing that is seen, held against what was seen before.

use super::history::History;
use super::message::{Ask, Place, Reply, read_saved};
use super::reign::Reign;
use super::server::{Open, Server};
use crate::cluster::{name, parse_end};
use labrpc::api::{ApplyMsg, Command, Inspection, Started};
use labrpc::describe::Value;
use labrpc::trace::What;
use std::collections::BTreeMap;

/// A rule was broken: which, by whom, how.
pub type Verdict = Result<(), String>;

/// Everything that was seen of a run.
pub struct Model {
    servers: Vec<Server>,
    history: History,
    reigns: BTreeMap<u64, Reign>,
    /// Where candidates said that their logs end, by term and candidate.
    claims: BTreeMap<(u64, usize), Place>,
    /// How far the log was committed, by the term of the leader that committed it.
    commits: BTreeMap<u64, Place>,
    calls: BTreeMap<u64, Call>,
    /// Whether what isn't saved is a mistake: not in 2A and 2B, which many pass before they save anything.
    pub saving: bool,
    pub(super) seen: Seen,
}

/// Which kinds of things could be read at all.
#[derive(Default)]
pub(super) struct Seen {
    pub calls: bool,
    pub votes: bool,
    pub appends: bool,
    pub saved_votes: bool,
    pub inspections: bool,
}

/// A call, as far as it matters to its receiver.
#[derive(Clone, Copy)]
struct Call {
    from: usize,
    to: usize,
    term: u64,
    what: Asked,
}

#[derive(Clone, Copy)]
enum Asked {
    Vote { last: Place },
    Append { prev: Place, last: Place },
    Install { last: Place },
}

impl Model {
    /// Of so many servers, before any has started.
    pub fn new(servers: usize, saving: bool) -> Model {
        Model {
            servers: (0..servers).map(|_| Server::default()).collect(),
            history: History::default(),
            reigns: BTreeMap::new(),
            claims: BTreeMap::new(),
            commits: BTreeMap::new(),
            calls: BTreeMap::new(),
            saving,
            seen: Seen::default(),
        }
    }

    fn quorum(&self) -> usize {
        self.servers.len() / 2 + 1
    }

    /// A server starts, or starts again.
    pub fn begins_life(&mut self, i: usize) {
        self.servers[i].begin_life();
    }

    /// A server has crashed.
    pub fn ends_life(&mut self, i: usize) {
        self.servers[i].end_life();
    }

    /// Something happened on the network or on a disk.
    pub fn event(&mut self, what: &What) -> Verdict {
        match what {
            What::Called { call, end, method, args } => self.called(*call, end, method, args),
            What::Delivered { call, .. } => {
                self.delivered(*call);
                Ok(())
            }
            What::Answered { call, reply, .. } => self.answered(*call, Reply::read(reply)),
            What::Saved { who, value, .. } => {
                self.saved(who, value);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn saved(&mut self, who: &str, value: &Value) {
        let number = who.strip_prefix('S').and_then(|number| number.parse::<usize>().ok());
        let Some(server) = number.and_then(|i| self.servers.get_mut(i)) else { return };
        server.saves += 1;
        if let Some(saved) = read_saved(value) {
            server.saved = Some(saved);
            self.seen.saved_votes = true;
        }
    }
}

// Calls: what candidates and leaders say.
impl Model {
    fn called(&mut self, number: u64, end: &str, method: &str, args: &Value) -> Verdict {
        self.seen.calls = true;
        let Some((from, life, to)) = parse_end(end) else { return Ok(()) };
        let server = &self.servers[from];
        if !server.alive || server.life != life {
            return Ok(()); // a dead server's thread, in real mode
        }
        let Some(ask) = Ask::read(method, args) else { return Ok(()) };
        let (term, what) = match ask {
            Ask::Vote { term, last } => (term, self.stands(from, term, last)?),
            Ask::Append { term, prev, entries, commit } => {
                self.leads(from, term)?;
                (term, self.sends_entries(term, prev, &entries, commit)?)
            }
            Ask::Install { term, last } => {
                self.leads(from, term)?;
                (term, self.sends_snapshot(from, term, last)?)
            }
        };
        self.speaks(from, term)?;
        self.calls.insert(number, Call { from, to, term, what });
        Ok(())
    }

    /// A server names a term as its own. What earlier lives named, it must have saved.
    fn speaks(&mut self, i: usize, term: u64) -> Verdict {
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
        Ok(Asked::Vote { last })
    }

    /// A server gives its vote.
    fn votes(&mut self, i: usize, term: u64, candidate: usize) -> Verdict {
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

    /// A server acts as the leader of a term.
    pub fn leads(&mut self, i: usize, term: u64) -> Verdict {
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
        if self.seen.votes && voters.len() < self.quorum() {
            return Err(format!(
                "{} leads term {term} with {} of {} votes ({}). Election Safety (Figure 3) rests on a majority (§5.2)",
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
    fn is_complete(&self, term: u64, earlier: u64, committed: Place) -> Verdict {
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

    fn has(&mut self, term: u64, place: Place) {
        if let Some(reign) = self.reigns.get_mut(&term) {
            reign.has(place, term);
        }
    }

    /// What a leader shows of its log is what it was elected with, and what it has added since.
    fn is_of_leaders_log(&self, term: u64, place: Place) -> Verdict {
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

// Commitment.
impl Model {
    /// A server treats `index` as committed, with an entry of term `there`, in `term` at the latest.
    fn commits(
        &mut self,
        i: usize,
        term: u64,
        index: u64,
        there: Option<u64>,
        how: &str,
    ) -> Verdict {
        if self.servers.len() == 1 || !self.seen.appends || index == 0 {
            return Ok(()); // alone, a server commits before anybody sees it
        }
        if index <= self.history.last_committed().index {
            let committed = self.history.committed_term(index);
            return match (there, committed) {
                (Some(there), Some(committed)) if there != committed => Err(format!(
                    "{} {how} index {index} with an entry of term {there}, where one of term {committed} is committed. \
                     State Machine Safety (Figure 3, §5.4.3)",
                    name(i)
                )),
                _ => Ok(()),
            };
        }
        let by = self.reigns.range(..=term).rev().find(|(_, reign)| {
            let agrees = there.is_none()
                || self.history.term_at(reign.last, index).is_none_or(|t| Some(t) == there);
            reign.may_commit().is_some_and(|most| most >= index) && agrees
        });
        let Some((&by, reign)) = by else {
            return Err(self.not_committed(i, index, there, how));
        };
        let counts_itself =
            reign.leader == i && reign.must_be_committed().is_none_or(|most| most < index);
        let place = self.history.term_at(reign.last, index).map(|term| Place { index, term });
        self.committed(by, index)?;
        if let Some(place) = place.filter(|_| counts_itself) {
            self.servers[i].keeps(by, place, &self.history);
        }
        Ok(())
    }

    fn not_committed(&self, i: usize, index: u64, there: Option<u64>, how: &str) -> String {
        let of_term = there.map_or(String::new(), |term| format!(" (an entry of term {term})"));
        format!(
            "{} {how} index {index}{of_term}, but no leader may have committed that: {}. A leader commits an entry \
             once a majority has it and it is, or is followed by, one of the leader's own term (§5.3, §5.4.2, Figure \
             8). Leader Completeness and State Machine Safety (Figure 3) rest on it",
            name(i),
            match self
                .reigns
                .iter()
                .rev()
                .find_map(|(term, reign)| Some((term, reign.may_commit()?)))
            {
                Some((term, most)) =>
                    format!("the last that could be counted is index {most}, in term {term}"),
                None => "nothing could be counted yet".into(),
            }
        )
    }

    /// The leader of `term` has committed everything up to `index`.
    fn committed(&mut self, term: u64, index: u64) -> Verdict {
        if self.commits.get(&term).is_some_and(|known| known.index >= index) {
            return Ok(());
        }
        let last = self.reigns[&term].last;
        let Some(at) = self.history.term_at(last, index) else { return Ok(()) };
        let place = Place { index, term: at };
        self.history.commit(place).map_err(|(index, there, here)| {
            format!(
                "the leader of term {term} has committed an entry of term {here} at index {index}, where one of term \
                 {there} was committed. State Machine Safety (Figure 3, §5.4.3)"
            )
        })?;
        self.commits.insert(term, place);
        let mut later = self.reigns.range(term + 1..);
        later.try_for_each(|(later, _)| self.is_complete(*later, term, place))
    }

    /// A server says in `term` that its log is the leader's up to `last`.
    fn agrees(&mut self, i: usize, term: u64, last: Place) -> Verdict {
        self.servers[i].keeps(term, last, &self.history);
        let Some(reign) = self.reigns.get_mut(&term) else { return Ok(()) };
        reign.agrees(i, last.index);
        match reign.must_be_committed() {
            Some(index) => self.committed(term, index),
            None => Ok(()),
        }
    }
}

// Answers: what a server promises.
impl Model {
    fn delivered(&mut self, number: u64) {
        let Some(&Call { from, to, term, what }) = self.calls.get(&number) else { return };
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

    fn answered(&mut self, number: u64, reply: Reply) -> Verdict {
        let Some(&call) = self.calls.get(&number) else { return Ok(()) };
        let Some(open) = self.servers[call.to].close(number) else { return Ok(()) };
        let i = call.to;
        if let Some(term) = reply.term {
            self.answers_in(i, term, open)?;
        }
        let refused = reply.term.is_some_and(|term| term > call.term);
        match (call.what, reply.yes) {
            (Asked::Vote { last }, Some(true)) => self.grants(call, last, open),
            (Asked::Append { prev, last }, Some(true)) => self.acknowledges(call, prev, last, open),
            (Asked::Append { prev, .. }, Some(false)) if !refused => {
                self.disagrees(call, prev, open)
            }
            (Asked::Install { last }, _) if !refused => self.agrees(i, call.term, last),
            _ => Ok(()),
        }
    }

    fn answers_in(&mut self, i: usize, term: u64, open: Open) -> Verdict {
        // Some replies leave the term at 0, or at what it was when the request came; no rule of Figure 3 forbids it.
        let lost = term > 0 && term < self.servers[i].term_of_earlier_lives;
        if lost || term >= open.term { self.speaks(i, term) } else { Ok(()) }
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

// What the tester itself sees.
impl Model {
    /// What a server has spoken of so far; to be given to [`Model::believes`].
    pub fn term_of(&self, i: usize) -> u64 {
        self.servers[i].term
    }

    /// A server's `get_state` gave this; when it was asked it had spoken of `before`.
    pub fn believes(&mut self, i: usize, before: u64, term: u64, leads: bool) -> Verdict {
        if term < before {
            return Err(format!(
                "get_state() of {} says term {term} after it had spoken of term {before}. Terms never go back (§5.1)",
                name(i)
            ));
        }
        self.servers[i].speaks_of(term);
        if leads && self.servers.len() > 1 { self.leads(i, term) } else { Ok(()) }
    }

    /// A server took a command.
    pub fn takes(&mut self, i: usize, started: Started, command: &Command) -> Verdict {
        let Started { index, term } = started;
        let place = Place { index, term };
        if self.servers.len() > 1 {
            self.leads(i, term)?;
            self.is_of_leaders_log(term, place)?;
        }
        let last = self.reigns.get(&term).map(|reign| reign.last);
        let before = last.filter(|last| last.index + 1 == index).map(|last| last.term);
        self.history
            .started(place, before, command)
            .map_err(|what| format!("{}: {what}. Leader Append-Only (Figure 3, §5.3)", name(i)))?;
        self.has(term, place);
        Ok(())
    }

    /// A server hands this to its service.
    pub fn applies(&mut self, i: usize, life: u64, message: &ApplyMsg) -> Verdict {
        let server = &self.servers[i];
        if !server.alive || server.life != life {
            return Ok(());
        }
        let (index, term, command) = match message {
            ApplyMsg::Command { index, term, command } => (*index, *term, Some(command)),
            ApplyMsg::Snapshot { index, term, .. } | ApplyMsg::Internal { index, term } => {
                (*index, *term, None)
            }
            _ => return Ok(()),
        };
        if let Some(command) = command
            && let Some(taken) = self.history.command(Place { index, term })
            && taken != command
        {
            return Err(format!(
                "{} applies at index {index} of term {term} another command than start() took there",
                name(i)
            ));
        }
        self.servers[i].commit_index = self.servers[i].commit_index.max(index);
        self.commits(i, u64::MAX, index, Some(term), "applies")
    }

    /// A server's service gives it a snapshot up to `index`.
    pub fn is_given_snapshot(&mut self, i: usize, index: u64) {
        self.servers[i].snapshot = self.servers[i].snapshot.max(index);
    }

    /// Begins to look into a server: what it keeps until then is noted under `look`.
    pub fn looks(&mut self, i: usize, look: u64) {
        self.servers[i].open(look, None, &self.history);
    }

    /// A server's `inspect` gave this.
    pub fn looked(&mut self, i: usize, look: u64, found: Option<Inspection>) -> Verdict {
        let open = self.servers[i].close(look);
        let (Some(open), Some(found)) = (open, found) else { return Ok(()) };
        self.seen.inspections = true;
        if found.last_log_index.is_some_and(|last| last < open.kept.index) {
            return Err(format!(
                "the log of {} ends at index {}, and it had said that it has {}: entries that were acknowledged are \
                 gone (§5.3)",
                name(i),
                found.last_log_index.unwrap_or(0),
                open.kept
            ));
        }
        let Some(commit) = found.commit_index else { return Ok(()) };
        if found.last_applied.is_some_and(|applied| applied > commit) {
            return Err(format!(
                "{} has applied more than the {commit} entries that it has committed (§5.3)",
                name(i)
            ));
        }
        if commit < self.servers[i].commit_index {
            return Err(format!(
                "the commit index of {} went from {} back to {commit}. What is committed stays so (Figure 2, Volatile \
                 state: \"increases monotonically\")",
                name(i),
                self.servers[i].commit_index
            ));
        }
        self.servers[i].commit_index = commit;
        self.commits(i, u64::MAX, commit, None, "has committed")
    }
}
