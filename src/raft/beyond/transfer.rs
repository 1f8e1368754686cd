//! Leadership transfer (thesis §3.10).
//!
//! The leader accepts no more commands, brings its successor up to date, and tells it to become a candidate at once. If the
//! leader is not deposed within about an election timeout, it goes on as leader.

use super::flow::Mode;
use crate::raft::messages::Message;
use crate::raft::state::{Role, State};
use labrpc::api::beyond::NotTransferred;
use labrpc::time::Instant;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow::{self, Break, Continue};

/// Tells a server to become a candidate now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "TimeoutNow")]
pub struct TimeoutNowArgs {
    /// The leader's term.
    pub term: u64,
    /// The leader that sends this.
    pub leader_id: usize,
}

/// The reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Standing")]
pub struct TimeoutNowReply {
    /// The term of the server that answers.
    pub term: u64,
}

/// A transfer that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    to: usize,
    deadline: Instant,
    /// Whether the successor has answered TimeoutNow.
    told: bool,
}

/// What the caller knows of its transfer.
#[derive(Clone, Copy, Debug)]
pub struct TransferHandle {
    to: usize,
    term: u64,
    deadline: Instant,
}

impl State {
    /// Begins to hand the leadership over to `to`.
    ///
    /// # Errors
    /// See [`NotTransferred`].
    pub fn begin_transfer(
        &mut self,
        to: usize,
        now: Instant,
    ) -> Result<TransferHandle, NotTransferred> {
        if self.killed {
            return Err(NotTransferred::Stopped);
        }
        let (me, leader) = (self.me, self.leader());
        let members = self.log.members().clone();
        let Role::Leader { leadership, .. } = &mut self.role else {
            return Err(NotTransferred::NotLeader { leader });
        };
        if to == me || !members.contains(&to) {
            return Err(NotTransferred::NoSuccessor);
        }
        if leadership.transfer.is_some() || leadership.change.is_some() {
            return Err(NotTransferred::UnderWay);
        }
        let deadline = now + self.options.election_timeout.end;
        leadership.transfer = Some(Transfer { to, deadline, told: false });
        Ok(TransferHandle { to, term: self.current_term, deadline })
    }

    /// Advances a transfer. Breaks with its result, or continues with its deadline.
    pub fn advance_transfer(
        &mut self,
        transfer: &TransferHandle,
        now: Instant,
    ) -> ControlFlow<Result<(), NotTransferred>, Option<Instant>> {
        if self.killed {
            return Break(Err(NotTransferred::Stopped));
        }
        let TransferHandle { to, term, deadline } = *transfer;
        if let Some(leader) = self.leader().filter(|_| self.current_term > term) {
            return Break(match leader {
                _ if leader == to => Ok(()),
                _ if leader == self.me => Err(NotTransferred::TimedOut), // the successor was not elected
                _ => Err(NotTransferred::NotLeader { leader: Some(leader) }),
            });
        }
        if now < deadline {
            return Continue(Some(deadline));
        }
        if let Role::Leader { leadership, .. } = &mut self.role
            && self.current_term == term
        {
            leadership.transfer = None; // this server goes on as leader
        }
        Break(Err(NotTransferred::TimedOut))
    }

    /// Whether this leader accepts no commands, because its successor has to catch up.
    pub(super) fn is_handing_over(&self) -> bool {
        matches!(&self.role, Role::Leader { leadership, .. } if leadership.transfer.is_some())
    }

    /// Whether to send TimeoutNow to `peer`: it is the successor, has our whole log, and has not answered TimeoutNow yet.
    pub(super) fn is_ready_successor(&self, peer: usize) -> bool {
        let Role::Leader { progress, leadership } = &self.role else { return false };
        let waits = |transfer: &Transfer| transfer.to == peer && !transfer.told;
        leadership.transfer.as_ref().is_some_and(waits)
            && progress[peer].match_index == self.log.last_index()
    }

    /// The message to the successor. Only one is sent at a time. From now on, others may vote for the successor although they hear
    /// us.
    pub(super) fn send_timeout_now(&mut self, peer: usize) -> Message {
        if let Role::Leader { progress, leadership } = &mut self.role {
            leadership.timeout_now_sent = true;
            progress[peer].mode = Mode::Probe;
        }
        Message::TimeoutNow(TimeoutNowArgs { term: self.current_term, leader_id: self.me })
    }

    /// The successor becomes a candidate, and does not ask for pre-votes.
    pub fn handle_timeout_now(&mut self, args: &TimeoutNowArgs, now: Instant) -> TimeoutNowReply {
        if self.beyond_refuses(args, now) {
            return TimeoutNowReply { term: self.current_term };
        }
        self.update_term(args.term, now);
        if args.term == self.current_term && self.may_become_candidate() {
            self.become_candidate(now);
            if let Role::Candidate { by_transfer, .. } = &mut self.role {
                *by_transfer = true;
            }
        }
        self.persist();
        TimeoutNowReply { term: self.current_term }
    }

