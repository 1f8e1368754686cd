//! The reference without its threads: the same steps that `threads.rs` and `mod.rs` do, as calls.

use labrpc::api::{ApplyMsg, Command, Snapshot};
use labrpc::time::Instant;
use labtests::fuzz::machine::{
    Base, Boot, Change, Entry, Look, Machine, Output, Role, Setup, digest,
};
use raftlab::raft::Options;
use raftlab::raft::append_entries::{AppendEntriesArgs, Conflict};
use raftlab::raft::beyond::membership::{ChangeHandle, ChangeRequest};
use raftlab::raft::beyond::read_index::Read;
use raftlab::raft::beyond::transfer::TransferHandle;
use raftlab::raft::calls::Reply;
use raftlab::raft::log::Payload;
use raftlab::raft::messages::{Message, Next, Ticket};
use raftlab::raft::state::{self, State};
use std::collections::BTreeMap;
use std::ops::ControlFlow::Break;

/// A server of the reference.
pub struct Reference {
    pub state: State,
    /// The number of the next call. It includes the incarnation, so that no reply reaches a later incarnation.
    next_call: (u64, u64),
    calls: BTreeMap<(u64, u64), Call>,
    /// Entries that wait for the entries before them.
    early: Vec<Early>,
    reads: Vec<(u64, Read)>,
    changes: Vec<(u64, ChangeHandle)>,
    transfers: Vec<TransferHandle>,
    output: Output<Sent>,
}

/// A call that waits for its reply.
struct Call {
    to: usize,
    message: Message,
    ticket: Ticket,
    /// Whether it has timed out.
    late: bool,
}

struct Early {
    from: usize,
    call: (u64, u64),
    args: AppendEntriesArgs,
    came: Instant,
}

/// A message between servers. The numbers tell which call a reply answers.
#[derive(Clone, Debug)]
pub enum Sent {
    Request((u64, u64), Message),
    Reply((u64, u64), Reply),
}

impl Sent {
    /// The terms, indices and offsets in the message.
    fn numbers(&mut self) -> Vec<&mut u64> {
        match self {
            Sent::Request(_, message) => of_request(message),
            Sent::Reply(_, reply) => of_reply(reply),
        }
    }
}

fn of_request(message: &mut Message) -> Vec<&mut u64> {
    match message {
        Message::PreVote(args) => {
            vec![&mut args.term, &mut args.last_log_index, &mut args.last_log_term]
        }
        Message::RequestVote(args) => {
            vec![&mut args.term, &mut args.last_log_index, &mut args.last_log_term]
        }
        Message::AppendEntries(args) => {
            let indices = [&mut args.prev_log_index, &mut args.leader_commit];
            let terms = [&mut args.term, &mut args.prev_log_term];
            let entries = args.entries.iter_mut().map(|entry| &mut entry.term);
            indices.into_iter().chain(terms).chain(entries).collect()
        }
        Message::InstallSnapshot(args) => vec![
            &mut args.term,
            &mut args.last_included_index,
            &mut args.last_included_term,
            &mut args.offset,
        ],
        Message::TimeoutNow(args) => vec![&mut args.term],
    }
}

fn of_reply<'a>(reply: &'a mut Reply) -> Vec<&'a mut u64> {
    match reply {
        Reply::PreVote(reply) => vec![&mut reply.term],
        Reply::RequestVote(reply) => vec![&mut reply.term],
        Reply::AppendEntries(reply) => {
            let of_conflict =
                |Conflict { term, index }: &'a mut Conflict| term.iter_mut().chain([index]);
            let conflict = reply.conflict.iter_mut().flat_map(of_conflict);
            [&mut reply.term].into_iter().chain(conflict).collect()
        }
        Reply::InstallSnapshot(reply) => vec![&mut reply.term, &mut reply.received],
        Reply::TimeoutNow(reply) => vec![&mut reply.term],
    }
}

