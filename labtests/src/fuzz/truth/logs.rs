//! The rules about logs.

use super::super::machine::{Entry, Look, Role};
use super::{Broken, Step, Truth};

impl Truth {
    /// Checks "Leader Append-Only" and "Log Matching" (Figure 3).
    pub(super) fn check_log(&mut self, step: &Step<'_>) -> Result<(), Broken> {
        let (server, after) = (step.server, step.after);
        if let Some(before) = step.before {
            check_append_only(server, before, after)?;
        }
        if after.last_term() > after.term {
            return Err(format!(
                "S{server} is in term {}, but it has an entry of term {}. Entries must come from past terms or the current one \
                 (§5.3)",
                after.term,
                after.last_term()
            ));
        }
        let known = |index: u64, entry: &Entry| {
            step.before.is_some_and(|before| before.entry(index) == Some(entry))
        };
        for (index, entry) in (after.base.index + 1..).zip(&after.entries) {
            if !known(index, entry) {
                self.check_place(server, after, index, entry)?;
            }
        }
        Ok(())
    }

    /// By induction on the index: if equal entries always have the same term before them, then whole logs match.
    fn check_place(
        &mut self,
        server: usize,
        look: &Look,
        index: u64,
        entry: &Entry,
    ) -> Result<(), Broken> {
        let before = look.term_at(index - 1);
        if before.is_some_and(|before| before > entry.term) {
            return Err(format!(
                "S{server} has an entry of term {} at index {index}, but the entry before it is of term {}. Terms must never \
                 decrease along a log (§5.3)",
                entry.term,
                before.unwrap_or_default()
            ));
        }
        let place = (index, entry.term);
        let (content, known) = *self.places.entry(place).or_insert((entry.content, before));
        if content != entry.content {
            return Err(format!(
                "two logs have different entries of term {} at index {index}. One of them is the log of S{server} (Log Matching, \
                 §5.3)",
                entry.term
            ));
        }
        match (known, before) {
            (Some(known), Some(before)) if known != before => Err(format!(
                "S{server} has an entry of term {} at index {index} that was also in another log. On S{server} the entry before \
                 it is of term {before}, but in the other log that entry was of term {known} (Log Matching, §5.3)",
                entry.term
            )),
            _ => Ok(()),
        }
    }

    /// Checks the rules of thesis §4.1, and the rule that was missing there (Ongaro, raft-dev, 10 July 2015).
    pub(super) fn check_change_of_members(&self, step: &Step<'_>) -> Result<(), Broken> {
        let (server, after) = (step.server, step.after);
        let (Some(before), Role::Leader) = (step.before, after.role) else { return Ok(()) };
        let new = before.last_index().max(after.base.index) + 1;
        for index in new..=after.last_index() {
            let Some(Entry { term, members: Some(members), .. }) = after.entry(index) else {
                continue;
            };
            if *term != after.term {
                continue; // it arrived while the server was still a follower
            }
            let earlier = (after.base.index + 1..index)
                .rev()
                .find(|&earlier| after.entry(earlier).is_some_and(|entry| entry.members.is_some()));
            if let Some(earlier) = earlier.filter(|earlier| *earlier > after.commit_index) {
                return Err(format!(
                    "S{server} appended a configuration at index {index}, but the configuration at index {earlier} was not \
                     committed yet. Only one change at a time is allowed (thesis §4.1)"
                ));
            }
            if after.term_at(after.commit_index) != Some(after.term) {
                return Err(format!(
                    "S{server} appended a configuration in term {term} before any entry of that term was committed. A leader \
                     must first commit an entry of its own term (raft-dev, 10 July 2015)"
                ));
            }
            let of = |index: u64| after.entry(index).and_then(|entry| entry.members.as_ref());
            let old = earlier.and_then(of).unwrap_or(&after.base.members);
            if old.symmetric_difference(members).count() != 1 {
                return Err(format!(
                    "S{server} changed the members from {old:?} to {members:?}. A change may add or remove only one server \
                     (thesis §4.1)"
                ));
            }
        }
        Ok(())
    }
}

fn check_append_only(server: usize, before: &Look, after: &Look) -> Result<(), Broken> {
    let leads = before.role == Role::Leader && after.role == Role::Leader;
    if !leads || before.term != after.term {
        return Ok(());
    }
    let first = before.base.index.max(after.base.index) + 1;
    let same = (first..=before.last_index()).all(|i| before.entry(i) == after.entry(i));
    match same && after.last_index() >= before.last_index() {
        true => Ok(()),
        false => Err(format!(
            "S{server} leads term {}, but it has changed or deleted entries of its own log (Leader Append-Only, §5.3)",
            after.term
        )),
    }
}
