//! Figure 2, "Rules for Servers".

use super::append_entries::AppendEntriesArgs;
use super::install_snapshot::InstallSnapshotArgs;
use super::log::Entry;
use super::request_vote::RequestVoteArgs;
use super::state::{Progress, Role, Sent, State};
use labrpc::api::{ApplyMsg, Command, Refused, Started};
use labrpc::time::Instant;
use rand::RngExt;
use std::collections::BTreeSet;

/// How many of `servers` are a majority: for votes, for commitment, for everything.
pub fn quorum(servers: usize) -> usize {
    servers / 2 + 1
}

/// What a candidate or leader has to say to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Asks for a vote.
    RequestVote(RequestVoteArgs),
    /// Replicates entries; without any, a heartbeat.
    AppendEntries(AppendEntriesArgs),
    /// Replaces entries that are no longer in the log.
    InstallSnapshot(InstallSnapshotArgs),
}

/// What is to be done for a server now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this.
    Send(Message),
    /// Nothing before this moment.
    WaitUntil(Instant),
    /// Nothing until the role or the log changes.
    Wait,
}

// "All Servers"
impl State {
    /// "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to follower (§5.1)".
    pub fn update_term(&mut self, term: u64, now: Instant) {
        if term > self.current_term {
            log::debug!("sees term {term}, was in {}", self.current_term);
            self.current_term = term;
            self.voted_for = None;
            self.become_follower(None, now);
        }
    }

    /// The first thing to do with any reply: whether it answers a call made in the present term. One to an earlier
    /// candidacy or leadership says nothing about this one, but for its term.
    pub fn is_current_reply(&mut self, call_term: u64, reply_term: u64, now: Instant) -> bool {
        self.update_term(reply_term, now);
        self.persist();
        call_term == self.current_term
    }

    /// "If commitIndex > lastApplied: increment lastApplied, apply `log[lastApplied]` to state machine (§5.3)".
    ///
    /// What comes out counts as applied, and must reach the service in this order.
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
            let Entry { term, command } =
                entry.expect("what is committed is in the log or a snapshot");
            messages.push(ApplyMsg::Command { index, term, command });
            self.last_applied = index;
        }
        messages
    }

    /// Whether [`State::take_committed`] would give something.
    pub fn has_unapplied(&self) -> bool {
        self.snapshot_to_apply.is_some() || self.last_applied < self.commit_index
    }
}

// "Followers (§5.2)"
impl State {
    /// Follows `leader`, or nobody yet. The election timer is left alone while it runs: only a leader's word or
    /// a granted vote buys time. Were it reset here, a candidate whose log is behind could starve a better one for ever.
    pub fn become_follower(&mut self, leader: Option<usize>, now: Instant) {
        if self.is_leader() {
            log::debug!("steps down in term {}", self.current_term);
            self.reset_election_timer(now); // a leader had none
        }
        self.role = Role::Follower { leader };
    }

    /// Starts the wait for a leader anew, for a random time, so that seldom two wait for as long (§5.2).
    pub fn reset_election_timer(&mut self, now: Instant) {
        let range = self.options.election_timeout.clone();
        self.election_deadline = now + labrpc::rand::rng().random_range(range);
    }

    /// "If election timeout elapses without receiving AppendEntries RPC from current leader or granting vote to
    /// candidate: convert to candidate". The same for candidates: "start new election".
    pub fn election_due(&self, now: Instant) -> bool {
        !self.is_leader() && now >= self.election_deadline
    }
}

// "Candidates (§5.2)"
impl State {
    /// "On conversion to candidate, start election": the requests for votes are up to [`State::next_message`].
    pub fn become_candidate(&mut self, now: Instant) {
        self.current_term += 1;
        self.voted_for = Some(self.me);
        log::debug!("stands for election in term {}", self.current_term);
        let ourselves = BTreeSet::from([self.me]);
        self.role = Role::Candidate { votes: ourselves.clone(), answered: ourselves };
        self.sent = vec![Sent::default(); self.servers];
        self.reset_election_timer(now);
        self.persist();
        self.lead_if_elected(); // a cluster of one
    }

    /// "If votes received from majority of servers: become leader".
    pub fn lead_if_elected(&mut self) {
        if let Role::Candidate { votes, .. } = &self.role
            && votes.len() >= quorum(self.servers)
        {
            self.become_leader();
        }
    }
}

