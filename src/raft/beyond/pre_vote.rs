//! Pre-vote (thesis §9.6): whoever can't win doesn't disturb.
//!
//! A server that was cut off times out again and again. With each time it would raise its term, and when it comes back, depose a
//! leader that all others hear. So it asks first, in a term that it hasn't entered; nothing is saved and no vote is given.

use crate::raft::state::{Ballot, Role, State};
use labrpc::time::Instant;
use serde::{Deserialize, Serialize};

/// Whether the candidate would get a vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "PreVote")]
pub struct PreVoteArgs {
    /// The term that it would stand in: its own and one.
    pub term: u64,
    /// Who asks.
    pub candidate_id: usize,
    /// See [`super::request_vote::RequestVoteArgs::last_log_index`].
    pub last_log_index: u64,
    /// See [`super::request_vote::RequestVoteArgs::last_log_term`].
    pub last_log_term: u64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "WouldVote")]
pub struct PreVoteReply {
    /// The term of who answers.
    pub term: u64,
    /// Yes.
    pub vote_granted: bool,
}

impl State {
    /// Asks all members, before it stands. Its term is what it was, and so is its vote.
    pub fn become_pre_candidate(&mut self, now: Instant) {
        log::debug!("would stand for election in term {}", self.current_term + 1);
        self.role = Role::PreCandidate { ballot: Ballot::of(self.me) };
        self.forget_calls();
        self.reset_election_timer(now);
        self.become_candidate_if_promised(now);
    }

    /// What it asks everybody.
    pub fn pre_vote_args(&self) -> PreVoteArgs {
        PreVoteArgs {
            term: self.current_term + 1,
            candidate_id: self.me,
            last_log_index: self.log.last_index(),
            last_log_term: self.log.last_term(),
        }
    }

    /// Yes, if the candidate's log is up to date, and we don't hear a leader ourselves. We may have voted in that term: others
    /// may not, and the vote itself is asked for later.
    pub fn handle_pre_vote(&mut self, args: &PreVoteArgs, now: Instant) -> PreVoteReply {
        let up_to_date = self.is_up_to_date(args.last_log_term, args.last_log_index);
        let later = args.term > self.current_term;
        let vote_granted =
            later && up_to_date && !self.hears_a_leader(now) && !self.beyond_refuses(args, now);
        PreVoteReply { term: self.current_term, vote_granted }
    }

    /// What the candidate does with a reply. `args.term` is a term that it is not in, so it isn't to be compared with ours.
    pub fn handle_pre_vote_reply(
        &mut self,
        peer: usize,
        args: &PreVoteArgs,
        reply: &PreVoteReply,
        now: Instant,
    ) {
        if !self.observe_reply(args.term - 1, reply.term, now) {
            return;
        }
        if let Role::PreCandidate { ballot } = &mut self.role {
            ballot.note(peer, reply.vote_granted);
            self.become_candidate_if_promised(now);
        }
    }

    fn become_candidate_if_promised(&mut self, now: Instant) {
        if let Role::PreCandidate { ballot } = &self.role
            && self.majority_has(|member| ballot.votes.contains(&member))
        {
            self.become_candidate(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::request_vote::RequestVoteArgs;
    use crate::raft::tests::{Server, at_ms};

    fn ask(term: u64, last: (u64, u64)) -> PreVoteArgs {
        PreVoteArgs { term, candidate_id: 1, last_log_term: last.0, last_log_index: last.1 }
    }

    #[test]
    fn yes_to_who_is_up_to_date_while_no_leader_is_heard() {
        let mut state = Server::new(3).log(&[1, 2]).term(3).build();
        let mut asked = |term, last, ms| state.handle_pre_vote(&ask(term, last), at_ms(ms));
        assert!(asked(4, (2, 2), 500).vote_granted);
        assert!(!asked(4, (2, 2), 499).vote_granted, "it may have heard one before it restarted");
        assert!(!asked(4, (2, 1), 500).vote_granted, "its log is behind");
        assert!(!asked(3, (2, 2), 500).vote_granted, "that term is here already");
        assert_eq!((state.current_term, state.voted_for), (3, None), "nothing has changed");
    }

    #[test]
    fn a_majority_says_yes_before_the_term_is_raised() {
        let mut state = Server::new(5).term(3).build();
        state.become_pre_candidate(at_ms(0));
        let (args, yes) = (state.pre_vote_args(), PreVoteReply { term: 3, vote_granted: true });
        assert_eq!(args.term, 4);
        state.handle_pre_vote_reply(1, &args, &yes, at_ms(1));
        state.handle_pre_vote_reply(1, &args, &yes, at_ms(2));
        assert_eq!((state.current_term, state.voted_for), (3, None));
        state.handle_pre_vote_reply(2, &args, &yes, at_ms(3));
        assert_eq!((state.current_term, state.voted_for), (4, Some(0)));
        assert!(matches!(state.role, Role::Candidate { .. }));
        state.handle_pre_vote_reply(3, &args, &yes, at_ms(4));
        assert!(!state.is_leader(), "that was no vote");
    }

    /// Else late pre-votes would soon make a candidate of it, and a needless election.
    #[test]
    fn who_votes_for_another_asks_no_more() {
        let mut state = Server::new(3).term(3).build();
        state.become_pre_candidate(at_ms(0));
        let vote = RequestVoteArgs {
            term: 3,
            candidate_id: 2,
            last_log_index: 0,
            last_log_term: 0,
            leadership_transfer: false,
        };
        let (args, yes) = (state.pre_vote_args(), PreVoteReply { term: 3, vote_granted: true });
        assert!(state.handle_request_vote(&vote, at_ms(1)).vote_granted);
        state.handle_pre_vote_reply(1, &args, &yes, at_ms(2));
        assert_eq!((state.current_term, state.voted_for), (3, Some(2)));
        assert!(!state.election_due(at_ms(500)));
    }

    #[test]
    fn who_is_behind_learns_the_term() {
        let mut state = Server::new(3).term(3).build();
        state.become_pre_candidate(at_ms(0));
        let no = PreVoteReply { term: 7, vote_granted: false };
        state.handle_pre_vote_reply(1, &ask(4, (0, 0)), &no, at_ms(1));
        assert_eq!((state.current_term, &state.role), (7, &Role::Follower { leader: None }));
    }
}
