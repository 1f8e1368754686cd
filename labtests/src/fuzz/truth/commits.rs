//! Committed entries stay committed.

use super::super::machine::{Look, Members, Role, digest};
use super::{Broken, Step, Truth};

/// A committed entry.
pub(super) struct Committed {
    term: u64,
    content: u64,
    /// Every leader of a later term than this must have the entry.
    in_term: u64,
    /// A digest of the contents up to here.
    state: u64,
    changes_members: bool,
}

impl Truth {
    /// The index up to which entries are committed.
    pub fn commit_index(&self) -> u64 {
        self.committed.len() as u64
    }

    /// The digest of what a service that has applied everything up to `index` has seen.
    pub fn state_at(&self, index: u64) -> u64 {
        self.at(index).map_or(0, |committed| committed.state)
    }

    /// The term and the content of the committed entry at `index`.
    pub fn committed(&self, index: u64) -> Option<(u64, u64)> {
        self.at(index).map(|committed| (committed.term, committed.content))
    }

    /// How many configuration changes are committed.
    pub fn changes(&self) -> u64 {
        self.committed.iter().filter(|committed| committed.changes_members).count() as u64
    }

    fn at(&self, index: u64) -> Option<&Committed> {
        self.committed.get(index.checked_sub(1)? as usize)
    }

    /// Checks State Machine Safety for entries that this server newly considers committed, and Leader Completeness for entries
    /// that no server considered committed before.
    pub(super) fn check_commits(&mut self, step: &Step<'_>, all: &[Look]) -> Result<(), Broken> {
        let (server, after) = (step.server, step.after);
        let from = step.before.map_or(after.base.index, |before| before.commit_index);
        if after.base.index > self.commit_index() {
            return Err(format!(
                "S{server} has a snapshot up to index {}, but entries are committed only up to index {}. A snapshot covers only \
                 committed entries (§7)",
                after.base.index,
                self.commit_index()
            ));
        }
        if self.at(after.base.index).is_some_and(|at| at.term != after.base.term) {
            return Err(format!(
                "S{server} has a snapshot up to index {} of term {}, but the committed entry at that index is of term {} (§7)",
                after.base.index,
                after.base.term,
                self.committed[after.base.index as usize - 1].term
            ));
        }
        let known = self.commit_index();
        for index in from.max(after.base.index) + 1..=after.commit_index.min(known) {
            let entry = after.entry(index).map(|entry| (entry.term, entry.content));
            if entry != self.committed(index) {
                return Err(format!(
                    "S{server} considers the entry of term {} at index {index} committed, but an entry of term {} was committed \
                     at that index before (State Machine Safety, §5.4.3)",
                    after.term_at(index).unwrap_or_default(),
                    self.committed[index as usize - 1].term
                ));
            }
        }
        let in_term = after.term_at(after.commit_index).unwrap_or_default();
        for index in known + 1..=after.commit_index {
            let Some(entry) = after.entry(index) else { break };
            let state =
                digest(&[self.state_at(index - 1), entry.content].map(u64::to_le_bytes).concat());
            let (term, content) = (entry.term, entry.content);
            let changes_members = entry.members.is_some();
            self.committed.push(Committed { term, content, in_term, state, changes_members });
        }
        if self.commit_index() > known {
            let later = |look: &Look| look.role == Role::Leader && look.term > in_term;
            for (leader, look) in all.iter().enumerate().filter(|(_, look)| later(look)) {
                self.check_completeness(leader, look)?;
            }
        }
        Ok(())
    }

    /// "Leader Completeness: if a log entry is committed in a given term, then that entry will be present in the logs of the
    /// leaders for all higher-numbered terms" (Figure 3).
    pub(super) fn check_completeness(&self, leader: usize, look: &Look) -> Result<(), Broken> {
        let earlier = self.committed.iter().rposition(|it| it.in_term < look.term);
        let Some(index) = earlier.map(|position| position as u64 + 1) else { return Ok(()) };
        match self.has(look, index) {
            true => Ok(()),
            false => Err(format!(
                "S{leader} leads term {}, but it lacks the entry of term {} at index {index}, which was committed in term {} \
                 (Leader Completeness, §5.4.3)",
                look.term,
                self.committed[index as usize - 1].term,
                self.committed[index as usize - 1].in_term
            )),
        }
    }

    /// Whether the server has the committed entry at `index`.
    fn has(&self, look: &Look, index: u64) -> bool {
        let entry = look.entry(index).map(|entry| (entry.term, entry.content));
        index <= look.base.index || entry == self.committed(index)
    }

    /// No server that lacks a committed entry may be electable. This is more than the rule that no such leader was elected in
    /// this run. A server is electable if a majority of its members have logs that are no more up to date than its own
    /// (§5.4.1), because its election timeout may end at any time, and its messages may be the only ones that arrive.
    pub(super) fn check_nothing_can_be_lost(&self, all: &[Look]) -> Result<(), Broken> {
        let index = self.commit_index();
        for (candidate, look) in all.iter().enumerate() {
            let members = look.configuration();
            if self.has(look, index) || !members.contains(&candidate) {
                continue;
            }
            let grants = |voter: &&usize| all[**voter].log_end() <= look.log_end();
            let voters: Members = members.iter().filter(grants).copied().collect();
            if 2 * voters.len() > members.len() {
                return Err(format!(
                    "the entry of term {} at index {index} is committed, but S{candidate} lacks it and can be elected. Of the \
                     members in its configuration, {members:?}, the servers {voters:?} have logs that are no more up to date \
                     than its own. This breaks Leader Completeness (§5.4). Perhaps a leader committed an entry of an older term \
                     by counting its copies, which is not allowed (Figure 8)",
                    self.committed[index as usize - 1].term
                ));
            }
        }
        Ok(())
    }

    /// Checks that a majority has saved the newly committed entries. `saved` has the state of each server as it would be after
    /// a restart. `configurations` has the configurations that the server which committed the entries may have used.
    pub fn check_durable(&self, saved: &[Look], configurations: &[&Members]) -> Result<(), Broken> {
        let index = self.commit_index();
        let holders: Members = (0..saved.len()).filter(|s| self.has(&saved[*s], index)).collect();
        let is_majority =
            |members: &&Members| 2 * members.intersection(&holders).count() > members.len();
        match configurations.iter().any(is_majority) {
            true => Ok(()),
            false => Err(format!(
                "the entry at index {index} is committed, but after a restart only the servers {holders:?} would have it. These \
                 are not a majority of the members {:?}. A server must save its state before it responds (Figure 2, §5.3)",
                configurations[0]
            )),
        }
    }
}
