//! What candidates and leaders say: the requests that servers send.

use super::leadership::Leadership;
use super::model::{Asked, Call, Model, Verdict};
use super::server::SavedVote;
use crate::names::{name, parse_end};
use crate::reading::{Ask, Fact, Logs, Part, Place, Sent, Word};
use labrpc::describe::Value;

/// A call at the moment when it is made.
#[derive(Clone, Copy)]
struct Saying<'a> {
    from: usize,
    method: &'static str,
    args: &'a Value,
}

impl Model {
    pub(super) fn called(
        &mut self,
        number: u64,
        end: &str,
        method: &'static str,
        args: &Value,
    ) -> Verdict {
        let Some((from, incarnation, to)) = parse_end(end) else { return Ok(()) };
        let server = &self.servers[from];
        if !server.alive || server.incarnation != incarnation {
            return Ok(()); // in real mode, a thread of a crashed server
        }
        let reading = self.reading.clone();
        reading.ask(end, method, args, |ask, args| {
            let saying = Saying { from, method, args };
            let said = match ask {
                Ask::Vote { term, last } => {
                    Some((Part::VoteReply, self.says_vote(saying, *term, *last)?))
                }
                Ask::Append { term, logs, commit } => {
                    Some((Part::AppendReply, self.says_append(saying, *term, logs, *commit)?))
                }
                Ask::Install { term, last, whole } => {
                    Some((Part::InstallReply, self.says_install(saying, *term, *last, *whole)?))
                }
                Ask::PreVote => {
                    // The server waits until the members of a majority say that they would vote for it.
                    self.is_seen_waiting(from, self.servers[from].term);
                    None
                }
                Ask::Harmless => None,
                // The call may be anything, so it may cut a log. Its reply is not checked.
                Ask::Unknown => {
                    self.known.miss_all(method, args);
                    Some((Part::AppendReply, (None, Asked::Unknown)))
                }
            };
            if let Some((reply, (term, what))) = said {
                let made = self.now;
                self.calls.insert(number, Call { from, to, method, term, what, made, reply });
            }
            Ok(())
        })
    }

    fn says_vote(
        &mut self,
        saying: Saying<'_>,
        term: Option<u64>,
        last: Option<Place>,
    ) -> Result<(Option<u64>, Asked), String> {
        let what = Asked::Vote { last };
        self.reads(saying, (Part::Vote, Word::LastLogIndex), last.is_some());
        if !self.reads(saying, (Part::Vote, Word::Term), term.is_some()) {
            self.known.votes = false;
        }
        if let Some(term) = term {
            self.stands(saying.from, term, last)?;
            self.speaks(saying.from, term)?;
        }
        Ok((term, what))
    }

    fn says_append(
        &mut self,
        saying: Saying<'_>,
        term: Option<u64>,
        logs: &Logs<'_>,
        commit: Option<u64>,
    ) -> Result<(Option<u64>, Asked), String> {
        let from = saying.from;
        if !self.reads(saying, (Part::Append, Word::Term), term.is_some()) {
            self.known.leaders = false;
            self.known.acknowledgements = false;
            return Ok((None, Asked::Unknown));
        }
        let term = term.unwrap_or_default();
        self.leads(from, term, "sends entries as the leader of")?;
        let missing = match logs {
            Logs::Unread(Some(_), _) => Word::Entries,
            _ => Word::PrevLogIndex,
        };
        if !matches!(logs, Logs::Silent) {
            self.reads(saying, (Part::Append, missing), matches!(logs, Logs::Read(_)));
        }
        let what = match logs {
            Logs::Read(sent) => self.sends_entries(term, sent)?,
            Logs::Silent => Asked::Nothing,
            Logs::Unread(..) => {
                self.known.acknowledgements = false;
                Asked::Unknown
            }
        };
        if let Some(commit) = commit {
            self.names_commit(term, commit)?;
        }
        self.speaks(from, term)?;
        Ok((Some(term), what))
    }

    fn says_install(
        &mut self,
        saying: Saying<'_>,
        term: Option<u64>,
        last: Option<Place>,
        whole: Option<bool>,
    ) -> Result<(Option<u64>, Asked), String> {
        let from = saying.from;
        let read = self.reads(saying, (Part::Install, Word::Term), term.is_some());
        self.known.leaders &= read;
        if !self.reads(saying, (Part::Install, Word::LastIncludedIndex), last.is_some()) || !read {
            self.known.acknowledgements = false;
        }
        if let Some(term) = term {
            self.leads(from, term, "sends a snapshot as the leader of")?;
            if let Some(last) = last.filter(|_| whole != Some(false)) {
                self.commits(from, term, last.index, Some(last.term), "sends a snapshot up to")?;
            }
            self.speaks(from, term)?;
        }
        let what = match (term, last, whole) {
            (Some(_), _, Some(false)) => Asked::Nothing,
            (Some(_), Some(last), _) => Asked::Install { last },
            _ => Asked::Unknown,
        };
        Ok((term, what))
    }

