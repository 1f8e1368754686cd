//! How a new server catches up with the log, before it counts (thesis §4.2.1).
//!
//! "The replication of entries to the new server is split into rounds. Each round replicates all the log entries present in the
//! leader's log at the start of the round." The last round must be shorter than an election timeout, because the cluster may have
//! to wait for the new server for that long.
//!
//! While a server catches up, no other change is possible. So the leader gives up on a server that does not answer, and also on a
//! server that answers but makes no progress: it may restart again and again, and lose what it was sent.

use super::chunks::Outgoing;
use crate::raft::messages::{Sent, Ticket};
use crate::raft::state::{Progress, Role, State};
use labrpc::api::beyond::NotChanged;
use labrpc::time::Instant;
use std::cmp::Reverse;
use std::ops::ControlFlow::{self, Break, Continue};

/// How far a new server has caught up: its current round, and how far it has come in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatchUp {
    server: usize,
    /// The number of the round, from 1.
    round: u32,
    began: Instant,
    /// The end of the leader's log when the round began.
    up_to: u64,
    /// The furthest that the server has ever been, and when it got there.
    furthest: Reached,
    since: Instant,
}

/// How far a server is: its matchIndex, then its nextIndex (lower is further, because the leader is looking for the end of the
/// server's log), then the bytes that it has of a snapshot. A server that only gets again what it has lost makes no progress,
/// even if the snapshot is a newer one.
type Reached = (u64, Reverse<u64>, Option<usize>);

impl State {
    /// Forgets what the leader knows of `server` and has sent to it. If the server was a member before, it may have another disk
    /// now.
    pub(super) fn forget_progress(&mut self, server: usize) {
        if let Role::Leader { progress, .. } = &mut self.role {
            let next_index = self.log.last_index() + 1;
            progress[server] = Progress { since: self.sends, ..Progress::new(next_index) };
            self.sent[server] = Sent::default();
        }
    }

    /// Whether a message was sent before the leader forgot the progress of `peer`. Its reply says nothing about the server that is
    /// there now.
    pub fn precedes_membership(&self, peer: usize, ticket: Ticket) -> bool {
        matches!(&self.role, Role::Leader { progress, .. } if ticket.number <= progress[peer].since)
    }

    /// Begins the first round of `server`.
    pub(super) fn first_round(&self, server: usize, now: Instant) -> CatchUp {
        let (up_to, furthest) = (self.log.last_index(), self.reached(server));
        CatchUp { server, round: 1, began: now, up_to, furthest, since: now }
    }

    fn reached(&self, server: usize) -> Reached {
        let Role::Leader { progress, .. } = &self.role else { unreachable!("only leaders") };
        let Progress { match_index, next_index, outgoing, .. } = &progress[server];
        (*match_index, Reverse(*next_index), outgoing.as_ref().map(Outgoing::reached))
    }

    /// Checks how far the server is. Continues with `None` when it has caught up.
    pub(super) fn catch_up(
        &self,
        round: CatchUp,
        now: Instant,
    ) -> ControlFlow<NotChanged, Option<CatchUp>> {
        let reached = self.reached(round.server);
        let round = match reached > round.furthest {
            true => CatchUp { furthest: reached, since: now, ..round },
            false => round,
        };
        if reached.0 < round.up_to {
            return match self.gives_up(&round, now) {
                Some(why) => Break(why),
                None => Continue(Some(round)),
            };
        }
        match now.saturating_duration_since(round.began) < self.options.election_timeout.start {
            true => Continue(None),
            false if round.round >= self.options.catch_up_rounds => Break(NotChanged::TooSlow),
            false => {
                let (number, up_to) = (round.round + 1, self.log.last_index());
                Continue(Some(CatchUp { round: number, began: now, up_to, ..round }))
            }
        }
    }