    /// What the leader does with the reply. When the reply comes, the successor is usually a candidate already, and its term is
    /// newer.
    pub fn handle_timeout_now_reply(
        &mut self,
        args: &TimeoutNowArgs,
        reply: &TimeoutNowReply,
        now: Instant,
    ) {
        if self.observe_reply(args.term, reply.term, now)
            && let Role::Leader { leadership, .. } = &mut self.role
            && let Some(transfer) = &mut leadership.transfer
        {
            transfer.told = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::messages::Next;
    use crate::raft::tests::{Server, at_ms, elect, sent};
    use labrpc::api::{Command, Refused};

    #[test]
    fn the_successor_catches_up_and_gets_timeout_now_while_commands_are_refused() {
        let mut state = Server::new(3).leader_of_term(1).build();
        state.start(Command::default()).unwrap();
        let transfer = state.begin_transfer(1, at_ms(0)).unwrap();
        assert_eq!(state.start(Command::default()), Err(Refused::Busy));
        let next = state.next_message(1, at_ms(0));
        assert!(matches!(next, Next::Send(Message::AppendEntries(_), _)), "{next:?}");
        let Next::Send(_, ticket) = next else { unreachable!() };
        state.note_answer(1, ticket);
        state.note_match(1, 1);
        let next = state.next_message(1, at_ms(1));
        assert!(matches!(next, Next::Send(Message::TimeoutNow(_), _)), "{next:?}");
        assert_eq!(state.advance_transfer(&transfer, at_ms(2)), Continue(Some(at_ms(1000))));
        state.update_term(2, at_ms(3));
        state.hear_leader(1, at_ms(4));
        assert_eq!(state.advance_transfer(&transfer, at_ms(5)), Break(Ok(())));
    }

    #[test]
    fn timeout_now_is_sent_once_and_again_if_it_gets_no_reply() {
        let mut state = Server::new(3).leader_of_term(1).build();
        state.options.max_in_flight = 4;
        let ticket = sent(&mut state, 1, at_ms(0));
        state.note_answer(1, ticket);
        state.note_match(1, 0);
        state.begin_transfer(1, at_ms(0)).unwrap();
        let Next::Send(Message::TimeoutNow(_), ticket) = state.next_message(1, at_ms(1)) else {
            panic!("it has everything, so it gets TimeoutNow");
        };
        assert_eq!(state.next_message(1, at_ms(1)), Next::Wait);
        state.note_no_reply(1, ticket);
        let again = state.next_message(1, at_ms(50));
        assert!(matches!(again, Next::Send(Message::TimeoutNow(_), _)), "{again:?}");
    }

    #[test]
    fn a_leader_whose_successor_is_not_elected_goes_on() {
        let mut state = Server::new(3).leader_of_term(1).build();
        let transfer = state.begin_transfer(1, at_ms(0)).unwrap();
        assert_eq!(state.begin_transfer(2, at_ms(1)).unwrap_err(), NotTransferred::UnderWay);
        let timed_out = Break(Err(NotTransferred::TimedOut));
        assert_eq!(state.advance_transfer(&transfer, at_ms(1000)), timed_out);
        assert!(state.start(Command::default()).is_ok());
    }

    #[test]
    fn a_transfer_ends_when_another_server_is_elected() {
        let began = || {
            let mut state = Server::new(3).leader_of_term(1).build();
            let transfer = state.begin_transfer(1, at_ms(0)).unwrap();
            (state, transfer)
        };
        let (mut state, transfer) = began();
        state.update_term(2, at_ms(1));
        assert_eq!(
            state.advance_transfer(&transfer, at_ms(1)),
            Continue(Some(at_ms(1000))),
            "nobody is elected yet"
        );
        state.hear_leader(2, at_ms(2));
        let another = NotTransferred::NotLeader { leader: Some(2) };
        assert_eq!(state.advance_transfer(&transfer, at_ms(2)), Break(Err(another)));

        let (mut state, transfer) = began();
        elect(&mut state);
        assert_eq!(
            state.advance_transfer(&transfer, at_ms(2)),
            Break(Err(NotTransferred::TimedOut))
        );
        assert!(state.start(Command::default()).is_ok(), "it leads a new term");
    }

    #[test]
    fn the_successor_becomes_a_candidate_at_once_and_says_why() {
        let mut state = Server::new(3).checks_quorum().term(4).build();
        let old = TimeoutNowArgs { term: 3, leader_id: 1 };
        assert_eq!(state.handle_timeout_now(&old, at_ms(0)).term, 4, "TimeoutNow of an old leader");
        let now = TimeoutNowArgs { term: 4, leader_id: 1 };
        assert_eq!(state.handle_timeout_now(&now, at_ms(0)).term, 5);
        assert!(state.request_vote_args().leadership_transfer);
        state.become_candidate(at_ms(1000));
        assert!(!state.request_vote_args().leadership_transfer, "this time nobody told it to");
    }

    #[test]
    fn invalid_successors_are_refused() {
        let mut state = Server::new(3).leader_of_term(1).build();
        for to in [0, 3, usize::MAX] {
            assert_eq!(
                state.begin_transfer(to, at_ms(0)).unwrap_err(),
                NotTransferred::NoSuccessor
            );
        }
        let mut state = Server::new(3).build();
        let refused = NotTransferred::NotLeader { leader: None };
        assert_eq!(state.begin_transfer(1, at_ms(0)).unwrap_err(), refused);
    }
}
