//! Figure 2, "Rules for Servers".

use super::log::{Entry, Payload};
use super::messages::Sent;
use super::state::{Ballot, LeaderState, Progress, Role, State};
use labrpc::api::{ApplyMsg, Command, Refused, Started};
use labrpc::time::Instant;
use rand::RngExt;

/// How many of `servers` make a majority. Votes, commitment and everything else that needs a majority use this function.
pub fn quorum(servers: usize) -> usize {
    servers / 2 + 1
}

impl State {
    /// The highest value that a majority of the members has reached. `of` returns the value of one member.
    pub fn majority_has<T: Ord>(&self, of: impl Fn(usize) -> T) -> T {
        let mut values: Vec<T> = self.log.members().iter().map(|&member| of(member)).collect();
        values.sort_unstable_by(|a, b| b.cmp(a));
        values.swap_remove(quorum(values.len()) - 1)
    }
}

// "All Servers"
impl State {
    /// "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to follower (§5.1)".
    pub fn update_term(&mut self, term: u64, now: Instant) {
        if term > self.current_term {
            log::debug!("learns of term {term}, was in term {}", self.current_term);
            self.current_term = term;
            self.voted_for = None;
            self.drop_chunks(self.commit_index);
            self.become_follower(None, now);
        }
    }

    /// What the handler of any reply does first: it updates our term from the reply. Returns whether the call was made in the
    /// current term. A reply to a call of an earlier candidacy or leadership says nothing about the current one, except its term.
    pub fn observe_reply(&mut self, call_term: u64, reply_term: u64, now: Instant) -> bool {
        if self.beyond_refuses_reply(reply_term) {
            return false;
        }
        self.update_term(reply_term, now);
        self.persist();
        call_term == self.current_term
    }

    /// "If commitIndex > lastApplied: increment lastApplied, apply `log[lastApplied]` to state machine (§5.3)".
    ///
    /// The returned messages count as applied, and must reach the service in this order.
    pub fn take_committed(&mut self) -> Vec<ApplyMsg> {
        let mut messages = Vec::new();
        if let Some(snapshot) = self.snapshot_to_apply.take() {
            let (index, term) = (self.log.last_included_index(), self.log.last_included_term());
            self.last_applied = index;
            messages.push(ApplyMsg::Snapshot { index, term, snapshot });
        }
        while self.last_applied < self.commit_index {
            let index = self.last_applied + 1;
            let entry = self.log.get(index).cloned();
            let Entry { term, payload } =
                entry.expect("a committed entry is in the log or in a snapshot");
            messages.push(match payload {
                Payload::Command(command) => ApplyMsg::Command { index, term, command },
                Payload::NoOp | Payload::Members(_) => ApplyMsg::Internal { index, term },
            });
            self.last_applied = index;
        }
        messages
    }

    /// Whether [`State::take_committed`] would return anything.
    pub fn has_unapplied(&self) -> bool {
        self.snapshot_to_apply.is_some() || self.last_applied < self.commit_index
    }
}

// "Followers (§5.2)"
impl State {
    /// Becomes a follower of `leader`, or of no leader yet. An election timer that runs is not reset here: only a message from the
    /// leader or a granted vote resets it. Otherwise the requests of a candidate whose log is behind could reset it again and
    /// again, and a server with a better log would never become a candidate.
    pub fn become_follower(&mut self, leader: Option<usize>, now: Instant) {
        if self.is_leader() {
            log::debug!("steps down in term {}", self.current_term);
            self.reset_election_timer(now); // a leader has no election timer
        }
        self.role = Role::Follower { leader };
    }

    /// A message from the leader of our term has come. This server follows it and resets the election timer, whatever the message
    /// says.
    pub(super) fn hear_leader(&mut self, leader: usize, now: Instant) {
        self.become_follower(Some(leader), now);
        self.reset_election_timer(now);
        self.heard_leader_at = now;
    }

    /// Restarts the wait for a leader. The wait is random, so that two servers seldom wait equally long (§5.2).
    pub fn reset_election_timer(&mut self, now: Instant) {
        let range = self.options.election_timeout.clone();
        self.election_deadline = now + labrpc::rand::rng().random_range(range);
    }

