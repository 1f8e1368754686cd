//! Changes of the members, one server at a time (thesis §4.1).
//!
//! Any majority before such a change and any majority after it share a server. So no joint configuration is needed, if these rules
//! are kept:
//!
//! - On every server, a configuration counts as soon as it is *appended*. If its entry is truncated, it no longer counts: see
//!   [`Log::members`](crate::raft::log::Log::members).
//! - The next change waits until this change is committed.
//! - A leader begins no change before it has committed an entry of its own term. This rule was missing in the thesis: without it,
//!   two leaders could have majorities that share no server (Ongaro, raft-dev, 10 July 2015).
//!
//! A server is added only when it has caught up with the log. Otherwise every commit might have to wait for it (§4.2.1). Until then
//! it gets the log, but does not count: see [`catch_up`](super::catch_up).

use super::validate::HIGHEST;
use crate::raft::beyond::catch_up::CatchUp;
use crate::raft::log::{Members, Payload};
use crate::raft::options::Options;
use crate::raft::persist::Record;
use crate::raft::state::{Role, State};
use labrpc::api::beyond::NotChanged;
use labrpc::time::Instant;
use std::ops::ControlFlow::{self, Break, Continue};

/// The members of a cluster before its first change.
pub fn initial_members(options: &Options, servers: usize) -> Members {
    options.members.clone().unwrap_or_else(|| (0..servers).collect())
}

/// A request to change the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeRequest {
    /// This server becomes a member.
    Add(usize),
    /// This server is no longer a member.
    Remove(usize),
}

/// A change that has no log entry yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingChange {
    request: ChangeRequest,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// An entry of the leader's term has to be committed first. Any change that an earlier leader has left is committed with it.
    Barrier { deadline: Instant },
    /// The new server has to catch up with the log first.
    CatchUp(CatchUp),
}

/// What the caller knows of its change.
#[derive(Clone, Copy, Debug)]
pub struct ChangeHandle {
    term: u64,
    /// The index of its entry, and the deadline by which that entry has to be committed.
    entry: Option<(u64, Instant)>,
}

/// How long a change may wait to be committed, and how long it may wait for a new server that makes no progress. The unit is the
/// longest election timeout.
const PATIENCE: u32 = 5;

impl State {
    /// Begins a change.
    ///
    /// # Errors
    /// See [`NotChanged`].
    pub fn begin_change(
        &mut self,
        request: ChangeRequest,
        now: Instant,
    ) -> Result<ChangeHandle, NotChanged> {
        self.validate_request(request)?;
        if let ChangeRequest::Add(server) = request
            && !self.log.members().contains(&server)
        {
            self.forget_progress(server);
        }
        let stage = Stage::Barrier { deadline: self.change_deadline(now) };
        if let Role::Leader { leadership, .. } = &mut self.role {
            leadership.change = Some(PendingChange { request, stage });
        }
        Ok(ChangeHandle { term: self.current_term, entry: None })
    }

    pub(super) fn change_deadline(&self, now: Instant) -> Instant {
        now + PATIENCE * self.options.election_timeout.end
    }

    fn validate_request(&self, request: ChangeRequest) -> Result<(), NotChanged> {
        if self.killed {
            return Err(NotChanged::Stopped);
        }
        let Role::Leader { leadership, .. } = &self.role else {
            return Err(NotChanged::NotLeader { leader: self.leader() });
        };
        let (ChangeRequest::Add(server) | ChangeRequest::Remove(server)) = request;
        match () {
            () if server >= self.servers => Err(NotChanged::NoSuchServer),
            () if leadership.change.is_some() || leadership.transfer.is_some() => {
                Err(NotChanged::UnderWay)
            }
            () if self.log.members_since() <= self.commit_index => self.validate_change(request),
            () if self.has_uncommitted_change() => Err(NotChanged::UnderWay),
            () => Ok(()),
        }
    }

    /// Returns `Ok` if the change would alter the members and is allowed; otherwise, why not.
    fn validate_change(&self, request: ChangeRequest) -> Result<(), NotChanged> {
        let members = self.log.members();
        match request {
            ChangeRequest::Add(server) if members.contains(&server) => Err(NotChanged::Member),
            ChangeRequest::Remove(server) if !members.contains(&server) => {
                Err(NotChanged::NotMember)
            }
            ChangeRequest::Remove(_) if members.len() == 1 => Err(NotChanged::LastMember),
            _ => Ok(()),
        }
    }

    /// Whether a change of our own waits to be committed. A change of an earlier leader is committed with our first entry.
    fn has_uncommitted_change(&self) -> bool {
        let since = self.log.members_since();
        since > self.commit_index && self.log.term_at(since) == Some(self.current_term)
    }

    /// Advances a change. Breaks with the result of the change, or continues with the latest moment at which this method must be
    /// called again.
    pub fn advance_change(
        &mut self,
        handle: &mut ChangeHandle,
        now: Instant,
    ) -> ControlFlow<Result<(), NotChanged>, Option<Instant>> {
        if self.killed {
            return Break(Err(NotChanged::Stopped));
        }
        if let Some((index, deadline)) = handle.entry {
            return self.await_commit(handle.term, index, deadline, now);
        }
        let leader = self.leader();
        let Role::Leader { leadership, .. } = &mut self.role else {
            return Break(Err(NotChanged::NotLeader { leader }));
        };
        let Some(change) = leadership.change.clone().filter(|_| self.current_term == handle.term)
        else {
            return Break(Err(NotChanged::NotLeader { leader }));
        };
        match self.next_stage(&change, now) {
            Break(Ok(entry)) => {
                handle.entry = Some(entry);
                self.await_commit(handle.term, entry.0, entry.1, now)
            }
            Break(Err(error)) => {
                self.forget_change();
                Break(Err(error))
            }
            Continue(look_again) => Continue(Some(look_again)),
        }
    }

