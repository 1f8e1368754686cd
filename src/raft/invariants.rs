//! What must hold whenever the lock is released, checked in debug builds: of the state alone, and against what it
//! was when the lock was taken.

use super::state::{Role, State};
use super::threads::{RoleName, Seen};

impl State {
    /// Panics if an invariant is broken.
    pub(super) fn check_invariants(&self, before: &Seen) {
        let log = &self.log;
        assert!(self.current_term >= before.term, "terms never go back");
        if self.current_term == before.term && before.voted_for.is_some() {
            assert_eq!(self.voted_for, before.voted_for, "one vote a term (§5.2)");
        }
        assert!(self.commit_index >= before.commit_index, "what is committed stays so (§5.4)");
        assert!(self.last_applied >= before.last_applied, "nothing is applied twice");
        assert!(
            log.last_included_index() <= self.commit_index,
            "snapshots cover only what is committed (§7)"
        );
        assert!(self.commit_index <= log.last_index(), "what is committed is there");
        assert!(self.last_applied <= self.commit_index, "only what is committed is applied");
        assert!(log.last_term() <= self.current_term, "entries come from past and present terms");
        assert_eq!(
            self.snapshot_to_apply.is_some(),
            self.last_applied < log.last_included_index(),
            "a snapshot is handed over before the commands that follow it"
        );
        assert!(self.is_persisted(), "Figure 2: saved before responding to RPCs");
        if let Role::Leader { progress, .. } = &self.role {
            let leads_on = (before.role, before.term) == (RoleName::Leader, self.current_term);
            let grows = log.last_index() >= before.last_index;
            assert!(grows || !leads_on, "Leader Append-Only (Figure 3, §5.3)");
            assert_eq!(self.voted_for, Some(self.me), "a leader voted for itself");
            for (_, p) in progress.iter().enumerate().filter(|(peer, _)| *peer != self.me) {
                assert!(p.match_index < p.next_index, "what matches isn't sent again");
                assert!(p.match_index <= log.last_index(), "nobody matches what isn't there");
            }
        }
    }
}
