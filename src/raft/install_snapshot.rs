//! Figure 13, "InstallSnapshot RPC": "invoked by leader to send chunks of a snapshot to a follower". And the service's own
//! snapshots (§7).
//!
//! As in the lab, a snapshot goes in one piece, unless [`Options::snapshot_chunk`](super::Options::snapshot_chunk) says otherwise.
//! Then the follower says how much of it has come, for a piece may get lost, and the leader goes on from there.

use super::membership::Members;
use super::state::{Role, State};
use labrpc::api::Snapshot;
use labrpc::time::Instant;
use serde::{Deserialize, Serialize};

/// "Arguments".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "InstallSnapshot")]
pub struct InstallSnapshotArgs {
    /// "Leader's term".
    pub term: u64,
    /// "So follower can redirect clients".
    pub leader_id: usize,
    /// "The snapshot replaces all entries up through and including this index".
    pub last_included_index: u64,
    /// "Term of lastIncludedIndex".
    pub last_included_term: u64,
    /// "Latest cluster configuration as of lastIncludedIndex" (thesis, Figure 5.3).
    pub members: Members,
    /// "Byte offset where chunk is positioned in the snapshot file".
    pub offset: u64,
    /// "Raw bytes of the snapshot chunk, starting at offset".
    pub data: Snapshot,
    /// "True if this is the last chunk".
    pub done: bool,
}

/// "Results".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Installed")]
pub struct InstallSnapshotReply {
    /// "currentTerm, for leader to update itself".
    pub term: u64,
    /// Whether the follower has everything that the snapshot covers.
    pub success: bool,
    /// If not, how many of its bytes it has.
    pub received: u64,
}

/// A snapshot on its way to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    index: u64,
    term: u64,
    members: Members,
    data: Snapshot,
    /// How much of it the server has.
    received: usize,
}

impl Outgoing {
    /// How many bytes of it the server has.
    pub(super) fn reached(&self) -> usize {
        self.received
    }
}

/// A snapshot that comes in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// From the leader of which term, and up to which index: pieces of two snapshots make none.
    from: (u64, u64),
    data: Vec<u8>,
}

impl State {
    /// What the leader sends next to a server that needs entries which are no longer in the log.
    pub(super) fn next_piece(&mut self, peer: usize) -> InstallSnapshotArgs {
        let latest = self.outgoing();
        let Role::Leader { progress, .. } = &mut self.role else { unreachable!("only leaders") };
        // One that has begun to arrive is finished, or a busy service would start it over and over again.
        let begun = progress[peer].outgoing.take().filter(|outgoing| outgoing.received > 0);
        let Outgoing { index, term, members, data, received } =
            progress[peer].outgoing.insert(begun.unwrap_or(latest)).clone();
        let rest = data.len() - received;
        let chunk = self.options.snapshot_chunk.unwrap_or(rest).min(rest);
        InstallSnapshotArgs {
            term: self.current_term,
            leader_id: self.me,
            last_included_index: index,
            last_included_term: term,
            members,
            offset: received as u64,
            done: chunk == rest,
            data: match chunk == data.len() {
                true => data,
                false => Snapshot::from(data[received..received + chunk].to_vec()),
            },
        }
    }

    fn outgoing(&self) -> Outgoing {
        Outgoing {
            index: self.log.last_included_index(),
            term: self.log.last_included_term(),
            members: self.log.members_in_snapshot().clone(),
            data: self.disk.snapshot(),
            received: 0,
        }
    }

    /// "Receiver implementation".
    pub fn handle_install_snapshot(
        &mut self,
        args: InstallSnapshotArgs,
        now: Instant,
    ) -> InstallSnapshotReply {
        if self.refuses(&args) {
            return InstallSnapshotReply { term: self.current_term, success: false, received: 0 };
        }
        self.update_term(args.term, now);
        // 1. "Reply immediately if term < currentTerm".
        let (mut success, mut received) = (false, 0);
        if args.term == self.current_term {
            debug_assert!(!self.is_leader(), "Election Safety: another server leads our term");
            self.hear_leader(args.leader_id, now);
            // What we have committed, we have or shall have applied: an older snapshot would take us back.
            success = args.last_included_index <= self.commit_index;
            if success {
                self.drop_pieces(self.commit_index);
            } else {
                received = self.receive(&args);
                if let Some(data) = self.complete(&args, received) {
                    self.install(args, data);
                    success = true;
                }
            }
        }
        self.persist();
        InstallSnapshotReply { term: self.current_term, success, received }
    }

