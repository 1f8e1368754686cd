//! The hooks: where the lab's Raft meets what goes beyond the lab. A reader of 2A to 2D may skip all of them, because with the
//! default options they change nothing.
//!
//! The methods in this file have names that begin with `beyond_`:
//!
//! | called in | hooks | for |
//! |---|---|---|
//! | the handlers of requests and replies, `start` | [`State::beyond_refuses`], [`State::beyond_refuses_reply`], [`State::beyond_refuses_commands`] | impossible numbers, check-quorum, back-pressure, transfer |
//! | the ticker | [`State::beyond_tick`], [`State::beyond_deadline`] | pre-vote, check-quorum |
//! | `next_message`, and where a reply is noted | [`State::beyond_message`], [`State::beyond_is_urgent`], [`State::beyond_note_answer`] | pre-vote, transfer, reads |
//! | where the commit index advances, and where state is saved | [`State::beyond_note_commit`], [`State::beyond_persist`] | membership |
//!
//! Three more files of this folder do a part of the lab's own work, in a form that allows for more:
//!
//! | file | in the lab | beyond the lab |
//! |---|---|---|
//! | [`flow`](super::flow) | one message to a server at a time | several |
//! | [`chunks`](super::chunks) | the first chunk of a snapshot is the whole snapshot | several chunks |
//! | [`membership`](super::membership), [`Log::members`](crate::raft::log::Log::members) | all servers are members | members are added and removed |
//!
//! Fields and variants that only this folder needs are marked "Beyond the lab" in [`state`](crate::raft::state).

use super::validate::{Request, complain, validate_term};
use crate::raft::messages::{Message, Ticket};
use crate::raft::state::{Role, State};
use labrpc::time::Instant;

impl State {
    /// Whether to answer no to a request, whatever the paper's rules say: because no correct server sends it, or because it would
    /// depose a leader that this server hears from.
    pub(in crate::raft) fn beyond_refuses<R: Request>(&self, request: &R, now: Instant) -> bool {
        !self.is_valid(request) || (request.would_depose() && self.holds_to_its_leader(now))
    }

    /// Whether to ignore a reply with this term, because no correct server sends it.
    pub(in crate::raft) fn beyond_refuses_reply(&self, term: u64) -> bool {
        validate_term(term).inspect_err(|why| complain("a reply", why)).is_err()
    }

    /// Whether the leader accepts no command now: too many wait to be committed, or its successor has to catch up first.
    pub(in crate::raft) fn beyond_refuses_commands(&mut self) -> bool {
        self.is_busy() || self.is_handing_over()
    }

    /// Makes a leader step down if it hears from no majority. Returns true if it is time for an election but this server asks for
    /// pre-votes first.
    pub(in crate::raft) fn beyond_tick(&mut self, now: Instant) -> bool {
        self.check_quorum(now);
        let asks_first = self.options.pre_vote && self.election_due(now);
        if asks_first {
            self.become_pre_candidate(now);
        }
        asks_first
    }

    /// When a leader has to check again whether it hears from a majority.
    pub(in crate::raft) fn beyond_deadline(&self, now: Instant) -> Option<Instant> {
        self.quorum_deadline(now)
    }

    /// A message that takes precedence over the lab's messages.
    pub(in crate::raft) fn beyond_message(&mut self, peer: usize) -> Option<Message> {
        match &self.role {
            Role::PreCandidate { .. } => Some(Message::PreVote(self.pre_vote_args())),
            Role::Leader { .. } if self.is_ready_successor(peer) => {
                Some(self.send_timeout_now(peer))
            }
            _ => None,
        }
    }

    /// Whether a leader has something for `peer` that cannot wait for the next heartbeat: a read to be confirmed, or a transfer.
    pub(in crate::raft) fn beyond_is_urgent(&self, peer: usize) -> bool {
        self.awaits_confirmation_by(peer) || self.is_ready_successor(peer)
    }

    /// Notes that `peer` has answered. Reads, leases and check-quorum depend on that.
    pub(in crate::raft) fn beyond_note_answer(&mut self, peer: usize, ticket: Ticket) {
        self.note_heard(peer, ticket);
    }

    /// Notes that the commit index has advanced: a leader that is not a member any more steps down.
    pub(in crate::raft) fn beyond_note_commit(&mut self) {
        self.step_down_if_removed();
    }

    /// Saves what goes beyond Figure 2's persistent state.
    pub(in crate::raft) fn beyond_persist(&mut self) {
        self.persist_removal();
    }
}
