//! Pre-vote (thesis §9.6): a server that cannot win an election does not disturb the others.
//!
//! A server that is cut off times out again and again. Without pre-vote, it would raise its term each time. When it came back, it
//! would depose a leader that all others hear. So it first asks the others whether they would vote for it in the next term, which
//! it has not entered yet. A yes is only a promise: no server saves anything, and none uses up its vote.

use crate::raft::state::{Ballot, Role, State};
use labrpc::time::Instant;
use serde::{Deserialize, Serialize};

/// Asks whether the sender would get a vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "PreVote")]
pub struct PreVoteArgs {
    /// The term in which it would be a candidate: its own term plus 1.
    pub term: u64,
    /// The server that asks.
    pub candidate_id: usize,
    /// See [`crate::raft::request_vote::RequestVoteArgs::last_log_index`].
    pub last_log_index: u64,
    /// See [`crate::raft::request_vote::RequestVoteArgs::last_log_term`].
    pub last_log_term: u64,
}

/// The reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "WouldVote")]
pub struct PreVoteReply {
    /// The term of the server that answers.
    pub term: u64,
    /// Whether the server that asks would get the vote.
    pub vote_granted: bool,
}

impl State {
    /// Asks all members before it becomes a candidate. Its term and its vote do not change.
    pub fn become_pre_candidate(&mut self, now: Instant) {
        log::debug!("asks for pre-votes for term {}", self.current_term + 1);
        self.role = Role::PreCandidate { ballot: Ballot::of(self.me) };
        self.forget_calls();
        self.reset_election_timer(now);
        self.become_candidate_if_promised(now);
    }

    /// The request that a pre-candidate sends to all other members.
    pub fn pre_vote_args(&self) -> PreVoteArgs {
        PreVoteArgs {
            term: self.current_term + 1,
            candidate_id: self.me,
            last_log_index: self.log.last_index(),
            last_log_term: self.log.last_term(),
        }
    }

    /// Says yes if the term is later than our own, the log of the server that asks is up to date, and we do not hear a leader
    /// ourselves. It does not matter whom we voted for in our own term, because a later term has votes of its own.
    pub fn handle_pre_vote(&mut self, args: &PreVoteArgs, now: Instant) -> PreVoteReply {
        let up_to_date = self.is_up_to_date(args.last_log_term, args.last_log_index);
        let later = args.term > self.current_term;
        let vote_granted =
            later && up_to_date && !self.hears_a_leader(now) && !self.beyond_refuses(args, now);
        PreVoteReply { term: self.current_term, vote_granted }
    }

    /// What the pre-candidate does with a reply. `args.term` is a term that the pre-candidate has not entered: it is one more
    /// than its own term was when it asked.
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
    fn a_server_that_hears_no_leader_says_yes_to_a_log_that_is_up_to_date() {
        let mut state = Server::new(3).log(&[1, 2]).term(3).build();
        let mut asked = |term, last, ms| state.handle_pre_vote(&ask(term, last), at_ms(ms));
        assert!(asked(4, (2, 2), 500).vote_granted);
        assert!(
            !asked(4, (2, 2), 499).vote_granted,
            "it may have heard a leader before it restarted"
        );
        assert!(!asked(4, (2, 1), 500).vote_granted, "its log is behind");
        assert!(!asked(3, (2, 2), 500).vote_granted, "we are in that term already");
        assert_eq!((state.current_term, state.voted_for), (3, None), "nothing has changed");
    }

    #[test]
    fn the_term_is_raised_only_after_a_majority_says_yes() {
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
        assert!(!state.is_leader(), "a promise is not a vote");
    }

    /// Otherwise late promises would soon make the server a candidate, and cause a needless election.
    #[test]
    fn a_pre_candidate_that_votes_for_another_gives_up() {
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
    fn a_pre_candidate_that_is_behind_learns_the_term() {
        let mut state = Server::new(3).term(3).build();
        state.become_pre_candidate(at_ms(0));
        let no = PreVoteReply { term: 7, vote_granted: false };
        state.handle_pre_vote_reply(1, &ask(4, (0, 0)), &no, at_ms(1));
        assert_eq!((state.current_term, &state.role), (7, &Role::Follower { leader: None }));
    }
}
