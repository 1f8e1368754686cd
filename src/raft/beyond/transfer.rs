//! Leadership transfer (thesis §3.10).
//!
//! The leader takes no more commands, brings its successor up to date, and tells it to stand for election at once. It leads on if
//! that hasn't deposed it within about an election timeout.

use super::flow::Mode;
use crate::raft::messages::Message;
use crate::raft::state::{Role, State};
use labrpc::api::beyond::NotTransferred;
use labrpc::time::Instant;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow::{self, Break, Continue};

/// "Stand for election, now."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "TimeoutNow")]
pub struct TimeoutNowArgs {
    /// The leader's term.
    pub term: u64,
    /// Who says so.
    pub leader_id: usize,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Standing")]
pub struct TimeoutNowReply {
    /// The term of who answers.
    pub term: u64,
}

/// A transfer that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    to: usize,
    deadline: Instant,
    /// Whether the successor has answered.
    told: bool,
}

/// What its caller knows of it.
#[derive(Clone, Copy, Debug)]
pub struct Handover {
    to: usize,
    term: u64,
    deadline: Instant,
}

impl State {
    /// Begins to hand the leadership over to `to`.
    ///
    /// # Errors
    /// See [`NotTransferred`].
    pub fn begin_transfer(&mut self, to: usize, now: Instant) -> Result<Handover, NotTransferred> {
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
        Ok(Handover { to, term: self.current_term, deadline })
    }

    /// Looks after it.
    pub fn advance_transfer(
        &mut self,
        handover: &Handover,
        now: Instant,
    ) -> ControlFlow<Result<(), NotTransferred>, Option<Instant>> {
        if self.killed {
            return Break(Err(NotTransferred::Stopped));
        }
        let Handover { to, term, deadline } = *handover;
        if let Some(leader) = self.leader().filter(|_| self.current_term > term) {
            return Break(match leader {
                _ if leader == to => Ok(()),
                _ if leader == self.me => Err(NotTransferred::TimedOut), // the order has come to nothing
                _ => Err(NotTransferred::NotLeader { leader: Some(leader) }),
            });
        }
        if now < deadline {
            return Continue(Some(deadline));
        }
        if let Role::Leader { leadership, .. } = &mut self.role
            && self.current_term == term
        {
            leadership.transfer = None; // and leads on
        }
        Break(Err(NotTransferred::TimedOut))
    }

    /// Whether this leader accepts no commands, because its successor has to catch up.
    pub(super) fn is_handing_over(&self) -> bool {
        matches!(&self.role, Role::Leader { leadership, .. } if leadership.transfer.is_some())
    }

    /// Whether `peer` is to stand now: it has all that we have, and hasn't answered yet.
    pub(super) fn is_ready_successor(&self, peer: usize) -> bool {
        let Role::Leader { progress, leadership } = &self.role else { return false };
        let waits = |transfer: &Transfer| transfer.to == peer && !transfer.told;
        leadership.transfer.as_ref().is_some_and(waits)
            && progress[peer].match_index == self.log.last_index()
    }

    /// What it is told, and not several times at once. From now on others may vote for it, though they hear us.
    pub(super) fn send_timeout_now(&mut self, peer: usize) -> Message {
        if let Role::Leader { progress, leadership } = &mut self.role {
            leadership.timeout_now_sent = true;
            progress[peer].mode = Mode::Probe;
        }
        Message::TimeoutNow(TimeoutNowArgs { term: self.current_term, leader_id: self.me })
    }

    /// The successor stands, and doesn't ask whether it may.
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

