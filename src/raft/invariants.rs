//! The invariants that hold whenever the lock is released. Debug builds check them. Some concern the state alone; others compare
//! it with the state when the lock was taken.

use super::state::{Role, State};
use super::threads::{RoleName, Seen};

impl State {
    /// Panics if an invariant is broken.
    pub(super) fn check_invariants(&self, before: &Seen) {
        let log = &self.log;
        assert!(self.current_term >= before.term, "the term never goes back");
        if self.current_term == before.term && before.voted_for.is_some() {
            assert_eq!(self.voted_for, before.voted_for, "a server votes once a term (§5.2)");
        }
        assert!(
            self.commit_index >= before.commit_index,
            "committed entries stay committed (§5.4)"
        );
        assert!(self.last_applied >= before.last_applied, "no entry is applied twice");
        assert!(
            log.last_included_index() <= self.commit_index,
            "a snapshot covers only committed entries (§7)"
        );
        assert!(self.commit_index <= log.last_index(), "committed entries are in the log");
        assert!(self.last_applied <= self.commit_index, "only committed entries are applied");
        assert!(log.last_term() <= self.current_term, "no entry is of a later term than ours");
        assert_eq!(
            self.snapshot_to_apply.is_some(),
            self.last_applied < log.last_included_index(),
            "a snapshot waits for the service exactly if it covers unapplied entries"
        );
        assert!(self.is_persisted(), "state is saved before responding to RPCs (Figure 2)");
        if let Role::Leader { progress, .. } = &self.role {
            let leads_on = (before.role, before.term) == (RoleName::Leader, self.current_term);
            let grows = log.last_index() >= before.last_index;
            assert!(grows || !leads_on, "Leader Append-Only (Figure 3, §5.3)");
            assert_eq!(self.voted_for, Some(self.me), "a leader has voted for itself");
            for (_, p) in progress.iter().enumerate().filter(|(peer, _)| *peer != self.me) {
                assert!(p.match_index < p.next_index, "an acknowledged entry isn't sent again");
                assert!(
                    p.match_index <= log.last_index(),
                    "every matchIndex is in the leader's log"
                );
            }
        }
    }
}
