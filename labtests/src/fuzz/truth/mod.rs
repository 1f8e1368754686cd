//! The invariants. The fuzz sees all servers at once after every step, so they are exact: no message is interpreted.

mod commits;
mod logs;
mod promises;

use super::machine::{Look, Role};
use commits::Committed;
use std::collections::BTreeMap;

/// What all servers together have shown so far.
#[derive(Default)]
pub(super) struct Truth {
    /// Who led each term.
    leaders: BTreeMap<u64, usize>,
    /// Whom each server said it voted for, by server and term.
    votes: BTreeMap<(usize, u64), usize>,
    /// The highest term that each server has said.
    terms: BTreeMap<usize, u64>,
    /// Every entry that was in a log: by index and term, its content and the term of the entry before it.
    places: BTreeMap<(u64, u64), (u64, Option<u64>)>,
    /// The committed entries from index 1 on.
    committed: Vec<Committed>,
}

/// What a server was and is, before and after a step.
pub(super) struct Step<'a> {
    /// Whose step it was.
    pub server: usize,
    /// The same incarnation before the step; `None`: it has just started.
    pub before: Option<&'a Look>,
    /// After the step.
    pub after: &'a Look,
}

impl Step<'_> {
    /// Whether the server has become the leader of a term.
    pub fn elected(&self) -> bool {
        let led = |look: &Look| look.role == Role::Leader && look.term == self.after.term;
        self.after.role == Role::Leader && !self.before.is_some_and(led)
    }
}

/// A broken rule, in words.
pub(super) type Broken = String;

impl Truth {
    /// Checks a step; `all` are the servers' states after it, those of crashed servers as they would restart.
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

    /// A server has crashed. What it had not saved is gone.
    pub fn crashed(&self, server: usize, all: &[Look]) -> Result<(), Broken> {
        self.check_memory(server, &all[server])?;
        self.check_nothing_can_be_lost(all)
    }

    /// What one server must hold to by itself.
    fn check_server(&self, step: &Step<'_>) -> Result<(), Broken> {
        let (server, after) = (step.server, step.after);
        let (first, last) = (after.base.index, after.last_index());
        if !(first..=last).contains(&after.commit_index) {
            return Err(format!(
                "S{server} has commit index {}, but its log has indices {first} to {last}: what is committed is in the log or \
                 the snapshot, and snapshots cover only committed entries (§5.3, §7)",
                after.commit_index
            ));
        }
        if &after.members != after.configuration() {
            return Err(format!(
                "S{server} counts majorities of {:?}, but the latest configuration in its log is {:?}: a server uses that \
                 whether it is committed or not (thesis §4.1)",
                after.members,
                after.configuration()
            ));
        }
        let Some(before) = step.before else { return Ok(()) };
        if after.term < before.term {
            return Err(format!(
                "S{server} goes back from term {} to term {} (§5.1)",
                before.term, after.term
            ));
        }
        if after.commit_index < before.commit_index {
            return Err(format!(
                "S{server} lowers its commit index from {} to {} (Figure 2: \"increases monotonically\")",
                before.commit_index, after.commit_index
            ));
        }
        Ok(())
    }

    /// "Election Safety: at most one leader can be elected in a given term" (Figure 3), and Leader Completeness.
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
