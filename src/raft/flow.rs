//! Who is sent what, and when: one message after the other, or several at once (thesis §10.2).
//!
//! A thread that has nothing else to do asks [`State::next_message`]. What is sent gets a [`Ticket`], for it may be answered
//! when everything has changed.

use super::append_entries::AppendEntriesArgs;
use super::install_snapshot::InstallSnapshotArgs;
use super::pre_vote::PreVoteArgs;
use super::request_vote::RequestVoteArgs;
use super::state::{Role, State};
use super::transfer::TimeoutNowArgs;
use labrpc::time::Instant;
use std::collections::BTreeSet;
use std::time::Duration;

/// What a candidate or leader has to say to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Asks whether it would get a vote.
    PreVote(PreVoteArgs),
    /// Asks for a vote.
    RequestVote(RequestVoteArgs),
    /// Replicates entries; without any, a heartbeat.
    AppendEntries(AppendEntriesArgs),
    /// Replaces entries that are no longer in the log.
    InstallSnapshot(InstallSnapshotArgs),
    /// Hands the leadership over.
    TimeoutNow(TimeoutNowArgs),
}

/// What is to be done for a server now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this.
    Send(Message, Ticket),
    /// Nothing before this moment.
    WaitUntil(Instant),
    /// Nothing until the role or the log changes, or a call ends.
    Wait,
}

/// Which message, in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// From 1.
    pub number: u64,
    /// When it was sent.
    pub at: Instant,
    /// In which term.
    pub term: u64,
}

/// What was sent to a server, in the current role.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// When something was sent last.
    pub at: Option<Instant>,
    /// The number of that.
    pub number: u64,
    /// A call got no reply, so what was in it may have to be sent again.
    pub unanswered: bool,
    /// The calls under way, by number.
    pub in_flight: BTreeSet<u64>,
}

/// How a leader sends entries to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One message at a time, until the logs are known to agree somewhere.
    Probe,
    /// The next before the last is answered: nextIndex runs ahead.
    Stream,
}

impl State {
    /// What to send to `peer`: requests for a vote, entries, heartbeats "during idle periods to prevent election
    /// timeouts (§5.2)", and all of them again if no reply came.
    pub fn next_message(&mut self, peer: usize, now: Instant) -> Next {
        let Some(pressing) = self.is_pressing(peer) else { return Next::Wait };
        let sent = &self.sent[peer];
        if sent.in_flight.len() >= self.most_in_flight(peer) {
            return Next::Wait;
        }
        if let Some(at) = sent.at {
            let pause = match (sent.unanswered, pressing) {
                (true, _) => self.options.retry,
                (false, true) => Duration::ZERO,
                (false, false) => self.options.heartbeat,
            };
            if now < at + pause {
                return Next::WaitUntil(at + pause);
            }
        }
        self.send(peer, now)
    }

    /// Whether there is something to say to `peer` that can't wait for the next heartbeat; `None`: there is nothing to say to it.
    fn is_pressing(&self, peer: usize) -> Option<bool> {
        match &self.role {
            Role::Follower { .. } => None,
            Role::PreCandidate { ballot } | Role::Candidate { ballot, .. } => {
                let asks = self.log.members().contains(&peer) && !ballot.answered.contains(&peer);
                asks.then_some(true)
            }
            Role::Leader { progress, reign } => {
                let entries = progress[peer].next_index <= self.log.last_index();
                let read = self.sent[peer].number <= reign.confirm;
                self.replicates_to(peer).then(|| entries || read || self.is_successor(peer))
            }
        }
    }

    fn most_in_flight(&self, peer: usize) -> usize {
        match &self.role {
            Role::Leader { progress, .. } if progress[peer].pace == Pace::Stream => {
                self.options.max_in_flight
            }
            _ => 1,
        }
    }

    fn send(&mut self, peer: usize, now: Instant) -> Next {
        let message = match &self.role {
            Role::Follower { .. } => return Next::Wait,
            Role::PreCandidate { .. } => Message::PreVote(self.pre_vote_args()),
            Role::Candidate { .. } => Message::RequestVote(self.request_vote_args()),
            Role::Leader { .. } if self.is_successor(peer) => self.call_successor(peer),
            Role::Leader { .. } => self.entries_or_snapshot(peer),
        };
        self.sends += 1;
        let ticket = Ticket { number: self.sends, at: now, term: self.current_term };
        let sent = &mut self.sent[peer];
        (sent.at, sent.number, sent.unanswered) = (Some(now), ticket.number, false);
        sent.in_flight.insert(ticket.number);
        Next::Send(message, ticket)
    }