    /// Notes the fact if it could not be read. Returns whether it could.
    fn reads(&mut self, saying: Saying<'_>, fact: Fact, readable: bool) -> bool {
        if !readable {
            self.known.miss(fact, saying.method, saying.args);
        }
        readable
    }

    /// A server names a term as its own. If it named a term before a restart, it must have saved that term, so it can't name an
    /// older one now.
    pub(super) fn speaks(&mut self, i: usize, term: u64) -> Verdict {
        let server = &mut self.servers[i];
        if term < server.term_of_earlier_lives {
            return Err(format!(
                "{} is in term {term}, but it was in term {} before it crashed. A server's term never decreases: currentTerm must \
                 be saved before another server hears of it (Figure 2, Persistent state). Election Safety (Figure 3) rests on \
                 this rule",
                name(i),
                server.term_of_earlier_lives
            ));
        }
        if let Some(saved) = server.saved.filter(|saved| self.saving && saved.term < term) {
            return Err(format!(
                "{} names term {term} in a message, but it has saved only term {}. currentTerm must be saved before another \
                 server hears of it (Figure 2, Persistent state). Election Safety (Figure 3) rests on this rule",
                name(i),
                saved.term
            ));
        }
        server.speaks_of(term);
        Ok(())
    }

    /// A server becomes a candidate, and so votes for itself.
    fn stands(&mut self, i: usize, term: u64, last: Option<Place>) -> Verdict {
        self.seen.votes = true;
        let kept = self.servers[i].kept;
        let lacks =
            |last: &Place| *last < kept.last || self.history.holds(*last, kept.last) == Some(false);
        // Entries that it acknowledged in an earlier term were in its log when it became a candidate.
        if let Some(last) = last.filter(|last| kept.term < term && lacks(last)) {
            return Err(format!(
                "{0} becomes a candidate in term {term} with a log that ends with {last}, but {0} had said that its log has {1}. \
                 Either entries that were acknowledged are gone (§5.3; Figure 2, Persistent state), or the request for votes does \
                 not name the last entry of {0}'s log. Leader Completeness (Figure 3) requires that neither happens",
                name(i),
                kept.last
            ));
        }
        self.votes(i, term, i)?;
        if let Some(last) = last {
            self.claims.entry((term, i)).or_insert(last);
        }
        self.becomes_candidate(i, term);
        Ok(())
    }

    /// A server gives its vote.
    pub(super) fn votes(&mut self, i: usize, term: u64, candidate: usize) -> Verdict {
        let before = *self.servers[i].votes.entry(term).or_insert(candidate);
        if before != candidate {
            return Err(format!(
                "{0} votes for {1} in term {term}, but {0} had voted for {2} in that term. Each server has one vote per term, \
                 also across crashes (§5.2). Election Safety (Figure 3) rests on this rule",
                name(i),
                name(candidate),
                name(before)
            ));
        }
        let server = &self.servers[i];
        let unsaved = server.saved.is_some_and(|SavedVote { term: saved, vote }| {
            let vote = vote.is_some_and(|vote| vote != Some(candidate as u64));
            saved < term || (saved == term && vote)
        });
        if self.saving && unsaved {
            return Err(format!(
                "{0} votes for {1} in term {term}, but {0} has not saved that vote. After a crash {0} may vote again in that \
                 term, for another candidate. votedFor must be saved before another server hears of the vote (Figure 2, \
                 Persistent state). Election Safety (Figure 3) rests on this rule",
                name(i),
                name(candidate)
            ));
        }
        Ok(())
    }

    /// Whether `voter` gave `candidate` its vote, or a reply that may have been its vote.
    fn may_have_voted(&self, voter: usize, term: u64, candidate: usize) -> bool {
        let server = &self.servers[voter];
        server.votes.get(&term) == Some(&candidate) || server.perhaps.contains(&(term, candidate))
    }