    /// "If election timeout elapses without receiving AppendEntries RPC from current leader or granting vote to
    /// candidate: convert to candidate". The same for candidates: "start new election".
    pub fn election_due(&self, now: Instant) -> bool {
        self.has_election_timer() && now >= self.election_deadline
    }

    /// Whether the election deadline counts. It does not count on a leader, nor on a server that is not a member (beyond the lab).
    pub fn has_election_timer(&self) -> bool {
        !self.is_leader() && self.may_become_candidate()
    }
}

// "Candidates (§5.2)"
impl State {
    /// Starts an election if it is time to. The ticker calls this whenever it wakes up.
    pub fn tick(&mut self, now: Instant) {
        if !self.beyond_tick(now) && self.election_due(now) {
            self.become_candidate(now);
        }
    }

    /// "On conversion to candidate, start election": [`State::next_message`] then returns the requests for votes.
    pub fn become_candidate(&mut self, now: Instant) {
        self.current_term += 1;
        self.voted_for = Some(self.me);
        log::debug!("becomes a candidate in term {}", self.current_term);
        self.role = Role::Candidate { ballot: Ballot::of(self.me), by_transfer: false };
        self.drop_chunks(self.commit_index);
        self.forget_calls();
        self.reset_election_timer(now);
        self.persist();
        self.lead_if_elected(now); // in a cluster of one server, it is elected
    }

    /// "If votes received from majority of servers: become leader".
    pub fn lead_if_elected(&mut self, now: Instant) {
        if let Role::Candidate { ballot, .. } = &self.role
            && self.majority_has(|member| ballot.votes.contains(&member))
        {
            self.become_leader(now);
        }
    }

    /// Forgets what was sent: in a new role, nothing counts as sent yet.
    pub(super) fn forget_calls(&mut self) {
        self.sent = vec![Sent::default(); self.servers];
    }
}

// "Leaders"
impl State {
    /// "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server": nothing counts as sent
    /// yet, so [`State::next_message`] returns a heartbeat for each server.
    fn become_leader(&mut self, now: Instant) {
        log::debug!("leads term {}", self.current_term);
        let progress = Progress::new(self.log.last_index() + 1);
        self.role = Role::Leader {
            progress: vec![progress; self.servers],
            leadership: LeaderState::new(now),
        };
        self.forget_calls();
        // Beyond the lab: the no-op is an option. But a leader that is not a member always appends it. Its log has the entry that
        // removes the leader. When the leader was elected, it did not know whether that entry was committed (thesis, Figure 4.6).
        // When the no-op is committed, so is that entry, and the leader steps down.
        if self.options.no_op_on_election || !self.log.members().contains(&self.me) {
            self.append(Payload::NoOp);
        }
    }

    /// Appends an entry of our term to the log and saves it. Returns its index.
    pub(super) fn append(&mut self, payload: Payload) -> u64 {
        let index = self.log.append(Entry { term: self.current_term, payload });
        self.persist();
        self.advance_commit_index(); // in a cluster of one server, it is committed
        index
    }

    /// "If command received from client: append entry to local log, respond after entry applied to state machine
    /// (§5.3)". The message on the apply channel is that response.
    pub fn start(&mut self, command: Command) -> Result<Started, Refused> {
        if self.killed {
            return Err(Refused::Stopped);
        }
        if !self.is_leader() {
            return Err(Refused::NotLeader { leader: self.leader() });
        }
        if self.beyond_refuses_commands() {
            return Err(Refused::Busy);
        }
        let index = self.append(Payload::Command(command));
        Ok(Started { index, term: self.current_term })
    }

    /// "If there exists an N such that N > commitIndex, a majority of `matchIndex[i] >= N`, and `log[N].term ==`
    /// currentTerm: set commitIndex = N (§5.3, §5.4)".
    pub fn advance_commit_index(&mut self) {
        let Role::Leader { progress, .. } = &self.role else {
            return;
        };
        let n = self.majority_has(|member| match member == self.me {
            true => self.log.last_index(),
            false => progress[member].match_index,
        });
        // Only an entry of our own term is committed by counting replicas. Figure 8 shows what would happen otherwise.
        if n > self.commit_index && self.log.term_at(n) == Some(self.current_term) {
            self.commit_index = n;
            self.beyond_note_commit();
        }
    }

