//! Pipelining, and bounds on what a leader accepts and sends (thesis §10.2).
//!
//! A leader may send the next entries before the earlier ones are acknowledged. When a message is lost or refused, the leader goes
//! back to the last entry that the follower certainly has.

use crate::raft::append_entries::{AppendEntriesArgs, AppendEntriesReply};
use crate::raft::state::{Role, State};
use crate::raft::threads::Shared;
use labrpc::time::Instant;
use std::ops::ControlFlow::{Break, Continue};

/// What a leader sends to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One AppendEntries at a time, until the leader knows where the two logs agree. In the lab, the leader always does this.
    Probe,
    /// The next AppendEntries before the last one is acknowledged: nextIndex is ahead of what the server has confirmed.
    Replicate,
    /// A snapshot, one chunk at a time.
    Snapshot,
}

impl State {
    /// How many calls to `peer` may be without a reply at once.
    pub fn max_in_flight(&self, peer: usize) -> usize {
        match &self.role {
            Role::Leader { progress, .. } if progress[peer].mode == Mode::Replicate => {
                self.options.max_in_flight
            }
            _ => 1,
        }
    }

    /// Notes that `peer` has acknowledged entries. From now on, the leader may send it more entries before it acknowledges again.
    pub fn start_replicating(&mut self, peer: usize) {
        if let Role::Leader { progress, .. } = &mut self.role
            && self.options.max_in_flight > 1
        {
            progress[peer].mode = Mode::Replicate;
        }
    }

    /// Goes back to the last entry that `peer` certainly has, and to one message at a time, because `peer` lacks something. Calls
    /// that have no reply yet no longer count.
    pub fn start_probing(&mut self, peer: usize) {
        if let Role::Leader { progress, .. } = &mut self.role
            && progress[peer].mode == Mode::Replicate
        {
            progress[peer].mode = Mode::Probe;
            progress[peer].next_index = progress[peer].match_index + 1;
            self.sent[peer].in_flight.clear();
        }
    }

    /// Whether the leader accepts no command now, because too many wait to be committed.
    pub fn is_busy(&mut self) -> bool {
        let waiting = self.log.last_index() - self.commit_index;
        let busy = self.options.max_uncommitted.is_some_and(|most| waiting >= most);
        if busy {
            // Entries of an earlier leader are not committed before an entry of our own term.
            self.commits_in_its_term();
        }
        busy
    }

    /// Whether entries that arrived at `came` wait for the entries before them, which may still be on their way.
    pub fn waits_for_earlier(&self, args: &AppendEntriesArgs, came: Instant, now: Instant) -> bool {
        let gap = args.prev_log_index > self.log.last_index();
        let from_our_leader =
            args.term == self.current_term && self.leader() == Some(args.leader_id);
        gap && from_our_leader && now < came + self.options.overtaking && !self.killed
    }
}

/// Handles AppendEntries. Entries that have overtaken earlier ones on the network wait for the earlier ones, but only for a
/// moment.
pub(in crate::raft) fn append_in_order(
    shared: &Shared,
    args: AppendEntriesArgs,
) -> AppendEntriesReply {
    let (mut args, came) = (Some(args), Instant::now());
    shared.until(|state, now| {
        match args.take_if(|args| !state.waits_for_earlier(args, came, now)) {
            Some(args) => Break(state.handle_append_entries(args, now)),
            None => Continue(Some(came + state.options.overtaking)),
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::raft::messages::Next;
    use crate::raft::state::State;
    use crate::raft::tests::{Server, at_ms, entries_sent, progress};
    use labrpc::api::{Command, Refused};

    /// A leader with twenty entries. It sends two entries in each message, and up to three messages at once. Server 1 has
    /// acknowledged the first two entries.
    fn streaming() -> State {
        let mut state = Server::new(3).leader_of_term(1).build();
        (state.options.max_in_flight, state.options.max_batch) = (3, 16);
        for _ in 0..20 {
            state.start(Command::default()).unwrap();
        }
        let (entries, ticket) = entries_sent(&mut state, 0);
        assert_eq!(entries, 1..=2);
        assert_eq!(
            state.next_message(1, at_ms(0)),
            Next::Wait,
            "one at first, to see where logs agree"
        );
        state.note_answer(1, ticket);
        state.note_match(1, 2);
        state
    }

    #[test]
    fn a_leader_sends_several_messages_before_it_is_answered() {
        let mut state = streaming();
        let sent: Vec<_> = (0..3).map(|_| entries_sent(&mut state, 1)).collect();
        let ranges: Vec<_> = sent.iter().map(|(range, _)| range.clone()).collect();
        assert_eq!(ranges, [3..=4, 5..=6, 7..=8]);
        assert_eq!(state.next_message(1, at_ms(1)), Next::Wait);
        state.note_answer(1, sent[1].1); // replies overtake one another
        state.note_match(1, 6);
        assert_eq!(entries_sent(&mut state, 2).0, 9..=10);
    }

    #[test]
    fn after_a_lost_message_the_leader_goes_back_to_what_is_acknowledged() {
        let mut state = streaming();
        let sent: Vec<_> = (0..3).map(|_| entries_sent(&mut state, 1)).collect();
        state.note_no_reply(1, sent[0].1);
        assert_eq!(progress(&state)[1].next_index, 3);
        assert_eq!(entries_sent(&mut state, 31).0, 3..=4);
        assert_eq!(state.next_message(1, at_ms(61)), Next::Wait, "one at a time, until it answers");
        state.note_no_reply(1, sent[1].1);
        assert_eq!(state.next_message(1, at_ms(61)), Next::Wait, "that call no longer counts");
    }

    #[test]
    fn a_leader_accepts_more_commands_when_earlier_ones_are_committed() {
        let mut state = Server::new(3).leader_of_term(1).build();
        state.options.max_uncommitted = Some(2);
        let start = |state: &mut State| state.start(Command::default()).map(|at| at.index);
        assert_eq!([start(&mut state), start(&mut state)], [Ok(1), Ok(2)]);
        assert_eq!(start(&mut state), Err(Refused::Busy));
        state.note_match(1, 1);
        assert_eq!(start(&mut state), Ok(3));
    }

    #[test]
    fn a_new_leader_commits_earlier_entries_before_it_accepts_commands() {
        let mut state = Server::new(3).log(&[1, 1]).leader_of_term(2).build();
        state.options.max_uncommitted = Some(2);
        assert_eq!(state.start(Command::default()), Err(Refused::Busy));
        assert_eq!(state.log.last_term(), 2, "earlier entries are committed with a no-op");
        state.note_match(1, 3);
        assert!(state.start(Command::default()).is_ok());
    }
}