    /// "If last log index >= nextIndex for a follower: send AppendEntries RPC with log entries starting at
    /// nextIndex"; §7: the snapshot, if those entries are no longer there.
    fn entries_or_snapshot(&mut self, peer: usize) -> Message {
        let Role::Leader { progress, .. } = &mut self.role else { unreachable!("only leaders") };
        let progress = &mut progress[peer];
        if progress.outgoing.is_some() || progress.next_index <= self.log.last_included_index() {
            progress.pace = Pace::Probe;
            return Message::InstallSnapshot(self.next_piece(peer));
        }
        let (next_index, pace) = (progress.next_index, progress.pace);
        let args = self.append_entries_args(next_index);
        if let (Pace::Stream, Role::Leader { progress, .. }) = (pace, &mut self.role) {
            progress[peer].next_index += args.entries.len() as u64;
        }
        Message::AppendEntries(args)
    }

    /// Whether entries that came at `came` are to wait for those before them, which may be on their way still.
    pub fn wait_for_earlier(&self, args: &AppendEntriesArgs, came: Instant, now: Instant) -> bool {
        let gap = args.prev_log_index > self.log.last_index();
        let theirs = args.term == self.current_term && self.leader() == Some(args.leader_id);
        gap && theirs && now < came + self.options.overtaking && !self.killed
    }

    /// A call to `peer` was answered: whatever the answer is, `peer` has heard us. A late vote says less: who votes for us need not
    /// have heard that we lead, and is still free to vote for another in the next term.
    pub fn is_answered(&mut self, peer: usize, ticket: Ticket) {
        self.calls_ended += 1;
        self.sent[peer].in_flight.remove(&ticket.number);
        if let Role::Leader { progress, reign } = &mut self.role
            && ticket.term == self.current_term
            && ticket.at >= reign.since
            && ticket.number > progress[peer].since
        {
            progress[peer].answered = progress[peer].answered.max(Some(ticket));
        }
    }

    /// A call to `peer` got no reply. §5.5: "retry indefinitely".
    pub fn no_reply(&mut self, peer: usize, ticket: Ticket) {
        self.calls_ended += 1;
        if self.sent[peer].in_flight.remove(&ticket.number) {
            self.sent[peer].unanswered = true;
            self.probe(peer);
        }
    }

    /// `peer` has what it was sent, so it may be sent more before it says so again.
    pub(super) fn stream(&mut self, peer: usize) {
        if let Role::Leader { progress, .. } = &mut self.role
            && self.options.max_in_flight > 1
        {
            progress[peer].pace = Pace::Stream;
        }
    }