    /// Advances a change that has no entry yet. Breaks with the index of its entry, and the deadline by which that entry has to
    /// be committed.
    fn next_stage(
        &mut self,
        change: &PendingChange,
        now: Instant,
    ) -> ControlFlow<Result<(u64, Instant), NotChanged>, Instant> {
        let request = change.request;
        let stage = match change.stage.clone() {
            Stage::Barrier { deadline } if !self.commits_in_its_term() => {
                return if now < deadline {
                    Continue(deadline)
                } else {
                    Break(Err(NotChanged::TimedOut))
                };
            }
            Stage::Barrier { .. } => {
                // Now any change that an earlier leader has left is committed, too.
                if let Err(none) = self.validate_change(request) {
                    return Break(Err(none));
                }
                match request {
                    ChangeRequest::Add(server) => self.first_round(server, now),
                    ChangeRequest::Remove(_) => {
                        return Break(Ok(self.append_members(request, now)));
                    }
                }
            }
            Stage::CatchUp(stage) => stage,
        };
        match self.catch_up(stage, now) {
            Break(error) => Break(Err(error)),
            Continue(None) => Break(Ok(self.append_members(request, now))),
            Continue(Some(stage)) => {
                if let Role::Leader { leadership, .. } = &mut self.role {
                    leadership.change =
                        Some(PendingChange { request, stage: Stage::CatchUp(stage) });
                }
                Continue(now + self.options.heartbeat)
            }
        }
    }

    fn append_members(&mut self, request: ChangeRequest, now: Instant) -> (u64, Instant) {
        let mut members = self.log.members().clone();
        match request {
            ChangeRequest::Add(server) => members.insert(server),
            ChangeRequest::Remove(server) => members.remove(&server),
        };
        log::debug!("the members are {members:?} from now on");
        self.forget_change();
        let deadline = self.change_deadline(now);
        (self.append(Payload::Members(members)), deadline)
    }

    fn forget_change(&mut self) {
        if let Role::Leader { leadership, .. } = &mut self.role {
            leadership.change = None;
        }
    }

    fn await_commit(
        &self,
        term: u64,
        index: u64,
        deadline: Instant,
        now: Instant,
    ) -> ControlFlow<Result<(), NotChanged>, Option<Instant>> {
        let committed = self.commit_index >= index;
        // In our own term, nobody has truncated the entry. In a later term, another entry may be at this index.
        if committed && (self.current_term == term || self.log.term_at(index) == Some(term)) {
            return Break(Ok(()));
        }
        if self.current_term != term || now >= deadline {
            return Break(Err(NotChanged::TimedOut));
        }
        Continue(Some(deadline))
    }

    /// Whether this server may become a candidate. A member may. A server that the last change removed may, too, until it knows that
    /// this change is committed: it "might still be needed" (thesis §4.2.2, Figure 4.6), because others may lack that change.
    pub fn may_become_candidate(&self) -> bool {
        let includes_us = |members: &Members| members.contains(&self.me);
        let uncommitted = self.log.members_since() > self.commit_index;
        let may_be_needed = uncommitted && self.log.members_before().is_some_and(includes_us);
        (includes_us(self.log.members()) || may_be_needed) && self.current_term < HIGHEST
    }

    /// Saves that this server knows of its own removal. Otherwise, after a restart, it would become a candidate again and again. It
    /// would stop only if it learned of its removal a second time, but nobody sends anything to a server that is not a member.
    pub(super) fn persist_removal(&mut self) {
        let commit_index = self.log.members_since();
        if self.knows_its_removal() && self.disk.saved_commit < commit_index {
            self.append_record(&Record::Committed { commit_index });
            self.disk.saved_commit = commit_index;
        }
    }

    fn knows_its_removal(&self) -> bool {
        let includes_us = |members: &Members| members.contains(&self.me);
        let committed = self.commit_index >= self.log.members_since();
        committed
            && !includes_us(self.log.members())
            && self.log.members_before().is_some_and(includes_us)
    }

    /// Whether `peer` gets the log: it is a member, or a server that catches up.
    pub fn replicates_to(&self, peer: usize) -> bool {
        let Role::Leader { leadership, .. } = &self.role else { return false };
        let learns = leadership
            .change
            .as_ref()
            .is_some_and(|change| change.request == ChangeRequest::Add(peer));
        learns || self.log.members().contains(&peer)
    }

    /// "The leader [..] steps down once the Cnew entry is committed", if Cnew does not include it (§4.2.2). Until then it leads a
    /// cluster in which it does not count.
    pub(super) fn step_down_if_removed(&mut self) {
        let committed = self.commit_index >= self.log.members_since();
        if self.is_leader() && committed && !self.log.members().contains(&self.me) {
            log::debug!("is not a member any more");
            self.role = Role::Follower { leader: None };
            self.persist();
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