    /// "If successful: update nextIndex and matchIndex for follower (§5.3)": the follower has everything up to
    /// `index`. A success never lowers either value, because replies may overtake one another.
    pub fn note_match(&mut self, peer: usize, index: u64) {
        let Role::Leader { progress, .. } = &mut self.role else {
            return;
        };
        let progress = &mut progress[peer];
        progress.match_index = progress.match_index.max(index);
        progress.next_index = progress.next_index.max(progress.match_index + 1);
        self.start_replicating(peer);
        self.advance_commit_index();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Server, at_ms};
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_quorum_is_more_than_half_for_every_size() {
        let expected = [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4), (8, 5), (9, 5)];
        for (servers, majority) in expected {
            assert_eq!(quorum(servers), majority, "{servers} servers");
            assert!(2 * majority > servers, "two majorities of {servers} share a server");
            assert!(servers - majority < majority, "{servers} servers go on when a minority fails");
        }
    }

    #[test]
    fn a_commit_needs_a_majority_for_every_size() {
        for servers in 1..=9 {
            let mut state = Server::new(servers).leader_of_term(1).build();
            state.start(Command::default()).unwrap();
            for acknowledged in 1..servers {
                let before = state.commit_index;
                assert_eq!(before == 1, acknowledged >= quorum(servers), "{servers} servers");
                let Role::Leader { progress, .. } = &mut state.role else { unreachable!() };
                progress[acknowledged].match_index = 1;
                state.advance_commit_index();
            }
            assert_eq!(state.commit_index, 1, "{servers} servers");
        }
    }

    /// §5.4.2: "only log entries from the leader's current term are committed by counting replicas".
    #[test]
    fn entries_of_old_terms_are_not_committed_by_counting() {
        let mut state = Server::new(3).log(&[1, 2]).leader_of_term(4).build();
        let Role::Leader { progress, .. } = &mut state.role else { unreachable!() };
        progress[1].match_index = 2;
        state.advance_commit_index();
        assert_eq!(state.commit_index, 0);
        state.start(Command::default()).unwrap();
        let Role::Leader { progress, .. } = &mut state.role else { unreachable!() };
        progress[1].match_index = 3;
        state.advance_commit_index();
        assert_eq!(state.commit_index, 3, "older entries are committed with it");
    }

    /// §5.1: "If a candidate or leader discovers that its term is out of date, it immediately reverts to
    /// follower state".
    #[test]
    fn a_leader_that_sees_a_higher_term_becomes_a_follower_that_has_not_voted() {
        let mut state = Server::new(3).leader_of_term(2).build();
        state.update_term(5, at_ms(0));
        assert_eq!((state.current_term, state.voted_for), (5, None));
        assert_eq!(state.role, Role::Follower { leader: None });
        state.update_term(4, at_ms(0));
        assert_eq!(state.current_term, 5, "terms never go back");
    }

    /// §5.2: "it increments its current term [..], votes for itself".
    #[test]
    fn a_candidate_votes_for_itself_and_saves_the_vote() {
        let mut state = Server::new(3).build();
        state.become_candidate(at_ms(0));
        assert_eq!((state.current_term, state.voted_for), (1, Some(0)));
        assert!(state.is_persisted());
        assert!(!state.is_leader());
    }

    #[test]
    fn a_server_without_peers_elects_itself_and_commits() {
        let mut state = Server::new(1).build();
        state.become_candidate(at_ms(0));
        assert!(state.is_leader());
        let started = state.start(Command::from(vec![7])).unwrap();
        assert_eq!(started, Started { index: 1, term: 1 });
        assert_eq!(state.take_committed().len(), 1);
    }

    #[test]
    fn each_election_timeout_is_a_new_random_number() {
        let mut state = Server::new(3).build();
        let mut timeouts = BTreeSet::new();
        for _ in 0..20 {
            state.reset_election_timer(at_ms(0));
            assert!(state.election_deadline >= at_ms(500) && state.election_deadline < at_ms(1000));
            timeouts.insert(state.election_deadline.saturating_duration_since(at_ms(0)));
        }
        assert!(timeouts.len() > 10);
    }
}
