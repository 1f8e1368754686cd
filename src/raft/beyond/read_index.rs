//! Reads that don't go through the log (thesis §6.4).
//!
//! A leader knows what is committed once an entry of its own term is committed. But another leader may have been elected without
//! its knowledge. So the leader notes its commit index, and waits until a majority has answered a message that it sent *after*
//! that. Then no other leader had been elected when it noted the index. With a lease (§6.4.1), recent answers of a majority are
//! enough. A follower asks its leader for an index.
//!
//! A service may read when it has applied everything up to the index.

use crate::raft::log::Payload;
use crate::raft::state::{Role, State};
use labrpc::api::Refused;
use labrpc::time::Instant;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow::{self, Break, Continue};

/// A follower asks its leader for an index to read at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "ReadIndex")]
pub struct ReadIndexArgs {
    /// The term of the follower, in which it follows the leader that it asks. No server learns a newer term from this RPC.
    pub term: u64,
}

/// The leader's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "ReadAt")]
pub struct ReadIndexReply {
    /// The leader's term.
    pub term: u64,
    /// The index; `None` if the server does not lead, or could not confirm that it does.
    pub index: Option<u64>,
}

/// A read that waits.
#[derive(Clone, Debug)]
pub struct Read {
    term: u64,
    deadline: Instant,
    /// The commit index, and how many messages had been sent when it was noted.
    noted: Option<(u64, u64)>,
}

impl State {
    /// Begins a read of what is committed now.
    pub fn begin_read(&mut self, now: Instant) -> Read {
        let deadline = now + self.options.election_timeout.end;
        Read { term: self.current_term, deadline, noted: None }
    }

    /// Advances a read. Breaks with the index to read at, or with the reason why the read fails. Until then, continues with the
    /// deadline of the read.
    pub fn advance_read(
        &mut self,
        read: &mut Read,
        now: Instant,
    ) -> ControlFlow<Result<u64, Refused>, Option<Instant>> {
        if self.killed {
            return Break(Err(Refused::Stopped));
        }
        if !self.is_leader() || self.current_term != read.term || now >= read.deadline {
            let leader = self.leader().filter(|leader| *leader != self.me);
            return Break(Err(Refused::NotLeader { leader }));
        }
        if !self.commits_in_its_term() {
            return Continue(Some(read.deadline));
        }
        if self.has_lease(now) {
            return Break(Ok(self.commit_index));
        }
        let (index, sent) = *read.noted.get_or_insert((self.commit_index, self.sends));
        if self.majority_answered(now).is_some_and(|ticket| ticket.number > sent) {
            return Break(Ok(index));
        }
        if let Role::Leader { leadership, .. } = &mut self.role {
            leadership.confirm = leadership.confirm.max(sent);
        }
        Continue(Some(read.deadline))
    }

    /// Whether an entry of the leader's term is committed. Until then a leader does not know which of its entries are committed
    /// (§5.4.2, §8). If its log has no entry of its term, it appends a no-op.
    pub fn commits_in_its_term(&mut self) -> bool {
        if self.is_leader() && self.log.last_term() != self.current_term {
            self.append(Payload::NoOp);
        }
        self.log.term_at(self.commit_index) == Some(self.current_term)
    }

    /// Whether a read waits for `peer` to answer a message that has not been sent yet.
    pub(super) fn awaits_confirmation_by(&self, peer: usize) -> bool {
        matches!(&self.role, Role::Leader { leadership, .. } if self.sent[peer].number <= leadership.confirm)
    }

