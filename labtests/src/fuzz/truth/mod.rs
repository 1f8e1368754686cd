//! The invariants. The fuzz sees all servers at once after every step, so the invariants are exact: no message has to be
//! interpreted.

mod commits;
mod logs;
mod promises;

use super::machine::{Look, Role};
use commits::Committed;
use std::collections::BTreeMap;

/// What all servers together have shown so far.
#[derive(Default)]
pub(super) struct Truth {
    /// The leader of each term.
    leaders: BTreeMap<u64, usize>,
    /// The vote that each server told others, by server and term.
    votes: BTreeMap<(usize, u64), usize>,
    /// The highest term that each server told others.
    terms: BTreeMap<usize, u64>,
    /// Every entry that was in any log: by index and term, its content and the term of the entry before it.
    places: BTreeMap<(u64, u64), (u64, Option<u64>)>,
    /// The committed entries, starting at index 1.
    committed: Vec<Committed>,
}

/// The state of a server before and after a step.
pub(super) struct Step<'a> {
    /// The server that made the step.
    pub server: usize,
    /// The state of the same incarnation before the step; `None`: the server has just started.
    pub before: Option<&'a Look>,
    /// The state after the step.
    pub after: &'a Look,
}

impl Step<'_> {
    /// Whether the server has become the leader of a term.
    pub fn elected(&self) -> bool {
        let led = |look: &Look| look.role == Role::Leader && look.term == self.after.term;
        self.after.role == Role::Leader && !self.before.is_some_and(led)
    }
}

/// Describes a broken rule.
pub(super) type Broken = String;

impl Truth {
    /// Checks a step. `all` has the state of every server after it; for a crashed server, the state that it would have after a
    /// restart.
    pub fn observe(&mut self, step: &Step<'_>, all: &[Look]) -> Result<(), Broken> {
        self.check_server(step)?;
        self.check_election(step)?;
        self.check_log(step)?;
        self.check_change_of_members(step)?;
        self.check_commits(step, all)?;
        let log = |look: &Look| (look.commit_index, look.log_end());
        match step.before.is_some_and(|before| log(before) == log(step.after)) {
            true => Ok(()),
            false => self.check_nothing_can_be_lost(all),
        }
    }

    /// A server has crashed. Everything that it had not saved is lost.
    pub fn crashed(&self, server: usize, all: &[Look]) -> Result<(), Broken> {
        self.check_memory(server, &all[server])?;
        self.check_nothing_can_be_lost(all)
    }

    /// Checks the rules that concern only one server.
    fn check_server(&self, step: &Step<'_>) -> Result<(), Broken> {
        let (server, after) = (step.server, step.after);
        let (first, last) = (after.base.index, after.last_index());
        if !(first..=last).contains(&after.commit_index) {
            return Err(format!(
                "S{server} has commit index {}, but its log has indices {first} to {last}. Committed entries must be in the log \
                 or in the snapshot, and a snapshot covers only committed entries (§5.3, §7)",
                after.commit_index
            ));
        }
        if &after.members != after.configuration() {
            return Err(format!(
                "S{server} counts majorities of {:?}, but the latest configuration in its log is {:?}. A server must use the \
                 latest configuration in its log, committed or not (thesis §4.1)",
                after.members,
                after.configuration()
            ));
        }
        let Some(before) = step.before else { return Ok(()) };
        if after.term < before.term {
            return Err(format!(
                "S{server} went back from term {} to term {}. A server's term never decreases (§5.1)",
                before.term, after.term
            ));
        }
        if after.commit_index < before.commit_index {
            return Err(format!(
                "S{server} lowered its commit index from {} to {} (Figure 2: \"increases monotonically\")",
                before.commit_index, after.commit_index
            ));
        }
        Ok(())
    }

    /// Checks "Election Safety: at most one leader can be elected in a given term" (Figure 3), and Leader Completeness.
    fn check_election(&mut self, step: &Step<'_>) -> Result<(), Broken> {
        if !step.elected() {
            return Ok(());
        }
        let term = step.after.term;
        let leader = *self.leaders.entry(term).or_insert(step.server);
        if leader != step.server {
            return Err(format!(
                "S{} and S{leader} both lead term {term} (Election Safety, §5.2)",
                step.server
            ));
        }
        self.check_completeness(step.server, step.after)
    }
}