    /// Steps 2 to 4: "Create new snapshot file if first chunk (offset is 0)"; "Write data into snapshot file at given offset"; "Reply
    /// and wait for more data chunks if done is false". Gives back how much there is of it.
    fn receive(&mut self, args: &InstallSnapshotArgs) -> u64 {
        let from = (args.term, args.last_included_index);
        let incoming = self.incoming.take().filter(|incoming| incoming.from == from);
        let mut incoming = incoming.unwrap_or(Incoming { from, data: Vec::new() });
        // A piece that comes twice, or that follows a lost one, adds nothing.
        if args.offset == incoming.data.len() as u64 {
            incoming.data.extend_from_slice(&args.data);
        }
        self.incoming.insert(incoming).data.len() as u64
    }

    /// Drops pieces that nobody goes on with: the leader of their term has gone, or the log agrees with its leader's up to where they end.
    pub(super) fn drop_pieces(&mut self, log_agrees_to: u64) {
        let term = self.current_term;
        self.incoming.take_if(|Incoming { from: (leader_term, index), .. }| {
            *leader_term < term || *index <= log_agrees_to
        });
    }

    fn complete(&mut self, args: &InstallSnapshotArgs, received: u64) -> Option<Snapshot> {
        let whole = args.done && received == args.offset + args.data.len() as u64;
        let incoming = self.incoming.take_if(|_| whole)?;
        Some(Snapshot::from(incoming.data))
    }

    fn install(&mut self, args: InstallSnapshotArgs, data: Snapshot) {
        let (index, term) = (args.last_included_index, args.last_included_term);
        if self.log.term_at(index) == Some(term) {
            // 6. "If existing log entry has same index and term as snapshot's last included entry, retain log
            //    entries following it and reply". But the service needs the snapshot all the same: the entries that
            //    it covers are no longer here to be applied one by one.
            self.log.compact_to(index, term);
        } else {
            // 7. "Discard the entire log".
            self.log.restart_at(index, term, args.members);
        }
        self.commit_index = index;
        // 5. "Save snapshot file".
        self.persist_with_snapshot(data.clone());
        // 8. "Reset state machine using snapshot contents": the applier's next message.
        self.snapshot_to_apply = Some(data);
    }

    /// What the leader does with a reply: the server now has what the snapshot covers, or so much of it.
    pub fn handle_install_snapshot_reply(
        &mut self,
        peer: usize,
        args: &InstallSnapshotArgs,
        reply: &InstallSnapshotReply,
        now: Instant,
    ) {
        if !self.is_current_reply(args.term, reply.term, now) {
            return;
        }
        if let Role::Leader { progress, .. } = &mut self.role
            && let Some(outgoing) = &mut progress[peer].outgoing
            && outgoing.index == args.last_included_index
        {
            outgoing.received = (outgoing.data.len() as u64).min(reply.received) as usize;
            if reply.success {
                progress[peer].outgoing = None;
            }
        }
        if reply.success {
            self.note_match(peer, args.last_included_index);
        }
    }

    /// The service has made a snapshot of everything up to `index` (§7: "each server takes snapshots
    /// independently").
    pub fn snapshot(&mut self, index: u64, snapshot: Snapshot) {
        // It may be late, after a newer one from the leader; and of what it hasn't got it can't have made one.
        if index <= self.log.last_included_index() || index > self.last_applied {
            return;
        }
        let Some(term) = self.log.term_at(index) else {
            return;
        };
        self.log.compact_to(index, term);
        self.persist_with_snapshot(snapshot);
    }
}

#[cfg(test)]
mod tests {
    use super::super::append_entries::AppendEntriesArgs;
    use super::super::log::{Entry, Payload};
    use super::super::tests::{Server, at_ms, entries, progress};
    use super::*;
    use labrpc::api::ApplyMsg;

    fn install(term: u64, index: u64, index_term: u64) -> InstallSnapshotArgs {
        InstallSnapshotArgs {
            term,
            leader_id: 1,
            last_included_index: index,
            last_included_term: index_term,
            members: Members::from([0, 1, 2]),
            offset: 0,
            data: Snapshot::from(vec![index as u8]),
            done: true,
        }
    }

    fn yes(term: u64) -> InstallSnapshotReply {
        InstallSnapshotReply { term, success: true, received: 0 }
    }

    #[test]
    fn step_1_an_old_leader_installs_nothing() {
        let mut state = Server::new(3).term(5).build();
        let reply = state.handle_install_snapshot(install(4, 9, 4), at_ms(0));
        assert_eq!((reply.term, state.log.last_included_index(), state.leader()), (5, 0, None));
    }

