//! Figure 2, "RequestVote RPC": "invoked by candidates to gather votes (§5.2)".

use super::state::{Ballot, Role, State};
use labrpc::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// "Arguments".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "RequestVote")]
pub struct RequestVoteArgs {
    /// "Candidate's term".
    pub term: u64,
    /// "Candidate requesting vote".
    pub candidate_id: usize,
    /// "Index of candidate's last log entry (§5.4)".
    pub last_log_index: u64,
    /// "Term of candidate's last log entry (§5.4)".
    pub last_log_term: u64,
    /// Beyond the lab: whether the leader itself has told this server to become a candidate (thesis §4.2.3).
    pub leadership_transfer: bool,
}

/// "Results".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Vote")]
pub struct RequestVoteReply {
    /// "currentTerm, for candidate to update itself".
    pub term: u64,
    /// "True means candidate received vote".
    pub vote_granted: bool,
}

impl State {
    /// The request that a candidate sends to all other members.
    pub fn request_vote_args(&self) -> RequestVoteArgs {
        RequestVoteArgs {
            term: self.current_term,
            candidate_id: self.me,
            last_log_index: self.log.last_index(),
            last_log_term: self.log.last_term(),
            leadership_transfer: matches!(self.role, Role::Candidate { by_transfer: true, .. }),
        }
    }

    /// "Receiver implementation".
    pub fn handle_request_vote(
        &mut self,
        args: &RequestVoteArgs,
        now: Instant,
    ) -> RequestVoteReply {
        if self.beyond_refuses(args, now) {
            return RequestVoteReply { term: self.current_term, vote_granted: false };
        }
        self.update_term(args.term, now);
        // 1. "Reply false if term < currentTerm (§5.1)".
        let current = args.term == self.current_term;
        // 2. "If votedFor is null or candidateId, and candidate's log is at least as up-to-date as receiver's log,
        //    grant vote (§5.2, §5.4)".
        let free = self.voted_for.is_none_or(|candidate| candidate == args.candidate_id);
        let up_to_date = self.is_up_to_date(args.last_log_term, args.last_log_index);
        let vote_granted = current && free && up_to_date;
        if vote_granted {
            self.voted_for = Some(args.candidate_id);
            self.reset_election_timer(now);
            self.become_follower(self.leader(), now); // a pre-candidate gives up its own attempt
        }
        self.persist();
        RequestVoteReply { term: self.current_term, vote_granted }
    }

    /// §5.4.1: "If the logs have last entries with different terms, then the log with the later term is more
    /// up-to-date. If the logs end with the same term, then whichever log is longer is more up-to-date."
    pub(super) fn is_up_to_date(&self, last_log_term: u64, last_log_index: u64) -> bool {
        (last_log_term, last_log_index) >= (self.log.last_term(), self.log.last_index())
    }

    /// Counts the vote in a reply.
    pub fn handle_request_vote_reply(
        &mut self,
        peer: usize,
        args: &RequestVoteArgs,
        reply: &RequestVoteReply,
        now: Instant,
    ) {
        if !self.observe_reply(args.term, reply.term, now) {
            return;
        }
        if let Role::Candidate { ballot, .. } = &mut self.role {
            ballot.note(peer, reply.vote_granted);
            self.lead_if_elected(now);
        }
    }
}

impl Ballot {
    /// The ballot of a new candidate: so far, we have only our own vote.
    pub fn of(me: usize) -> Ballot {
        let ourselves = BTreeSet::from([me]);
        Ballot { votes: ourselves.clone(), answered: ourselves }
    }