    /// A server acts as the leader of a term. `how` says in which way.
    pub fn leads(&mut self, i: usize, term: u64, how: &str) -> Verdict {
        self.is_seen_waiting(i, term); // a leader has no election timeout until it is deposed
        if let Some(leadership) = self.leaderships.get(&term) {
            if leadership.leader == i {
                return Ok(());
            }
            return Err(format!(
                "{} and {} both lead term {term}. Election Safety (Figure 3, §5.2): at most one leader can be elected \
                 in a given term",
                name(leadership.leader),
                name(i)
            ));
        }
        let voters =
            (0..self.servers.len()).filter(|&v| self.servers[v].votes.get(&term) == Some(&i));
        let voters: Vec<_> = voters.map(|v| name(v).to_string()).collect();
        let perhaps = (0..self.servers.len()).filter(|&v| self.may_have_voted(v, term, i)).count();
        let all_is_known = self.known.votes && term >= self.forgotten.terms;
        let counts = self.seen.votes && all_is_known && !self.members_vary;
        if counts && perhaps < self.quorum() {
            let whose = match &voters[..] {
                [] => String::new(),
                some => format!(" ({})", some.join(", ")),
            };
            return Err(format!(
                "{} {how} term {term}, but it has only {} of {} votes{whose}. A leader needs the votes of a majority (§5.2). \
                 Election Safety (Figure 3) rests on this rule",
                name(i),
                voters.len(),
                self.servers.len()
            ));
        }
        let base = self.claims.get(&(term, i)).copied();
        self.leaderships.insert(term, Leadership::new(i, base, self.servers.len()));
        let commits: Vec<_> = self.commits.range(..term).map(|(t, place)| (*t, *place)).collect();
        commits.into_iter().try_for_each(|(t, place)| self.is_complete(term, t, place))
    }

    /// A leader must have what leaders of earlier terms have committed.
    pub(super) fn is_complete(&self, term: u64, earlier: u64, committed: Place) -> Verdict {
        let leadership = &self.leaderships[&term];
        let Some(base) = leadership.base else { return Ok(()) };
        if base.index >= committed.index && self.history.holds(base, committed) != Some(false) {
            return Ok(());
        }
        Err(format!(
            "{} leads term {term}. When it was elected, its log ended with {base} and lacked {committed}, which was committed in \
             term {earlier}. This breaks Leader Completeness (Figure 3, §5.4): a committed entry is in the logs of the leaders \
             of all higher terms",
            name(leadership.leader)
        ))
    }

    fn sends_entries(&mut self, term: u64, sent: &Sent<'_>) -> Result<Asked, String> {
        self.seen.appends = true;
        let prev = sent.prev;
        let leadership = &self.leaderships[&term];
        let base = leadership.base.map_or(0, |base| base.index);
        let places: Vec<_> = sent.places().collect();
        let (old, own) = places.split_at(places.partition_point(|place| place.index <= base));
        own.iter().try_for_each(|place| self.is_of_log_of(leadership, term, *place))?;
        self.history.carried(sent).map_err(|what| {
            format!("{what}. This breaks Log Matching (Figure 3, §5.3): an index and a term identify one entry and all entries before it")
        })?;
        // Of these entries, the last one that the leader already had when it was elected. If there is none, the entry before
        // them.
        self.is_of_leaders_log(term, *old.last().unwrap_or(&prev))?;
        if let Some(leadership) = self.leaderships.get_mut(&term) {
            places.iter().chain([&prev]).for_each(|place| leadership.has(*place, term));
        }
        Ok(Asked::Append { prev, last: *places.last().unwrap_or(&prev) })
    }

    /// If the service counts indices differently from the log, a commit index may be either an index of the service or an index
    /// of the log, so it is not checked.
    fn names_commit(&mut self, term: u64, commit: u64) -> Verdict {
        if !self.numbers_agree() {
            return Ok(());
        }
        let leadership = &self.leaderships[&term];
        let there = self.history.term_at(leadership.last, commit).filter(|term| *term > 0);
        self.commits(leadership.leader, term, commit, there, "says that it has committed")
    }

    pub(super) fn has(&mut self, term: u64, place: Place) {
        if let Some(leadership) = self.leaderships.get_mut(&term) {
            leadership.has(place, term);
        }
    }

    /// An entry that a leader shows must be one that it was elected with, or one that it has added since.
    pub(super) fn is_of_leaders_log(&self, term: u64, place: Place) -> Verdict {
        self.is_of_log_of(&self.leaderships[&term], term, place)
    }

    fn is_of_log_of(&self, leadership: &Leadership, term: u64, place: Place) -> Verdict {
        let Some(base) = leadership.base else { return Ok(()) };
        let there = if place.index <= base.index {
            self.history.term_at(base, place.index)
        } else {
            Some(term)
        };
        match there {
            Some(there) if there != place.term => Err(format!(
                "{}, the leader of term {term}, shows an entry of term {} at index {}, but at that index its log can only have \
                 an entry of term {there}. This breaks Leader Append-Only (Figure 3, §5.3): a leader never overwrites or deletes \
                 entries in its log, and appends entries of its own term. Log Matching (Figure 3) rests on this rule",
                name(leadership.leader),
                place.term,
                place.index
            )),
            _ => Ok(()),
        }
    }
}
