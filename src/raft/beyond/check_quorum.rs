//! Check-quorum (thesis §6.2), and its counterpart: a server that hears a leader ignores candidates (§4.2.3).
//!
//! A leader that hears from no majority steps down, so that its clients look for another leader. And a server ignores candidates
//! while it hears a leader, so that they do not depose that leader. Such a candidate may be a server that was removed and does
//! not know it, or a server that cannot hear the leader.

use crate::raft::messages::Ticket;
use crate::raft::state::{Role, State};
use labrpc::time::Instant;

impl State {
    /// The latest of the leader's messages for which this holds: each server of a majority has answered it or a later one in this
    /// term. The leader itself counts as having answered all of them.
    pub fn majority_answered(&self, now: Instant) -> Option<Ticket> {
        let Role::Leader { progress, .. } = &self.role else { return None };
        let our_own = Ticket { number: u64::MAX, at: now, term: self.current_term };
        self.majority_has(|member| match member == self.me {
            true => Some(our_own),
            false => progress[member].answered,
        })
    }

    /// When a leader steps down, unless a majority answers before.
    pub fn quorum_deadline(&self, now: Instant) -> Option<Instant> {
        self.followed_until(now).filter(|_| self.options.check_quorum)
    }

    /// Until when a leader assumes that a majority follows it.
    fn followed_until(&self, now: Instant) -> Option<Instant> {
        let Role::Leader { leadership, .. } = &self.role else { return None };
        let heard = self.majority_answered(now).map_or(leadership.since, |ticket| ticket.at);
        Some(heard + self.options.election_timeout.end)
    }

    /// Steps down if it is time to.
    pub fn check_quorum(&mut self, now: Instant) {
        if self.quorum_deadline(now).is_some_and(|deadline| now >= deadline) {
            log::debug!("hears from no majority in term {}", self.current_term);
            self.become_follower(None, now);
        }
    }

    /// "If a server receives a RequestVote request within the minimum election timeout of hearing from a current leader, it does
    /// not update its term or grant its vote" (thesis §4.2.3).
    pub fn holds_to_its_leader(&self, now: Instant) -> bool {
        self.options.check_quorum && self.hears_a_leader(now)
    }

    /// Notes that `peer` has heard from this leader. A late vote does not count: the voter may not know yet who leads, and is
    /// still free to vote for another server in the next term.
    pub(super) fn note_heard(&mut self, peer: usize, ticket: Ticket) {
        if let Role::Leader { progress, leadership } = &mut self.role
            && ticket.term == self.current_term
            && ticket.at >= leadership.since
            && ticket.number > progress[peer].since
        {
            progress[peer].answered = progress[peer].answered.max(Some(ticket));
        }
    }

    /// Whether this server knows of a leader. A leader counts itself only while a majority answers it. Any other server knows of a
    /// leader if it has heard from one within the shortest election timeout.
    ///
    /// Without check-quorum, a leader that no majority answers does not step down. But a candidate may need its vote.
    pub fn hears_a_leader(&self, now: Instant) -> bool {
        match self.followed_until(now) {
            Some(deadline) => now < deadline,
            None => now < self.heard_leader_at + self.options.election_timeout.start,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::raft::beyond::pre_vote::PreVoteArgs;
    use crate::raft::request_vote::{RequestVoteArgs, RequestVoteReply};
    use crate::raft::tests::{Server, answer, at_ms, progress, sent};

    #[test]
    fn a_leader_that_hears_from_no_majority_steps_down_in_its_term() {
        let mut state = Server::new(5).checks_quorum().leader_of_term(1).build();
        for peer in [1, 2] {
            answer(&mut state, peer, at_ms(400));
        }
        answer(&mut state, 1, at_ms(900));
        assert_eq!(
            state.quorum_deadline(at_ms(901)),
            Some(at_ms(1400)),
            "with two others, it is a majority"
        );
        state.check_quorum(at_ms(1399));
        assert!(state.is_leader());
        state.check_quorum(at_ms(1400));
        assert_eq!((state.current_term, state.leader()), (1, None));
    }

    #[test]
    fn a_server_that_hears_a_leader_grants_no_vote_and_learns_no_term() {
        let mut state = Server::new(3).checks_quorum().build();
        let mut ask = |term, leadership_transfer, ms| {
            let (last_log_index, last_log_term) = (0, 0);
            let args = RequestVoteArgs {
                term,
                candidate_id: 2,
                last_log_index,
                last_log_term,
                leadership_transfer,
            };
            let reply = state.handle_request_vote(&args, at_ms(ms));
            (reply.vote_granted, state.current_term)
        };
        assert_eq!(
            ask(5, false, 499),
            (false, 0),
            "it may have heard a leader before it restarted"
        );
        assert_eq!(ask(5, false, 500), (true, 5));
        assert_eq!(ask(6, true, 501), (true, 6), "the leader asked for the election");
    }

    /// Without check-quorum such a leader does not step down, but a candidate may need its vote.
    #[test]
    fn a_leader_that_no_majority_answers_would_vote_for_another() {
        let mut state = Server::new(3).leader_of_term(1).build();
        let args = PreVoteArgs { term: 2, candidate_id: 1, last_log_index: 0, last_log_term: 0 };
        answer(&mut state, 1, at_ms(100));
        assert!(!state.handle_pre_vote(&args, at_ms(1099)).vote_granted);
        assert!(state.handle_pre_vote(&args, at_ms(1100)).vote_granted);
        assert!(state.is_leader());
    }

    /// Thesis §6.4.1: a lease counts on servers that hold to the leader. A server that has only voted does not hold to it yet.
    #[test]
    fn a_late_vote_does_not_confirm_the_leader() {
        let mut state = Server::new(5).build();
        state.become_candidate(at_ms(0));
        let tickets: Vec<_> = (1..=4).map(|peer| sent(&mut state, peer, at_ms(0))).collect();
        let (args, yes) =
            (state.request_vote_args(), RequestVoteReply { term: 1, vote_granted: true });
        for peer in 1..=4 {
            state.note_answer(peer, tickets[peer - 1]);
            state.handle_request_vote_reply(peer, &args, &yes, at_ms(peer as u64));
        }
        assert!(state.is_leader());
        assert!(progress(&state).iter().all(|progress| progress.answered.is_none()));
        answer(&mut state, 4, at_ms(5));
        assert!(progress(&state)[4].answered.is_some());
    }
}