// "Leaders"
impl State {
    /// "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server": nothing counts as sent
    /// yet, so [`State::next_message`] has one for each.
    fn become_leader(&mut self) {
        log::debug!("leads term {}", self.current_term);
        let progress = Progress { next_index: self.log.last_index() + 1, match_index: 0 };
        self.role = Role::Leader { progress: vec![progress; self.servers] };
        self.sent = vec![Sent::default(); self.servers];
    }

    /// "If command received from client: append entry to local log, respond after entry applied to state machine
    /// (§5.3)". The response is the apply channel's.
    pub fn start(&mut self, command: Command) -> Result<Started, Refused> {
        if self.killed {
            return Err(Refused::Stopped);
        }
        if !self.is_leader() {
            return Err(Refused::NotLeader { leader: self.leader() });
        }
        let term = self.current_term;
        let index = self.log.append(Entry { term, command });
        self.persist();
        self.advance_commit_index(); // a cluster of one
        Ok(Started { index, term })
    }

    /// "If there exists an N such that N > commitIndex, a majority of `matchIndex[i] >= N`, and `log[N].term ==`
    /// currentTerm: set commitIndex = N (§5.3, §5.4)".
    pub fn advance_commit_index(&mut self) {
        let Role::Leader { progress } = &self.role else {
            return;
        };
        let mut matches: Vec<u64> = progress.iter().map(|p| p.match_index).collect();
        matches[self.me] = self.log.last_index();
        matches.sort_unstable_by(|a, b| b.cmp(a));
        let n = matches[quorum(self.servers) - 1];
        // Only an entry of our own term is committed by counting; Figure 8 is what happens otherwise.
        if n > self.commit_index && self.log.term_at(n) == Some(self.current_term) {
            self.commit_index = n;
        }
    }

    /// "If successful: update nextIndex and matchIndex for follower (§5.3)": it has everything up to `index`. Never
    /// back, for replies may overtake one another.
    pub fn note_match(&mut self, peer: usize, index: u64) {
        let Role::Leader { progress } = &mut self.role else {
            return;
        };
        let progress = &mut progress[peer];
        progress.match_index = progress.match_index.max(index);
        progress.next_index = progress.next_index.max(progress.match_index + 1);
        self.advance_commit_index();
    }

    /// What to send to `peer`: requests for a vote, entries, heartbeats "during idle periods to prevent election
    /// timeouts (§5.2)", and all of them again if no reply came.
    pub fn next_message(&mut self, peer: usize, now: Instant) -> Next {
        let pressing = match &self.role {
            Role::Follower { .. } => return Next::Wait,
            Role::Candidate { answered, .. } if answered.contains(&peer) => return Next::Wait,
            Role::Candidate { .. } => true,
            Role::Leader { progress } => progress[peer].next_index <= self.log.last_index(),
        };
        let sent = self.sent[peer];
        if let Some(at) = sent.at {
            let pause = match (sent.unanswered, pressing) {
                (true, _) => self.options.retry,
                (false, true) => std::time::Duration::ZERO,
                (false, false) => self.options.heartbeat,
            };
            if now < at + pause {
                return Next::WaitUntil(at + pause);
            }
        }
        self.sent[peer] = Sent { at: Some(now), unanswered: false };
        Next::Send(match &self.role {
            Role::Leader { progress } => self.entries_or_snapshot(progress[peer].next_index),
            _ => Message::RequestVote(self.request_vote_args()),
        })
    }

    /// "If last log index >= nextIndex for a follower: send AppendEntries RPC with log entries starting at
    /// nextIndex"; §7: the snapshot, if those entries are no longer there.
    fn entries_or_snapshot(&self, next_index: u64) -> Message {
        if next_index > self.log.last_included_index() {
            Message::AppendEntries(self.append_entries_args(next_index))
        } else {
            Message::InstallSnapshot(self.install_snapshot_args())
        }
    }

    /// A call to `peer` got no reply. §5.5: "retry indefinitely".
    pub fn no_reply(&mut self, peer: usize) {
        self.sent[peer].unanswered = true;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Server, at_ms};
    use super::*;

