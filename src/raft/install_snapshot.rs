//! Figure 13, "InstallSnapshot RPC": "invoked by leader to send chunks of a snapshot to a follower". And the service's own
//! snapshots (§7).
//!
//! As in the lab, a snapshot is sent in one message. Sending it in several messages is beyond the lab: see
//! [`chunks`](super::beyond::chunks).

use super::log::Members;
use super::state::State;
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
    /// If not, how many bytes of the snapshot the follower has.
    pub received: u64,
}

impl State {
    /// "Receiver implementation".
    pub fn handle_install_snapshot(
        &mut self,
        args: InstallSnapshotArgs,
        now: Instant,
    ) -> InstallSnapshotReply {
        if self.beyond_refuses(&args, now) {
            return InstallSnapshotReply { term: self.current_term, success: false, received: 0 };
        }
        self.update_term(args.term, now);
        // 1. "Reply immediately if term < currentTerm".
        let (mut success, mut received) = (false, 0);
        if args.term == self.current_term {
            debug_assert!(!self.is_leader(), "Election Safety: another server leads our term");
            self.hear_leader(args.leader_id, now);
            // If everything that the snapshot covers is committed here, we have applied it or will apply it. Such a snapshot
            // would set the service back to an older state.
            success = args.last_included_index <= self.commit_index;
            if success {
                self.drop_chunks(self.commit_index);
            } else {
                // Steps 2 to 4 are about chunks. In the lab, the first chunk is the whole snapshot.
                let whole;
                (received, whole) = self.receive_chunk(&args);
                if let Some(data) = whole {
                    self.install(args, data);
                    success = true;
                }
            }
        }
        self.persist();
        InstallSnapshotReply { term: self.current_term, success, received }
    }

    fn install(&mut self, args: InstallSnapshotArgs, data: Snapshot) {
        let (index, term) = (args.last_included_index, args.last_included_term);
        if self.log.term_at(index) == Some(term) {
            // 6. "If existing log entry has same index and term as snapshot's last included entry, retain log
            //    entries following it and reply". But the service still needs the snapshot: the log now drops
            //    the entries that the snapshot covers, so they cannot be applied one by one.
            self.log.compact_to(index, term);
        } else {
            // 7. "Discard the entire log".
            self.log.restart_at(index, term, args.members);
        }
        self.commit_index = index;
        // 5. "Save snapshot file".
        self.persist_with_snapshot(data.clone());
        // 8. "Reset state machine using snapshot contents": the applier sends this next.
        self.snapshot_to_apply = Some(data);
    }

    /// What the leader does with the reply of a follower, which now has the snapshot or some bytes of it.
    pub fn handle_install_snapshot_reply(
        &mut self,
        peer: usize,
        args: &InstallSnapshotArgs,
        reply: &InstallSnapshotReply,
        now: Instant,
    ) {
        if !self.observe_reply(args.term, reply.term, now) {
            return;
        }
        self.note_chunks(peer, args, reply);
        if reply.success {
            self.note_match(peer, args.last_included_index);
        }
    }

    /// The service has made a snapshot of everything up to `index` (§7: "each server takes snapshots
    /// independently").
    pub fn snapshot(&mut self, index: u64, snapshot: Snapshot) {
        // The service may be late: a newer snapshot may have come from the leader. And a snapshot cannot cover entries that the
        // service has not been given yet.
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
    use super::super::tests::{Server, at_ms, install, progress};
    use super::*;
    use labrpc::api::ApplyMsg;

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
    fn step_6_entries_after_a_matching_entry_are_retained() {
        let mut state = Server::new(3).log(&[1, 1, 2, 2]).term(2).build();
        state.handle_install_snapshot(install(2, 3, 2), at_ms(0));
        assert_eq!((state.log.last_included_index(), state.log.last_index()), (3, 4));
    }

    #[test]
    fn step_7_a_log_that_differs_is_discarded() {
        let mut state = Server::new(3).log(&[1, 1, 1, 1]).term(2).build();
        state.handle_install_snapshot(install(2, 3, 2), at_ms(0));
        assert_eq!((state.log.last_included_index(), state.log.last_index()), (3, 3));
        assert_eq!(state.log.last_term(), 2);
    }

    #[test]
    fn step_8_the_service_gets_the_snapshot_before_the_entries_after_it() {
        let mut state = Server::new(3).log(&[1, 1, 2, 2]).term(2).build();
        state.handle_install_snapshot(install(2, 3, 2), at_ms(0));
        state.commit_index = 4;
        let messages = state.take_committed();
        assert!(matches!(messages[0], ApplyMsg::Snapshot { index: 3, term: 2, .. }));
        assert!(matches!(messages[1], ApplyMsg::Command { index: 4, .. }));
        assert!(!state.has_unapplied());
    }

    #[test]
    fn an_old_snapshot_changes_nothing_but_resets_the_election_timer() {
        let mut state = Server::new(3).log(&[1, 1, 1, 1]).term(1).build();
        state.commit_index = 4;
        state.take_committed();
        state.handle_install_snapshot(install(1, 2, 1), at_ms(9_000));
        assert_eq!((state.log.last_included_index(), state.last_applied), (0, 4));
        assert!(!state.has_unapplied());
        assert!(state.election_deadline >= at_ms(9_500));
    }

    #[test]
    fn a_restart_restores_snapshot_and_log_together() {
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
    fn an_installed_snapshot_is_committed_and_saved_with_its_log() {
        let mut state = Server::new(3).log(&[1]).term(2).build();
        state.handle_install_snapshot(install(2, 3, 2), at_ms(0));
        assert_eq!(state.commit_index, 3);
        let state = Server::restarted(&state);
        assert_eq!((state.log.last_included_index(), state.log.last_included_term()), (3, 2));
        assert_eq!(&state.disk.snapshot()[..], [3]);
    }

    #[test]
    fn the_term_of_the_last_included_entry_is_known() {
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
    fn a_snapshot_of_entries_that_are_not_applied_is_refused() {
        let mut state = Server::new(3).log(&[1, 1, 2]).term(2).build();
        state.snapshot(2, Snapshot::default());
        assert_eq!(state.log.last_included_index(), 0);
    }

    #[test]
    fn a_follower_that_installed_a_snapshot_matches_up_to_its_end() {
        let mut state = Server::new(3).log(&[1, 1, 1]).leader_of_term(1).build();
        state.handle_install_snapshot_reply(1, &install(1, 2, 1), &yes(1), at_ms(0));
        let progress = progress(&state);
        assert_eq!((progress[1].match_index, progress[1].next_index), (2, 4));
        assert_eq!(state.commit_index, 2);
    }
}