fn options(setup: &Setup) -> Options {
    Options {
        heartbeat: setup.heartbeat,
        election_timeout: setup.election_timeout.clone(),
        call_timeout: setup.call_timeout,
        retry: setup.retry,
        no_op_on_election: setup.no_op_on_election,
        pre_vote: setup.pre_vote,
        check_quorum: setup.check_quorum,
        lease: setup.lease,
        max_batch: setup.max_batch,
        max_in_flight: setup.max_in_flight,
        overtaking: setup.overtaking,
        snapshot_chunk: setup.snapshot_chunk,
        max_uncommitted: setup.max_uncommitted,
        members: Some(setup.members.clone()),
        catch_up_rounds: setup.catch_up_rounds,
    }
}

// The steps of `threads.rs` and `mod.rs`.
impl Reference {
    fn handle(&mut self, from: usize, call: (u64, u64), message: Message, now: Instant) {
        let state = &mut self.state;
        let reply = match message {
            Message::PreVote(args) => Reply::PreVote(state.handle_pre_vote(&args, now)),
            Message::RequestVote(args) => Reply::RequestVote(state.handle_request_vote(&args, now)),
            Message::AppendEntries(args) => {
                return self.early.push(Early { from, call, args, came: now });
            }
            Message::InstallSnapshot(args) => {
                Reply::InstallSnapshot(state.handle_install_snapshot(args, now))
            }
            Message::TimeoutNow(args) => Reply::TimeoutNow(state.handle_timeout_now(&args, now)),
        };
        self.output.messages.push((from, Sent::Reply(call, reply)));
    }

    /// A reply counts once, even if it comes late.
    fn handle_reply(&mut self, from: usize, call: (u64, u64), reply: &Reply, now: Instant) {
        let Some(Call { message, ticket, .. }) = self.calls.remove(&call) else { return };
        self.state.handle_reply(from, ticket, &message, reply, now);
    }

    /// Whoever waits for a call gives up after [`Options::call_timeout`], but goes on listening for as long as the reply may be
    /// useful.
    fn end_calls(&mut self, now: Instant) {
        let Options { call_timeout, election_timeout, .. } = &self.state.options;
        let (patience, of_use) = (*call_timeout, election_timeout.start);
        let is_late = |call: &&mut Call| !call.late && call.ticket.at + patience <= now;
        let late = self.calls.values_mut().filter(is_late).map(|call| {
            call.late = true;
            (call.to, call.ticket)
        });
        for (to, ticket) in late.collect::<Vec<_>>() {
            self.state.note_no_reply(to, ticket);
        }
        self.calls.retain(|_, call| !call.late || now < call.ticket.at + of_use);
    }

    /// The steps of waiting threads when something has changed.
    fn settle(&mut self, now: Instant) {
        let state = &mut self.state;
        let due = |state: &State, early: &[Early]| {
            early.iter().position(|it| !state.waits_for_earlier(&it.args, it.came, now))
        };
        while let Some(due) = due(state, &self.early) {
            let Early { from, call, args, .. } = self.early.remove(due);
            let reply = Reply::AppendEntries(state.handle_append_entries(args, now));
            self.output.messages.push((from, Sent::Reply(call, reply)));
        }
        let ended = &mut self.output.reads;
        self.reads.retain_mut(|(number, read)| match state.advance_read(read, now) {
            Break(result) => {
                ended.push((*number, result.ok()));
                false
            }
            _ => true,
        });
        let ended = &mut self.output.changes;
        self.changes.retain_mut(|(number, change)| {
            let goes_on = state.advance_change(change, now).is_continue();
            ended.extend((!goes_on).then_some(*number));
            goes_on
        });
        self.transfers.retain(|handle| state.advance_transfer(handle, now).is_continue());
        let (me, servers) = (state.me, state.servers);
        (0..servers).filter(|peer| *peer != me).for_each(|peer| self.send(peer, now));
    }