    /// Something is missing at `peer`: back to what it has for certain, one message at a time. What is still under way counts no
    /// more.
    pub(super) fn probe(&mut self, peer: usize) {
        if let Role::Leader { progress, .. } = &mut self.role
            && progress[peer].pace == Pace::Stream
        {
            progress[peer].pace = Pace::Probe;
            progress[peer].next_index = progress[peer].match_index + 1;
            self.sent[peer].in_flight.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request_vote::RequestVoteReply;
    use super::super::tests::{Server, answer, at_ms, progress, sent};
    use super::*;
    use labrpc::api::{Command, Refused};

    /// What goes to server 1 now: the indices of the entries.
    fn entries_sent(state: &mut State, ms: u64) -> (std::ops::RangeInclusive<u64>, Ticket) {
        match state.next_message(1, at_ms(ms)) {
            Next::Send(Message::AppendEntries(args), ticket) => {
                let (first, many) = (args.prev_log_index + 1, args.entries.len() as u64);
                (first..=args.prev_log_index + many, ticket)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_leader_speaks_at_once_and_then_every_heartbeat() {
        let mut state = Server::new(3).leader_of_term(1).build();
        let ticket = sent(&mut state, 1, at_ms(0));
        state.is_answered(1, ticket);
        assert_eq!(state.next_message(1, at_ms(10)), Next::WaitUntil(at_ms(100)));
        state.start(Command::default()).unwrap();
        let (entries, ticket) = entries_sent(&mut state, 20);
        assert_eq!(entries, 1..=1, "a command is replicated at once");
        assert_eq!(state.next_message(1, at_ms(25)), Next::Wait, "one call at a time");
        state.no_reply(1, ticket);
        assert_eq!(state.next_message(1, at_ms(30)), Next::WaitUntil(at_ms(50)));
        assert_eq!(entries_sent(&mut state, 50).0, 1..=1, "§5.5: retried");
    }

    /// Thesis §6.4.1: a lease counts on who holds to the leader, and a voter doesn't yet.
    #[test]
    fn a_vote_that_comes_late_confirms_no_leader() {
        let mut state = Server::new(5).build();
        state.become_candidate(at_ms(0));
        let tickets: Vec<_> = (1..=4).map(|peer| sent(&mut state, peer, at_ms(0))).collect();
        let (args, yes) =
            (state.request_vote_args(), RequestVoteReply { term: 1, vote_granted: true });
        for peer in 1..=4 {
            state.is_answered(peer, tickets[peer - 1]);
            state.handle_request_vote_reply(peer, &args, &yes, at_ms(peer as u64));
        }
        assert!(state.is_leader());
        assert!(progress(&state).iter().all(|progress| progress.answered.is_none()));
        answer(&mut state, 4, at_ms(5));
        assert!(progress(&state)[4].answered.is_some());
    }

    #[test]
    fn a_follower_has_nothing_to_say_and_takes_no_commands() {
        let mut state = Server::new(3).build();
        assert_eq!(state.next_message(1, at_ms(0)), Next::Wait);
        let refused = state.start(Command::default());
        assert_eq!(refused, Err(Refused::NotLeader { leader: None }));
    }

    /// A leader that sends two entries at a time, and three messages at once; it has twenty, and the follower has none.
    fn streaming() -> State {
        let mut state = Server::new(3).leader_of_term(1).build();
        (state.options.max_in_flight, state.options.max_batch) = (3, 16);
        for _ in 0..20 {
            state.start(Command::default()).unwrap();
        }
        let (entries, ticket) = entries_sent(&mut state, 0);
        assert_eq!(entries, 1..=2);
        assert_eq!(state.next_message(1, at_ms(0)), Next::Wait, "first one, to see what is there");
        state.is_answered(1, ticket);
        state.note_match(1, 2);
        state
    }

    #[test]
    fn so_many_messages_are_under_way_at_once() {
        let mut state = streaming();
        let sent: Vec<_> = (0..3).map(|_| entries_sent(&mut state, 1)).collect();
        let ranges: Vec<_> = sent.iter().map(|(range, _)| range.clone()).collect();
        assert_eq!(ranges, [3..=4, 5..=6, 7..=8]);
        assert_eq!(state.next_message(1, at_ms(1)), Next::Wait);
        state.is_answered(1, sent[1].1); // they overtake one another
        state.note_match(1, 6);
        assert_eq!(entries_sent(&mut state, 2).0, 9..=10);
    }

    #[test]
    fn a_lost_or_rejected_message_leads_back_to_what_is_certain() {
        let mut state = streaming();
        let sent: Vec<_> = (0..3).map(|_| entries_sent(&mut state, 1)).collect();
        state.no_reply(1, sent[0].1);
        assert_eq!(progress(&state)[1].next_index, 3);
        assert_eq!(entries_sent(&mut state, 31).0, 3..=4);
        assert_eq!(state.next_message(1, at_ms(61)), Next::Wait, "one at a time, until it answers");
        state.no_reply(1, sent[1].1);
        assert_eq!(state.next_message(1, at_ms(61)), Next::Wait, "that one doesn't count any more");
    }

    #[test]
    fn a_leader_takes_so_many_commands_and_more_when_they_are_committed() {
        let mut state = Server::new(3).leader_of_term(1).build();
        state.options.max_uncommitted = Some(2);
        let start = |state: &mut State| state.start(Command::default()).map(|at| at.index);
        assert_eq!([start(&mut state), start(&mut state)], [Ok(1), Ok(2)]);
        assert_eq!(start(&mut state), Err(Refused::Busy));
        state.note_match(1, 1);
        assert_eq!(start(&mut state), Ok(3));
    }

    #[test]
    fn a_new_leader_commits_what_waits_before_it_takes_more() {
        let mut state = Server::new(3).log(&[1, 1]).leader_of_term(2).build();
        state.options.max_uncommitted = Some(2);
        assert_eq!(state.start(Command::default()), Err(Refused::Busy));
        assert_eq!(state.log.last_term(), 2, "a no-op, with which they are committed");
        state.note_match(1, 3);
        assert!(state.start(Command::default()).is_ok());
    }
}
