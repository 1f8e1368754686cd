//! Which message goes to which server, and when.
//!
//! There is a thread for each other server. A thread that is free asks [`State::next_message`] what to send. Each message has a
//! [`Ticket`], because its reply may come late, when role and term have changed.

use super::append_entries::AppendEntriesArgs;
use super::beyond::flow::Mode;
use super::beyond::pre_vote::PreVoteArgs;
use super::beyond::transfer::TimeoutNowArgs;
use super::install_snapshot::InstallSnapshotArgs;
use super::request_vote::RequestVoteArgs;
use super::state::{Role, State};
use labrpc::time::Instant;
use std::collections::BTreeSet;
use std::time::Duration;

/// A request to another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A candidate asks for a vote.
    RequestVote(RequestVoteArgs),
    /// The leader replicates entries. Without entries it is a heartbeat.
    AppendEntries(AppendEntriesArgs),
    /// The leader replaces entries that it no longer has.
    InstallSnapshot(InstallSnapshotArgs),
    /// Beyond the lab: a server asks whether it would get a vote.
    PreVote(PreVoteArgs),
    /// Beyond the lab: the leader hands its leadership over.
    TimeoutNow(TimeoutNowArgs),
}

/// What the thread for a server does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It sends this message.
    Send(Message, Ticket),
    /// It waits until this moment, at the latest.
    WaitUntil(Instant),
    /// It waits until the role or the log changes, or a call ends.
    Wait,
}

/// How soon a server has to hear from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Urgency {
    /// We have nothing to send to it.
    Nothing,
    /// The next heartbeat is soon enough.
    AtHeartbeat,
    /// Now.
    Now,
}

/// Identifies a message. Tickets are ordered by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// Counts all messages of this server, from 1.
    pub number: u64,
    /// When the message was sent.
    pub at: Instant,
    /// The sender's term at that time.
    pub term: u64,
}

/// What we have sent to a server in our current role.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// When the latest message was sent.
    pub at: Option<Instant>,
    /// The number of the latest message.
    pub number: u64,
    /// Whether a call got no reply, so that its contents may have to be sent again.
    pub unanswered: bool,
    /// The numbers of the calls that have no reply yet.
    pub in_flight: BTreeSet<u64>,
}

impl State {
    /// What to send to `peer`: requests for votes, entries, heartbeats "during idle periods to prevent election timeouts
    /// (§5.2)", and any of these again if no reply came.
    pub fn next_message(&mut self, peer: usize, now: Instant) -> Next {
        let urgency = self.urgency(peer);
        let sent = &self.sent[peer];
        if urgency == Urgency::Nothing || sent.in_flight.len() >= self.max_in_flight(peer) {
            return Next::Wait;
        }
        if let Some(at) = sent.at {
            let pause = match urgency {
                _ if sent.unanswered => self.options.retry,
                Urgency::Now => Duration::ZERO,
                _ => self.options.heartbeat,
            };
            if now < at + pause {
                return Next::WaitUntil(at + pause);
            }
        }
        let message = self.message(peer);
        Next::Send(message, self.issue_ticket(peer, now))
    }

    /// A candidate asks each server at once, and again until the server has answered (§5.5). A leader sends entries at once, and
    /// heartbeats between them.
    fn urgency(&self, peer: usize) -> Urgency {
        match &self.role {
            Role::Candidate { ballot, .. } | Role::PreCandidate { ballot }
                if self.log.members().contains(&peer) && !ballot.answered.contains(&peer) =>
            {
                Urgency::Now
            }
            Role::Leader { progress, .. } if self.replicates_to(peer) => {
                let has_entries = progress[peer].next_index <= self.log.last_index();
                match has_entries || self.beyond_is_urgent(peer) {
                    true => Urgency::Now,
                    false => Urgency::AtHeartbeat,
                }
            }
            _ => Urgency::Nothing,
        }
    }

    fn message(&mut self, peer: usize) -> Message {
        if let Some(message) = self.beyond_message(peer) {
            return message;
        }
        match self.role {
            Role::Leader { .. } => self.entries_or_snapshot(peer),
            _ => Message::RequestVote(self.request_vote_args()),
        }
    }

    fn issue_ticket(&mut self, peer: usize, now: Instant) -> Ticket {
        self.sends += 1;
        let ticket = Ticket { number: self.sends, at: now, term: self.current_term };
        let sent = &mut self.sent[peer];
        (sent.at, sent.number, sent.unanswered) = (Some(now), ticket.number, false);
        sent.in_flight.insert(ticket.number);
        ticket
    }

    /// "If last log index >= nextIndex for a follower: send AppendEntries RPC with log entries starting at
    /// nextIndex". §7: the leader sends the snapshot if those entries are no longer in its log.
    fn entries_or_snapshot(&mut self, peer: usize) -> Message {
        let Role::Leader { progress, .. } = &mut self.role else { unreachable!("only leaders") };
        let progress = &mut progress[peer];
        if progress.outgoing.is_some() || progress.next_index <= self.log.last_included_index() {
            progress.mode = Mode::Snapshot;
            return Message::InstallSnapshot(self.next_chunk(peer));
        }
        let (next_index, mode) = (progress.next_index, progress.mode);
        let args = self.append_entries_args(next_index);
        if let (Mode::Replicate, Role::Leader { progress, .. }) = (mode, &mut self.role) {
            progress[peer].next_index += args.entries.len() as u64;
        }
        Message::AppendEntries(args)
    }

    /// Notes that `peer` has replied to a message, whatever the reply says.
    pub fn note_answer(&mut self, peer: usize, ticket: Ticket) {
        self.calls_ended += 1;
        self.sent[peer].in_flight.remove(&ticket.number);
        self.beyond_note_answer(peer, ticket);
    }

    /// Notes that a call to `peer` got no reply. §5.5: servers "retry indefinitely".
    pub fn note_no_reply(&mut self, peer: usize, ticket: Ticket) {
        self.calls_ended += 1;
        if self.sent[peer].in_flight.remove(&ticket.number) {
            self.sent[peer].unanswered = true;
            self.start_probing(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Server, at_ms, entries_sent, sent};
    use super::*;
    use labrpc::api::{Command, Refused};

    #[test]
    fn a_leader_sends_at_once_and_then_every_heartbeat_interval() {
        let mut state = Server::new(3).leader_of_term(1).build();
        let ticket = sent(&mut state, 1, at_ms(0));
        state.note_answer(1, ticket);
        assert_eq!(state.next_message(1, at_ms(10)), Next::WaitUntil(at_ms(100)));
        state.start(Command::default()).unwrap();
        let (entries, ticket) = entries_sent(&mut state, 20);
        assert_eq!(entries, 1..=1, "a command is replicated at once");
        assert_eq!(state.next_message(1, at_ms(25)), Next::Wait, "one call at a time");
        state.note_no_reply(1, ticket);
        assert_eq!(state.next_message(1, at_ms(30)), Next::WaitUntil(at_ms(50)));
        assert_eq!(entries_sent(&mut state, 50).0, 1..=1, "§5.5: retried");
    }

    #[test]
    fn a_follower_sends_nothing_and_accepts_no_commands() {
        let mut state = Server::new(3).build();
        assert_eq!(state.next_message(1, at_ms(0)), Next::Wait);
        let refused = state.start(Command::default());
        assert_eq!(refused, Err(Refused::NotLeader { leader: None }));
    }
}