    fn send(&mut self, peer: usize, now: Instant) {
        while let Next::Send(message, ticket) = self.state.next_message(peer, now) {
            self.next_call.1 += 1;
            let call = self.next_call;
            self.output.messages.push((peer, Sent::Request(call, message.clone())));
            self.calls.insert(call, Call { to: peer, message, ticket, late: false });
        }
    }
}

impl Machine for Reference {
    type Message = Sent;

    fn start(boot: Boot<'_>) -> Reference {
        let Boot { me, incarnation, setup, persister, now } = boot;
        Reference {
            state: State::new(me, setup.servers, persister, options(setup), now),
            next_call: (incarnation, 0),
            calls: BTreeMap::new(),
            early: Vec::new(),
            reads: Vec::new(),
            changes: Vec::new(),
            transfers: Vec::new(),
            output: Output::default(),
        }
    }

    fn tick(&mut self, now: Instant) {
        self.end_calls(now);
        self.state.tick(now);
        self.settle(now);
    }

    fn receive(&mut self, from: usize, message: Sent, now: Instant) {
        match message {
            Sent::Request(call, message) => self.handle(from, call, message, now),
            Sent::Reply(call, reply) => self.handle_reply(from, call, &reply, now),
        }
        self.settle(now);
    }

    fn propose(&mut self, command: Command, now: Instant) -> bool {
        let taken = self.state.start(command).is_ok();
        self.settle(now);
        taken
    }

    fn snapshot(&mut self, index: u64, snapshot: Snapshot, now: Instant) {
        self.state.snapshot(index, snapshot);
        self.settle(now);
    }

    fn read(&mut self, read: u64, now: Instant) {
        self.reads.push((read, self.state.begin_read(now)));
        self.settle(now);
    }

    fn change(&mut self, number: u64, change: Change, now: Instant) -> bool {
        let request = match change {
            Change::Add(server) => ChangeRequest::Add(server),
            Change::Remove(server) => ChangeRequest::Remove(server),
        };
        let begun = self.state.begin_change(request, now).ok();
        self.changes.extend(begun.map(|change| (number, change)));
        self.settle(now);
        begun.is_some()
    }

    fn transfer(&mut self, to: usize, now: Instant) {
        self.transfers.extend(self.state.begin_transfer(to, now));
        self.settle(now);
    }

    fn corrupt(message: &Sent, which: u64, value: u64) -> Option<Sent> {
        let mut spoilt = message.clone();
        let mut numbers = spoilt.numbers();
        let which = which % numbers.len() as u64;
        *numbers.swap_remove(which as usize) = value;
        Some(spoilt)
    }

    fn take_output(&mut self) -> Output<Sent> {
        let applied: Vec<ApplyMsg> = self.state.take_committed();
        Output { applied, ..std::mem::take(&mut self.output) }
    }

    fn look(&self) -> Look {
        let (state, log) = (&self.state, &self.state.log);
        let entry = |entry: &raftlab::raft::log::Entry| {
            let (content, members) = match &entry.payload {
                Payload::Command(command) => (digest(command), None),
                Payload::NoOp => (0, None),
                Payload::Members(members) => (1, Some(members.clone())),
            };
            Entry { term: entry.term, content, members }
        };
        Look {
            role: match state.role {
                state::Role::Follower { .. } => Role::Follower,
                state::Role::PreCandidate { .. } | state::Role::Candidate { .. } => Role::Candidate,
                state::Role::Leader { .. } => Role::Leader,
            },
            term: state.current_term,
            voted_for: state.voted_for,
            commit_index: state.commit_index,
            base: Base {
                index: log.last_included_index(),
                term: log.last_included_term(),
                members: log.members_in_snapshot().clone(),
            },
            entries: log.after(log.last_included_index()).iter().map(entry).collect(),
            members: log.members().clone(),
        }
    }
}
