//! Calls to other servers, from the message to the reply.
//!
//! A thread waits for a reply no longer than about a heartbeat interval. Otherwise a server that was unreachable and comes back
//! would hear nothing for seconds ([`Options::call_timeout`](super::Options::call_timeout)). But on a slow network every reply
//! takes longer than that. So the thread then sends its next message, and also listens for the reply to an earlier one: a vote
//! that comes late is still a vote.

use super::append_entries::AppendEntriesReply;
use super::beyond::pre_vote::PreVoteReply;
use super::beyond::transfer::TimeoutNowReply;
use super::install_snapshot::InstallSnapshotReply;
use super::messages::{Message, Ticket};
use super::request_vote::RequestVoteReply;
use super::state::State;
use labrpc::channel::{Receive, Receiver, Registrar, Ripe, select};
use labrpc::time::{Duration, Instant};
use labrpc::{ClientEnd, Pending};
use serde::{Serialize, de::DeserializeOwned};

/// What a server answers to a [`Message`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Message::PreVote`].
    PreVote(PreVoteReply),
    /// To [`Message::RequestVote`].
    RequestVote(RequestVoteReply),
    /// To [`Message::AppendEntries`].
    AppendEntries(AppendEntriesReply),
    /// To [`Message::InstallSnapshot`].
    InstallSnapshot(InstallSnapshotReply),
    /// To [`Message::TimeoutNow`].
    TimeoutNow(TimeoutNowReply),
}

impl Reply {
    fn term(&self) -> u64 {
        match self {
            Reply::PreVote(reply) => reply.term,
            Reply::RequestVote(reply) => reply.term,
            Reply::AppendEntries(reply) => reply.term,
            Reply::InstallSnapshot(reply) => reply.term,
            Reply::TimeoutNow(reply) => reply.term,
        }
    }
}

impl State {
    /// Handles the reply of `peer` to a message, whether it comes in time or late.
    pub fn handle_reply(
        &mut self,
        peer: usize,
        ticket: Ticket,
        message: &Message,
        reply: &Reply,
        now: Instant,
    ) {
        if self.beyond_refuses_reply(reply.term()) {
            self.note_no_reply(peer, ticket); // no read, no lease and no check-quorum may count such a reply
            return;
        }
        self.note_answer(peer, ticket);
        if self.precedes_membership(peer, ticket) {
            self.observe_reply(ticket.term, reply.term(), now); // only its term counts
            return;
        }
        match (message, reply) {
            (Message::PreVote(args), Reply::PreVote(reply)) => {
                self.handle_pre_vote_reply(peer, args, reply, now);
            }
            (Message::RequestVote(args), Reply::RequestVote(reply)) => {
                self.handle_request_vote_reply(peer, args, reply, now);
            }
            (Message::AppendEntries(args), Reply::AppendEntries(reply)) => {
                self.handle_append_entries_reply(peer, args, reply, now);
            }
            (Message::InstallSnapshot(args), Reply::InstallSnapshot(reply)) => {
                self.handle_install_snapshot_reply(peer, args, reply, now);
            }
            (Message::TimeoutNow(args), Reply::TimeoutNow(reply)) => {
                self.handle_timeout_now_reply(args, reply, now);
            }
            (message, reply) => unreachable!("{reply:?} is not a reply to {message:?}"),
        }
    }
}

/// A call that has no reply yet.
pub(super) struct Call {
    message: Message,
    pub ticket: Ticket,
    reply: Box<dyn Receive<Output = Option<Reply>>>,
}

/// A reply that has not come yet, by the kind of [`Reply`] that it will be.
struct Coming<R>(Pending<R>, fn(R) -> Reply);

impl<R: DeserializeOwned> Receive for Coming<R> {
    type Output = Option<Reply>;

    fn register<'a>(&'a self, registrar: &mut Registrar<'a>) {
        self.0.register(registrar);
    }

    fn complete(&self, ripe: Ripe<'_>) -> Option<Reply> {
        self.0.complete(ripe).map(self.1)
    }
}

impl Call {
    /// Sends a message.
    pub fn send(end: &ClientEnd, message: Message, ticket: Ticket) -> Call {
        fn coming<A: Serialize, R: DeserializeOwned + 'static>(
            end: &ClientEnd,
            method: &'static str,
            args: &A,
            reply: fn(R) -> Reply,
        ) -> Box<dyn Receive<Output = Option<Reply>>> {
            Box::new(Coming(end.send(method, args), reply))
        }
        let reply = match &message {
            Message::PreVote(args) => coming(end, "Raft.PreVote", args, Reply::PreVote),
            Message::RequestVote(args) => coming(end, "Raft.RequestVote", args, Reply::RequestVote),
            Message::AppendEntries(args) => {
                coming(end, "Raft.AppendEntries", args, Reply::AppendEntries)
            }
            Message::InstallSnapshot(args) => {
                coming(end, "Raft.InstallSnapshot", args, Reply::InstallSnapshot)
            }
            Message::TimeoutNow(args) => coming(end, "Raft.TimeoutNow", args, Reply::TimeoutNow),
        };
        Call { message, ticket, reply }
    }

    /// Passes the reply to the state, which checks whether the reply still counts.
    pub fn answered(&self, state: &mut State, peer: usize, reply: &Reply, now: Instant) {
        state.handle_reply(peer, self.ticket, &self.message, reply, now);
    }

    /// Waits for the reply to this call, or to `late`, an earlier call whose reply is late.
    pub fn wait(&self, late: Option<&Call>, timeout: Duration, killed: &Receiver<()>) -> Waited {
        let Some(late) = late else {
            return select! {
                recv(&*self.reply) -> reply => reply.map_or(Waited::Lost, Waited::Reply),
                recv(killed) -> _ => Waited::Lost,
                default(timeout) => Waited::TimedOut,
            };
        };
        select! {
            recv(&*self.reply) -> reply => reply.map_or(Waited::Lost, Waited::Reply),
            recv(killed) -> _ => Waited::Lost,
            recv(&*late.reply) -> reply => Waited::LateReply(reply),
            default(timeout) => Waited::TimedOut,
        }
    }
}

/// How a wait ended.
pub(super) enum Waited {
    Reply(Reply),
    /// There will be no reply, or this server was killed.
    Lost,
    TimedOut,
    /// The late call has got this reply, or will get none.
    LateReply(Option<Reply>),
}

/// Makes a call that is not a [`Message`]. Returns `None` if there was no reply in time, or if this server was killed.
pub(super) fn ask<A: Serialize, R: DeserializeOwned>(
    end: &ClientEnd,
    method: &'static str,
    args: &A,
    timeout: Duration,
    killed: &Receiver<()>,
) -> Option<R> {
    let pending = end.send(method, args);
    select! {
        recv(pending) -> reply => reply,
        recv(killed) -> _ => None,
        default(timeout) => None,
    }
}