    #[test]
    fn step_6_what_follows_a_matching_entry_stays() {
        let mut state = Server::new(3).log(&[1, 1, 2, 2]).term(2).build();
        state.handle_install_snapshot(install(2, 3, 2), at_ms(0));
        assert_eq!((state.log.last_included_index(), state.log.last_index()), (3, 4));
    }

    #[test]
    fn step_7_a_log_that_differs_goes() {
        let mut state = Server::new(3).log(&[1, 1, 1, 1]).term(2).build();
        state.handle_install_snapshot(install(2, 3, 2), at_ms(0));
        assert_eq!((state.log.last_included_index(), state.log.last_index()), (3, 3));
        assert_eq!(state.log.last_term(), 2);
    }

    #[test]
    fn step_8_the_service_gets_the_snapshot_before_what_follows_it() {
        let mut state = Server::new(3).log(&[1, 1, 2, 2]).term(2).build();
        state.handle_install_snapshot(install(2, 3, 2), at_ms(0));
        state.commit_index = 4;
        let messages = state.take_committed();
        assert!(matches!(messages[0], ApplyMsg::Snapshot { index: 3, term: 2, .. }));
        assert!(matches!(messages[1], ApplyMsg::Command { index: 4, .. }));
        assert!(!state.has_unapplied());
    }

    #[test]
    fn an_old_snapshot_takes_nothing_back_but_resets_the_timer() {
        let mut state = Server::new(3).log(&[1, 1, 1, 1]).term(1).build();
        state.commit_index = 4;
        state.take_committed();
        state.handle_install_snapshot(install(1, 2, 1), at_ms(9_000));
        assert_eq!((state.log.last_included_index(), state.last_applied), (0, 4));
        assert!(!state.has_unapplied());
        assert!(state.election_deadline >= at_ms(9_500));
    }

    #[test]
    fn a_restart_finds_snapshot_and_log_together() {
        let mut state = Server::new(3).log(&[1, 1, 2]).term(2).build();
        state.commit_index = 3;
        state.take_committed();
        state.snapshot(2, Snapshot::from(vec![7]));
        let state = Server::restarted(&state);
        assert_eq!((state.log.last_included_index(), state.log.last_index()), (2, 3));
        assert_eq!((state.commit_index, state.last_applied), (2, 2));
        assert_eq!(&state.disk.snapshot()[..], [7]);
    }

    #[test]
    fn what_is_installed_is_committed_and_saved_with_its_log() {
        let mut state = Server::new(3).log(&[1]).term(2).build();
        state.handle_install_snapshot(install(2, 3, 2), at_ms(0));
        assert_eq!(state.commit_index, 3);
        let state = Server::restarted(&state);
        assert_eq!((state.log.last_included_index(), state.log.last_included_term()), (3, 2));
        assert_eq!(&state.disk.snapshot()[..], [3]);
    }

    #[test]
    fn the_term_at_the_edge_of_a_snapshot_is_known() {
        let state = Server::new(3).log(&[1, 2, 2, 3]).leader_of_term(4).snapshot_to(3).build();
        assert_eq!(state.append_entries_args(4).prev_log_term, 2);
    }

    #[test]
    fn a_reply_to_an_earlier_leadership_does_not_count() {
        let mut state = Server::new(3).log(&[1, 1, 1]).leader_of_term(4).build();
        state.handle_install_snapshot_reply(1, &install(1, 2, 1), &yes(1), at_ms(0));
        let progress = progress(&state);
        assert_eq!(progress[1].match_index, 0);
    }

    #[test]
    fn a_snapshot_of_what_is_not_applied_is_refused() {
        let mut state = Server::new(3).log(&[1, 1, 2]).term(2).build();
        state.snapshot(2, Snapshot::default());
        assert_eq!(state.log.last_included_index(), 0);
    }

    #[test]
    fn the_leader_goes_on_after_the_snapshot() {
        let mut state = Server::new(3).log(&[1, 1, 1]).leader_of_term(1).build();
        state.handle_install_snapshot_reply(1, &install(1, 2, 1), &yes(1), at_ms(0));
        let progress = progress(&state);
        assert_eq!((progress[1].match_index, progress[1].next_index), (2, 4));
        assert_eq!(state.commit_index, 2);
    }

    /// A leader that sends a snapshot of ten bytes in pieces of four, and its follower.
    struct Pieces {
        leader: State,
        follower: State,
    }

