//! What the tester sees of a server directly: what the server returns to the tester, and what it hands to its service.

use super::model::{Model, Verdict};
use crate::names::name;
use crate::reading::Place;
use labrpc::api::{ApplyMsg, Command, Inspection, Started};

impl Model {
    /// The highest term that a server has named so far. Pass it to [`Model::believes`].
    pub fn term_of(&self, i: usize) -> u64 {
        self.servers[i].term
    }

    /// A server's `get_state` returned this. When it was called, the server had already named term `before`.
    pub fn believes(&mut self, i: usize, before: u64, term: u64, leads: bool) -> Verdict {
        if term < before {
            return Err(format!(
                "get_state() of {0} returned term {term}, but {0} had already named term {before} before the call. A server's \
                 term never decreases (§5.1). Election Safety (Figure 3) rests on this rule",
                name(i)
            ));
        }
        self.servers[i].speaks_of(term);
        if leads && self.servers.len() > 1 {
            self.leads(i, term, "says that it leads")
        } else {
            Ok(())
        }
    }

    /// A server accepted a command.
    pub fn takes(&mut self, i: usize, started: Started, command: &Command) -> Verdict {
        let Started { index, term } = started;
        let place = Place { index, term };
        if self.servers.len() > 1 {
            self.leads(i, term, "accepted a command as the leader of")?;
        }
        let counts = self.numbers_agree();
        if counts && self.servers.len() > 1 {
            self.is_of_leaders_log(term, place)?;
        }
        let last = self.leaderships.get(&term).map(|leadership| leadership.last).filter(|_| counts);
        let before = last.filter(|last| last.index + 1 == index).map(|last| last.term);
        self.history.started(place, before, command).map_err(|what| {
            format!("{}: {what}. This breaks Leader Append-Only (Figure 3, §5.3)", name(i))
        })?;
        if counts {
            self.has(term, place);
        }
        Ok(())
    }

    /// Server `i` refused a command and named `leader` as the leader. It must not name itself if it has never led.
    pub fn refuses(&self, i: usize, leader: usize) -> Verdict {
        // A server that has led may not know yet that another server leads now.
        if leader != i || self.leaderships.values().any(|leadership| leadership.leader == i) {
            return Ok(());
        }
        Err(format!(
            "{0} refuses a command because it is not the leader, but it names itself, {0}, as the leader. A follower must name \
             the leader that it hears (leaderId: \"so follower can redirect clients\", Figure 2), or no server",
            name(i)
        ))
    }

    /// A server hands this message to its service.
    pub fn applies(&mut self, i: usize, incarnation: u64, message: &ApplyMsg) -> Verdict {
        let server = &self.servers[i];
        if !server.alive || server.incarnation != incarnation {
            return Ok(());
        }
        let (index, term, command) = match message {
            ApplyMsg::Command { index, term, command } => (*index, *term, Some(command)),
            ApplyMsg::Snapshot { index, term, .. } | ApplyMsg::Internal { index, term } => {
                (*index, *term, None)
            }
            _ => return Ok(()),
        };
        if let Some(command) = command
            && let Some(taken) = self.history.command(Place { index, term })
            && taken != command
        {
            return Err(format!(
                "{} applies a command at index {index} of term {term}, but start() had returned that index and term for a \
                 different command",
                name(i)
            ));
        }
        if !self.numbers_agree() {
            return Ok(());
        }
        self.servers[i].commit_index = self.servers[i].commit_index.max(index);
        self.seen.replicated |=
            self.leaderships.get(&term).is_some_and(|leadership| leadership.leader != i);
        self.commits(i, u64::MAX, index, Some(term), "applies")
    }

    /// A server's service gives it a snapshot up to `index`.
    pub fn is_given_snapshot(&mut self, i: usize, index: u64) {
        let index = if self.numbers_agree() { index } else { u64::MAX };
        self.servers[i].snapshot = self.servers[i].snapshot.max(index);
    }

    /// The tester begins to look into a server. From now on, what its log keeps is noted under the number `look`.
    pub fn looks(&mut self, i: usize, look: u64) {
        self.servers[i].open(look, None, &self.history);
    }

    /// A server's `inspect` returned this.
    pub fn looked(&mut self, i: usize, look: u64, found: Option<Inspection>) -> Verdict {
        let open = self.servers[i].close(look);
        self.seen.looks = true;
        let (Some(open), Some(found)) = (open, found) else { return Ok(()) };
        self.seen.inspections = true;
        if !self.numbers_agree() {
            return Ok(());
        }
        if found.last_log_index.is_some_and(|last| last < open.kept.index) {
            return Err(format!(
                "the log of {0} ends at index {1}, but {0} had said that its log has {2}. So entries that {0} had acknowledged \
                 are gone (§5.3)",
                name(i),
                found.last_log_index.unwrap_or(0),
                open.kept
            ));
        }
        let Some(commit) = found.commit_index else { return Ok(()) };
        if found.last_applied.is_some_and(|applied| applied > commit) {
            return Err(format!(
                "{} has applied entries beyond its commit index {commit}. A server applies only committed entries (§5.3)",
                name(i)
            ));
        }
        if commit < open.commit_index {
            return Err(format!(
                "the commit index of {} went from {} back to {commit}. A committed entry stays committed: commitIndex never \
                 decreases (Figure 2, Volatile state: \"increases monotonically\")",
                name(i),
                open.commit_index
            ));
        }
        let server = &mut self.servers[i];
        server.commit_index = server.commit_index.max(commit); // it may have increased since the call
        self.commits(i, u64::MAX, commit, None, "has committed")
    }
}