    fn gives_up(&self, round: &CatchUp, now: Instant) -> Option<NotChanged> {
        let Role::Leader { progress, .. } = &self.role else { unreachable!("only leaders") };
        let answered = progress[round.server].answered;
        let heard = answered.map_or(round.began, |ticket| ticket.at.max(round.began));
        match () {
            () if now.saturating_duration_since(heard) > self.options.election_timeout.end => {
                Some(NotChanged::TooSlow)
            }
            () if now >= self.change_deadline(round.since) => Some(NotChanged::NoProgress),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::append_entries::{AppendEntriesReply, Conflict};
    use crate::raft::beyond::membership::ChangeRequest;
    use crate::raft::beyond::membership::tests::{leader, look, members};
    use crate::raft::calls::Reply;
    use crate::raft::install_snapshot::InstallSnapshotReply;
    use crate::raft::messages::{Message, Next};
    use crate::raft::tests::{Server, answer, at_ms, progress};
    use labrpc::api::{Command, Snapshot};

    #[test]
    fn a_server_that_lags_or_is_silent_is_not_added() {
        let mut state = leader();
        let mut adding = state.begin_change(ChangeRequest::Add(3), at_ms(0)).unwrap();
        assert_eq!(look(&mut state, &mut adding, 0), None);
        assert_eq!(look(&mut state, &mut adding, 1000), None);
        assert_eq!(look(&mut state, &mut adding, 1001), Some(Err(NotChanged::TooSlow)), "silent");
        assert!(!state.replicates_to(3));
        let mut adding = state.begin_change(ChangeRequest::Add(3), at_ms(0)).unwrap();
        assert_eq!(look(&mut state, &mut adding, 0), None);
        for round in 1..=10 {
            let last = state.log.last_index();
            state.start(Command::default()).unwrap();
            answer(&mut state, 3, at_ms(round * 600));
            state.note_match(3, last);
            let expected = (round == 10).then_some(Err(NotChanged::TooSlow));
            assert_eq!(look(&mut state, &mut adding, round * 600), expected, "round {round}");
        }
        assert_eq!(members(&state), [0, 1, 2]);
    }

    /// Thesis §4.2.1: an unavailable server is never added. Neither is a server that answers, but loses what it was sent, again and
    /// again.
    #[test]
    fn a_server_that_answers_but_makes_no_progress_is_given_up() {
        let mut state = Server::new(4).members(&[0, 1, 2]).leader_of_term(1).build();
        state.options.snapshot_chunk = Some(4);
        newer_snapshot(&mut state);
        let mut adding = state.begin_change(ChangeRequest::Add(3), at_ms(0)).unwrap();
        assert_eq!(look(&mut state, &mut adding, 0), None);
        lose_all(&mut state, 0);
        let pieces = [4, 0, 4, 8, 0, 4, 0]; // the bytes that it has; 0 after a restart
        for (ms, received) in (100..).step_by(100).zip(pieces.into_iter().cycle()) {
            newer_snapshot(&mut state); // after a loss, it gets the newest one
            let Next::Send(Message::InstallSnapshot(args), ticket) =
                state.next_message(3, at_ms(ms))
            else {
                panic!("it needs the snapshot");
            };
            let reply = InstallSnapshotReply { term: 1, success: false, received };
            let message = Message::InstallSnapshot(args);
            state.handle_reply(3, ticket, &message, &Reply::InstallSnapshot(reply), at_ms(ms));
            match look(&mut state, &mut adding, ms) {
                None => assert!(ms < 5400, "it goes on for ever"),
                Some(result) => {
                    let furthest = 400; // when it had 8 bytes
                    assert_eq!((ms, result), (furthest + 5000, Err(NotChanged::NoProgress)));
                    break;
                }
            }
        }
        assert!(state.begin_transfer(1, at_ms(9_000)).is_ok(), "no change is under way");
    }

    /// A command is committed, and the service makes a snapshot.
    fn newer_snapshot(state: &mut State) {
        let index = state.start(Command::default()).unwrap().index;
        state.note_match(1, index);
        state.take_committed();
        state.snapshot(index, Snapshot::from(vec![7; 100]));
    }

    /// Server 3 rejects entries, because its log is empty.
    fn lose_all(state: &mut State, ms: u64) {
        let Next::Send(message, ticket) = state.next_message(3, at_ms(ms)) else {
            panic!("it catches up");
        };
        let conflict = Some(Conflict { term: None, index: 1 });
        let reply = AppendEntriesReply { term: 1, success: false, conflict };
        state.handle_reply(3, ticket, &message, &Reply::AppendEntries(reply), at_ms(ms));
    }

    /// A machine may be replaced by an empty machine of the same name.
    #[test]
    fn entries_that_a_server_had_before_its_removal_do_not_count() {
        let mut state = leader();
        for (request, index) in [(ChangeRequest::Add(3), 2), (ChangeRequest::Remove(3), 3)] {
            let mut handle = state.begin_change(request, at_ms(0)).unwrap();
            look(&mut state, &mut handle, 0);
            (1..=3).for_each(|peer| state.note_match(peer, index - 1));
            look(&mut state, &mut handle, 0);
            (1..=3).for_each(|peer| state.note_match(peer, index));
            assert_eq!(look(&mut state, &mut handle, 0), Some(Ok(())), "{request:?}");
        }
        let mut adding = state.begin_change(ChangeRequest::Add(3), at_ms(1)).unwrap();
        assert_eq!(look(&mut state, &mut adding, 1), None, "it has to catch up again");
        assert_eq!((progress(&state)[3].match_index, progress(&state)[3].answered), (0, None));
        lose_all(&mut state, 2);
        assert_eq!(progress(&state)[3].next_index, 1, "it gets everything");
    }

    #[test]
    fn replies_from_an_earlier_membership_tell_only_their_term() {
        let mut state = leader();
        let mut again = state.begin_change(ChangeRequest::Add(3), at_ms(0)).unwrap();
        look(&mut state, &mut again, 0);
        let Next::Send(message, ticket) = state.next_message(3, at_ms(0)) else {
            panic!("it catches up");
        };
        let reply = |term| AppendEntriesReply { term, success: true, conflict: None };
        assert_eq!(look(&mut state, &mut again, 9_000), Some(Err(NotChanged::TooSlow)));
        state.begin_change(ChangeRequest::Add(3), at_ms(1)).unwrap();
        state.handle_reply(3, ticket, &message, &Reply::AppendEntries(reply(1)), at_ms(2));
        assert_eq!((progress(&state)[3].match_index, progress(&state)[3].answered), (0, None));
        state.handle_reply(3, ticket, &message, &Reply::AppendEntries(reply(2)), at_ms(3));
        assert_eq!((state.current_term, state.is_leader()), (2, false));
    }
}