    /// What the leader does with a reply. Mostly it comes from a candidate, of a newer term.
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
    fn the_successor_catches_up_and_is_told_while_commands_are_refused() {
        let mut state = Server::new(3).leader_of_term(1).build();
        state.start(Command::default()).unwrap();
        let handover = state.begin_transfer(1, at_ms(0)).unwrap();
        assert_eq!(state.start(Command::default()), Err(Refused::Busy));
        let next = state.next_message(1, at_ms(0));
        assert!(matches!(next, Next::Send(Message::AppendEntries(_), _)), "{next:?}");
        let Next::Send(_, ticket) = next else { unreachable!() };
        state.note_answer(1, ticket);
        state.note_match(1, 1);
        let next = state.next_message(1, at_ms(1));
        assert!(matches!(next, Next::Send(Message::TimeoutNow(_), _)), "{next:?}");
        assert_eq!(state.advance_transfer(&handover, at_ms(2)), Continue(Some(at_ms(1000))));
        state.update_term(2, at_ms(3));
        state.hear_leader(1, at_ms(4));
        assert_eq!(state.advance_transfer(&handover, at_ms(5)), Break(Ok(())));
    }

    #[test]
    fn the_successor_is_told_once_and_again_if_it_does_not_answer() {
        let mut state = Server::new(3).leader_of_term(1).build();
        state.options.max_in_flight = 4;
        let ticket = sent(&mut state, 1, at_ms(0));
        state.note_answer(1, ticket);
        state.note_match(1, 0);
        state.begin_transfer(1, at_ms(0)).unwrap();
        let Next::Send(Message::TimeoutNow(_), ticket) = state.next_message(1, at_ms(1)) else {
            panic!("it has everything, so it is told");
        };
        assert_eq!(state.next_message(1, at_ms(1)), Next::Wait);
        state.note_no_reply(1, ticket);
        let again = state.next_message(1, at_ms(50));
        assert!(matches!(again, Next::Send(Message::TimeoutNow(_), _)), "{again:?}");
    }

    #[test]
    fn a_leader_that_nobody_relieves_leads_on_without_its_lease() {
        let mut state = Server::new(3).leader_of_term(1).build();
        let handover = state.begin_transfer(1, at_ms(0)).unwrap();
        assert_eq!(state.begin_transfer(2, at_ms(1)).unwrap_err(), NotTransferred::UnderWay);
        let timed_out = Break(Err(NotTransferred::TimedOut));
        assert_eq!(state.advance_transfer(&handover, at_ms(1000)), timed_out);
        assert!(state.start(Command::default()).is_ok());
    }

    #[test]
    fn whoever_is_elected_instead_ends_the_wait() {
        let began = || {
            let mut state = Server::new(3).leader_of_term(1).build();
            let handover = state.begin_transfer(1, at_ms(0)).unwrap();
            (state, handover)
        };
        let (mut state, handover) = began();
        state.update_term(2, at_ms(1));
        assert_eq!(
            state.advance_transfer(&handover, at_ms(1)),
            Continue(Some(at_ms(1000))),
            "nobody yet"
        );
        state.hear_leader(2, at_ms(2));
        let another = NotTransferred::NotLeader { leader: Some(2) };
        assert_eq!(state.advance_transfer(&handover, at_ms(2)), Break(Err(another)));

        let (mut state, handover) = began();
        elect(&mut state);
        assert_eq!(
            state.advance_transfer(&handover, at_ms(2)),
            Break(Err(NotTransferred::TimedOut))
        );
        assert!(state.start(Command::default()).is_ok(), "that was another leadership");
    }

    #[test]
    fn who_is_told_to_stand_does_so_at_once_and_says_why() {
        let mut state = Server::new(3).checks_quorum().term(4).build();
        let old = TimeoutNowArgs { term: 3, leader_id: 1 };
        assert_eq!(state.handle_timeout_now(&old, at_ms(0)).term, 4, "of an old leader");
        let now = TimeoutNowArgs { term: 4, leader_id: 1 };
        assert_eq!(state.handle_timeout_now(&now, at_ms(0)).term, 5);
        assert!(state.request_vote_args().leadership_transfer);
        state.become_candidate(at_ms(1000));
        assert!(!state.request_vote_args().leadership_transfer, "this time nobody told it to");
    }

    #[test]
    fn bad_successors_are_refused() {
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