    impl Pieces {
        fn new() -> Pieces {
            let mut leader = Server::new(3).log(&[1, 1, 1]).leader_of_term(2).build();
            leader.options.snapshot_chunk = Some(4);
            leader.commit_index = 2;
            leader.take_committed();
            leader.snapshot(2, Snapshot::from((0..10).collect::<Vec<u8>>()));
            let mut follower = Server::new(3).build();
            follower.me = 1;
            Pieces { leader, follower }
        }

        /// Sends the next piece, which may get lost, or its answer.
        fn send(&mut self, arrives: bool, answered: bool) -> (u64, bool) {
            let args = self.leader.next_piece(1);
            let sent = (args.offset, args.done);
            if arrives {
                let reply = self.follower.handle_install_snapshot(args.clone(), at_ms(0));
                if answered {
                    self.leader.handle_install_snapshot_reply(1, &args, &reply, at_ms(0));
                }
            }
            sent
        }
    }

    #[test]
    fn a_snapshot_in_pieces_goes_on_where_it_was_lost() {
        let mut pieces = Pieces::new();
        assert_eq!(pieces.send(true, true), (0, false));
        assert_eq!(pieces.send(false, false), (4, false));
        assert_eq!(pieces.send(true, false), (4, false), "lost, and sent again");
        assert_eq!(pieces.send(true, true), (4, false), "came twice, and adds nothing");
        assert_eq!(pieces.follower.commit_index, 0);
        assert_eq!(pieces.send(true, true), (8, true));
        assert_eq!(pieces.follower.commit_index, 2);
        assert_eq!(&pieces.follower.disk.snapshot()[..], &(0..10).collect::<Vec<u8>>()[..]);
        assert_eq!(progress(&pieces.leader)[1].match_index, 2);
    }

    #[test]
    fn a_follower_that_has_lost_its_pieces_gets_them_again() {
        let mut pieces = Pieces::new();
        pieces.send(true, true);
        pieces.send(true, true);
        pieces.follower = Server::restarted(&pieces.follower);
        assert_eq!(pieces.send(true, true), (8, true));
        assert_eq!(pieces.follower.commit_index, 0, "the end alone is no snapshot");
        assert_eq!(pieces.send(true, true), (0, false));
        pieces.send(true, true);
        pieces.send(true, true);
        assert_eq!(pieces.follower.commit_index, 2);
    }

    /// A follower that has received a piece of a snapshot up to index 2, from the leader of term 2.
    fn half_here() -> State {
        let mut pieces = Pieces::new();
        pieces.send(true, true);
        assert!(pieces.follower.incoming.is_some());
        pieces.follower
    }

    #[test]
    fn pieces_that_nobody_goes_on_with_are_dropped() {
        let entries = |many: usize| AppendEntriesArgs {
            term: 2,
            leader_id: 0,
            prev_log_index: 0,
            prev_log_term: 0,
            entries: entries(&[1, 1][..many]),
            leader_commit: 0,
        };
        let mut state = half_here();
        state.handle_append_entries(entries(1), at_ms(0));
        assert!(state.incoming.is_some(), "index 2 isn't here yet");
        state.handle_append_entries(entries(2), at_ms(0));
        assert_eq!(state.incoming, None, "it has come as an entry");

        let mut state = half_here();
        state.update_term(3, at_ms(0));
        assert_eq!(state.incoming, None, "their leader has gone");
        let mut state = half_here();
        state.become_candidate(at_ms(0));
        assert_eq!(state.incoming, None, "their leader has gone");

        let mut state = half_here();
        state.log.append(Entry { term: 1, payload: Payload::NoOp });
        state.log.append(Entry { term: 1, payload: Payload::NoOp });
        state.commit_index = 2;
        let again = InstallSnapshotArgs { leader_id: 2, ..install(2, 2, 1) };
        assert!(state.handle_install_snapshot(again, at_ms(0)).success);
        assert_eq!(state.incoming, None, "what they cover is committed");
    }

    #[test]
    fn a_snapshot_that_has_begun_to_arrive_is_finished() {
        let mut pieces = Pieces::new();
        pieces.send(true, true);
        pieces.leader.commit_index = 3;
        pieces.leader.take_committed();
        pieces.leader.snapshot(3, Snapshot::from(vec![9; 10]));
        assert_eq!(pieces.send(true, true), (4, false));
        assert_eq!(pieces.send(true, true), (8, true));
        assert_eq!(pieces.follower.commit_index, 2);
        assert_eq!(pieces.send(true, true), (0, false), "and then the newer one");
    }
}