    /// Whether it is certain that no other leader has been elected yet: after a server has heard from us, it grants no vote until
    /// the shortest election timeout has passed. The lease counts from when we *sent* the message that was heard. After we have
    /// told a server to become a candidate, there is no lease any more.
    fn has_lease(&self, now: Instant) -> bool {
        let Role::Leader { leadership, .. } = &self.role else { return false };
        let lease = self
            .options
            .lease
            .filter(|_| self.options.check_quorum && !leadership.timeout_now_sent);
        let since = self.majority_answered(now).map(|ticket| ticket.at);
        lease.zip(since).is_some_and(|(lease, since)| now < since + lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::append_entries::AppendEntriesReply;
    use crate::raft::calls::Reply;
    use crate::raft::messages::{Message, Next};
    use crate::raft::tests::{Server, answer, at_ms, sent};
    use labrpc::api::Command;
    use std::time::Duration;

    fn look(state: &mut State, read: &mut Read, ms: u64) -> Option<Result<u64, Refused>> {
        state.advance_read(read, at_ms(ms)).break_value()
    }

    /// The leader of three servers. It has committed an entry of its own term, at index 1.
    fn leader() -> State {
        let mut state = Server::new(3).leader_of_term(1).build();
        state.start(Command::default()).unwrap();
        answer(&mut state, 1, at_ms(0));
        state.note_match(1, 1);
        state
    }

    #[test]
    fn a_read_waits_for_answers_to_messages_sent_after_it() {
        let mut state = leader();
        let early = sent(&mut state, 1, at_ms(100));
        let mut read = state.begin_read(at_ms(101));
        assert_eq!(look(&mut state, &mut read, 101), None);
        state.note_answer(1, early);
        assert_eq!(look(&mut state, &mut read, 102), None, "that was sent before the read");
        state.start(Command::default()).unwrap();
        answer(&mut state, 1, at_ms(103)); // at once, not with the next heartbeat
        assert_eq!(look(&mut state, &mut read, 104), Some(Ok(1)));
    }

    /// A reply that no correct server sends may come from a newer term. So it does not confirm the leadership.
    #[test]
    fn an_invalid_reply_confirms_no_read() {
        let mut state = leader();
        let mut read = state.begin_read(at_ms(101));
        assert_eq!(look(&mut state, &mut read, 101), None);
        let Next::Send(message, ticket) = state.next_message(1, at_ms(150)) else { panic!() };
        let Message::AppendEntries(_) = &message else { panic!("{message:?}") };
        let reply = AppendEntriesReply { term: u64::MAX, success: false, conflict: None };
        state.handle_reply(1, ticket, &message, &Reply::AppendEntries(reply), at_ms(160));
        assert_eq!(look(&mut state, &mut read, 161), None);
    }

    /// Thesis §6.4, step 1. Without it, the leader may not know yet what its predecessor has committed.
    #[test]
    fn a_read_waits_for_an_entry_of_the_leaders_term() {
        let mut state = Server::new(3).log(&[1, 1]).leader_of_term(2).build();
        let mut read = state.begin_read(at_ms(0));
        assert_eq!(look(&mut state, &mut read, 0), None);
        assert_eq!((state.log.last_index(), state.log.last_term()), (3, 2), "a no-op");
        answer(&mut state, 1, at_ms(1));
        assert_eq!(look(&mut state, &mut read, 2), None);
        state.note_match(1, 3);
        look(&mut state, &mut read, 3);
        answer(&mut state, 1, at_ms(4));
        assert_eq!(look(&mut state, &mut read, 5), Some(Ok(3)));
    }

    #[test]
    fn a_read_ends_with_the_leadership_or_at_its_deadline() {
        let mut state = leader();
        let mut read = state.begin_read(at_ms(0));
        assert_eq!(look(&mut state, &mut read, 999), None);
        let refused = Some(Err(Refused::NotLeader { leader: None }));
        assert_eq!(look(&mut state, &mut read, 1000), refused);
        state.update_term(2, at_ms(1));
        assert_eq!(look(&mut state, &mut read, 2), refused);
    }

    #[test]
    fn a_lease_begins_when_the_answered_message_was_sent() {
        let mut state = leader();
        state.options.check_quorum = true;
        state.options.lease = Some(Duration::from_millis(450));
        let ticket = sent(&mut state, 2, at_ms(100));
        state.note_answer(2, ticket); // some time later
        let (mut in_time, mut late) = (state.begin_read(at_ms(549)), state.begin_read(at_ms(550)));
        assert_eq!(look(&mut state, &mut in_time, 549), Some(Ok(1)));
        assert_eq!(look(&mut state, &mut late, 550), None);
    }
}