    /// Notes that a server has answered.
    pub fn note(&mut self, peer: usize, granted: bool) {
        self.answered.insert(peer);
        if granted {
            self.votes.insert(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::messages::Next;
    use super::super::tests::{Server, at_ms, note_no_reply};
    use super::*;

    fn ask(term: u64, candidate_id: usize, last: (u64, u64)) -> RequestVoteArgs {
        let (last_log_term, last_log_index) = last;
        let leadership_transfer = false;
        RequestVoteArgs { term, candidate_id, last_log_index, last_log_term, leadership_transfer }
    }

    fn granted(state: &mut State, args: RequestVoteArgs) -> bool {
        state.handle_request_vote(&args, at_ms(0)).vote_granted
    }

    #[test]
    fn step_1_a_candidate_of_an_old_term_is_refused_and_learns_the_new_term() {
        let mut state = Server::new(3).term(5).build();
        let reply = state.handle_request_vote(&ask(4, 1, (9, 9)), at_ms(0));
        assert_eq!(reply, RequestVoteReply { term: 5, vote_granted: false });
    }

    /// §5.2: "Each server will vote for at most one candidate in a given term, on a first-come-first-served
    /// basis".
    #[test]
    fn step_2_a_server_votes_once_a_term_and_repeats_that_vote_when_asked_again() {
        let mut state = Server::new(3).build();
        assert!(granted(&mut state, ask(1, 1, (0, 0))));
        assert!(!granted(&mut state, ask(1, 2, (0, 0))));
        assert!(granted(&mut state, ask(1, 1, (0, 0))), "the reply may have been lost");
        assert!(granted(&mut state, ask(2, 2, (0, 0))), "a new term, a new vote");
        assert!(state.is_persisted());
    }

    #[test]
    fn step_2_a_server_votes_only_for_a_log_that_is_up_to_date() {
        // Our log ends at index 3 with term 2.
        let cases = [
            ((1, 9), false, "longer, but of an older term"),
            ((2, 2), false, "shorter"),
            ((2, 3), true, "as long, and of the same term"),
            ((2, 4), true, "longer"),
            ((3, 1), true, "shorter, but of a newer term"),
        ];
        for (last, expected, why) in cases {
            let mut state = Server::new(3).log(&[1, 1, 2]).build();
            assert_eq!(granted(&mut state, ask(7, 1, last)), expected, "{why}");
        }
    }

    #[test]
    fn only_a_granted_vote_resets_the_election_timer() {
        let mut state = Server::new(3).log(&[1, 1, 2]).build();
        let deadline = state.election_deadline;
        let now = at_ms(5_000);
        state.handle_request_vote(&ask(7, 1, (0, 0)), now);
        assert_eq!(state.election_deadline, deadline, "the vote was refused");
        state.handle_request_vote(&ask(8, 1, (2, 3)), now);
        assert!(state.election_deadline >= at_ms(5_500));
    }

    #[test]
    fn a_candidate_becomes_leader_with_a_majority_and_not_before() {
        let mut state = Server::new(5).build();
        state.become_candidate(at_ms(0));
        let args = state.request_vote_args();
        let yes = RequestVoteReply { term: 1, vote_granted: true };
        state.handle_request_vote_reply(1, &args, &yes, at_ms(1));
        state.handle_request_vote_reply(1, &args, &yes, at_ms(2));
        assert!(!state.is_leader(), "one server's vote counts once");
        state.handle_request_vote_reply(2, &args, &yes, at_ms(3));
        assert!(state.is_leader());
    }

    #[test]
    fn a_refused_vote_is_an_answer_but_not_a_vote() {
        let mut state = Server::new(3).build();
        state.become_candidate(at_ms(0));
        let args = state.request_vote_args();
        let no = RequestVoteReply { term: 1, vote_granted: false };
        state.handle_request_vote_reply(1, &args, &no, at_ms(1));
        assert!(!state.is_leader());
        assert_eq!(state.next_message(1, at_ms(500)), Next::Wait, "it has answered");
    }

    /// §5.5: "the servers retry RPCs if they do not receive a response in a timely manner".
    #[test]
    fn a_request_for_a_vote_is_repeated_until_it_is_answered() {
        let mut state = Server::new(3).build();
        state.become_candidate(at_ms(0));
        note_no_reply(&mut state, 1, at_ms(0));
        assert!(matches!(state.next_message(1, at_ms(100)), Next::Send(..)));
    }

    #[test]
    fn votes_of_an_earlier_candidacy_do_not_count() {
        let mut state = Server::new(3).build();
        state.become_candidate(at_ms(0));
        let old = state.request_vote_args();
        state.become_candidate(at_ms(1));
        let yes = RequestVoteReply { term: 1, vote_granted: true };
        state.handle_request_vote_reply(1, &old, &yes, at_ms(2));
        assert!(!state.is_leader());
    }

    #[test]
    fn a_reply_with_a_higher_term_ends_the_candidacy() {
        let mut state = Server::new(3).build();
        state.become_candidate(at_ms(0));
        let args = state.request_vote_args();
        let no = RequestVoteReply { term: 3, vote_granted: false };
        state.handle_request_vote_reply(1, &args, &no, at_ms(1));
        assert_eq!((state.current_term, state.voted_for), (3, None));
        assert_eq!(state.role, Role::Follower { leader: None });
    }
}