    #[test]
    fn a_quorum_is_more_than_half_for_every_size() {
        let expected = [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4), (8, 5), (9, 5)];
        for (servers, majority) in expected {
            assert_eq!(quorum(servers), majority, "{servers} servers");
            assert!(2 * majority > servers, "two majorities of {servers} share a server");
            assert!(servers - majority < majority, "{servers} servers go on without a minority");
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
                let Role::Leader { progress } = &mut state.role else { unreachable!() };
                progress[acknowledged].match_index = 1;
                state.advance_commit_index();
            }
            assert_eq!(state.commit_index, 1, "{servers} servers");
        }
    }

    /// §5.4.2: "only log entries from the leader's current term are committed by counting replicas".
    #[test]
    fn old_terms_are_not_committed_by_counting() {
        let mut state = Server::new(3).log(&[1, 2]).leader_of_term(4).build();
        let Role::Leader { progress } = &mut state.role else { unreachable!() };
        progress[1].match_index = 2;
        state.advance_commit_index();
        assert_eq!(state.commit_index, 0);
        state.start(Command::default()).unwrap();
        let Role::Leader { progress } = &mut state.role else { unreachable!() };
        progress[1].match_index = 3;
        state.advance_commit_index();
        assert_eq!(state.commit_index, 3, "and then everything before it is committed with it");
    }

    /// §5.1: "If a candidate or leader discovers that its term is out of date, it immediately reverts to
    /// follower state".
    #[test]
    fn a_higher_term_makes_a_follower_that_has_not_voted() {
        let mut state = Server::new(3).leader_of_term(2).build();
        state.update_term(5, at_ms(0));
        assert_eq!((state.current_term, state.voted_for), (5, None));
        assert_eq!(state.role, Role::Follower { leader: None });
        state.update_term(4, at_ms(0));
        assert_eq!(state.current_term, 5, "terms never go back");
    }

    /// §5.2: "it increments its current term [..], votes for itself".
    #[test]
    fn a_candidate_votes_for_itself_and_has_saved_that() {
        let mut state = Server::new(3).build();
        state.become_candidate(at_ms(0));
        assert_eq!((state.current_term, state.voted_for), (1, Some(0)));
        assert!(state.is_persisted());
        assert!(!state.is_leader());
    }

    #[test]
    fn a_server_alone_elects_itself_and_commits_alone() {
        let mut state = Server::new(1).build();
        state.become_candidate(at_ms(0));
        assert!(state.is_leader());
        let started = state.start(Command::from(vec![7])).unwrap();
        assert_eq!(started, Started { index: 1, term: 1 });
        assert_eq!(state.take_committed().len(), 1);
    }

    #[test]
    fn each_election_timeout_is_drawn_anew() {
        let mut state = Server::new(3).build();
        let mut drawn = BTreeSet::new();
        for _ in 0..20 {
            state.reset_election_timer(at_ms(0));
            assert!(state.election_deadline >= at_ms(500) && state.election_deadline < at_ms(1000));
            drawn.insert(state.election_deadline.saturating_duration_since(at_ms(0)));
        }
        assert!(drawn.len() > 10);
    }

    #[test]
    fn a_leader_speaks_at_once_and_then_every_heartbeat() {
        let mut state = Server::new(3).leader_of_term(1).build();
        assert!(matches!(state.next_message(1, at_ms(0)), Next::Send(Message::AppendEntries(_))));
        assert_eq!(state.next_message(1, at_ms(10)), Next::WaitUntil(at_ms(100)));
        state.start(Command::default()).unwrap();
        let Next::Send(Message::AppendEntries(args)) = state.next_message(1, at_ms(20)) else {
            panic!("a command is replicated at once")
        };
        assert_eq!(args.entries.len(), 1);
        state.no_reply(1);
        assert_eq!(state.next_message(1, at_ms(30)), Next::WaitUntil(at_ms(50)));
        assert!(matches!(state.next_message(1, at_ms(50)), Next::Send(_)), "§5.5: retried");
    }

    #[test]
    fn a_follower_has_nothing_to_say_and_takes_no_commands() {
        let mut state = Server::new(3).build();
        assert_eq!(state.next_message(1, at_ms(0)), Next::Wait);
        let refused = state.start(Command::default());
        assert_eq!(refused, Err(Refused::NotLeader { leader: None }));
    }
}
