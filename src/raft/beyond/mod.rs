//! What a real service needs from Raft and the lab does not ask for. Read it with Ongaro's thesis open.
//!
//! All of it is off by default ([`options`](super::options)), or does nothing until it is called.
//!
//! | section of the thesis | file |
//! |---|---|
//! | 4: cluster membership changes | [`membership`], [`catch_up`] |
//! | 6.2: routing requests to the leader; 4.2.3: disruptive servers | [`check_quorum`] |
//! | 6.4: processing read-only queries more efficiently | [`read_index`] |
//! | 9.6: preventing disruptions when a server rejoins the cluster | [`pre_vote`] |
//! | 3.10: leadership transfer extension | [`transfer`] |
//! | 10.2: implementing batching and pipelining | [`flow`] |
//! | 5: snapshots that are sent in several chunks | [`chunks`] |
//! | (none) messages with impossible numbers | [`validate`] |
//!
//! As in the lab's Raft, all of these are methods of [`State`](super::state::State), and none of them can wait. [`hooks`] lists
//! where the lab's Raft calls them. This file has what other code calls.

pub mod catch_up;
pub mod check_quorum;
pub mod chunks;
pub mod flow;
pub mod hooks;
pub mod membership;
pub mod pre_vote;
pub mod read_index;
pub mod transfer;
pub mod validate;

use super::log::Members;
use super::threads::Shared;
use super::{Raft, calls};
use labrpc::Service;
use labrpc::api::Refused;
use labrpc::api::beyond::{Membership, NotChanged, NotTransferred, Reads, Transfer};
use labrpc::sync::Arc;
use labrpc::time::Instant;
use membership::ChangeRequest;
use read_index::{ReadIndexArgs, ReadIndexReply};

/// Adds the RPCs that are not the lab's.
pub(super) fn add_methods(service: Service, shared: &Arc<Shared>) -> Service {
    let [pre_vote, timeout_now, read_index] = [(); 3].map(|()| shared.clone());
    service
        .method("PreVote", move |args| {
            pre_vote.with(|state| state.handle_pre_vote(&args, Instant::now()))
        })
        .method("TimeoutNow", move |args| {
            timeout_now.with(|state| state.handle_timeout_now(&args, Instant::now()))
        })
        .method("ReadIndex", move |_: ReadIndexArgs| {
            let index = read_here(&read_index).ok();
            ReadIndexReply { term: read_index.with(|state| state.current_term), index }
        })
}

/// Returns an index to read at, if this server is the leader.
fn read_here(shared: &Shared) -> Result<u64, Refused> {
    let mut read = shared.with(|state| state.begin_read(Instant::now()));
    shared.until(|state, now| state.advance_read(&mut read, now))
}

impl Raft {
    /// Asks `leader` for an index to read at.
    fn read_at(&self, leader: usize) -> Result<u64, Refused> {
        let (args, timeout) = self.shared.with(|state| match state.leader() == Some(leader) {
            true => {
                let args = ReadIndexArgs { term: state.current_term };
                Ok((args, state.options.election_timeout.end))
            }
            false => Err(Refused::NotLeader { leader: state.leader() }),
        })?;
        let end = &self.peers[leader];
        let reply = calls::ask(end, "Raft.ReadIndex", &args, timeout, &self.killed);
        let index = reply.and_then(|reply: ReadIndexReply| reply.index);
        let index = index.filter(|index| *index <= validate::HIGHEST);
        index.ok_or_else(|| match self.shared.with(|state| state.killed) {
            true => Refused::Stopped,
            false => Refused::NotLeader { leader: None },
        })
    }

    fn change(&self, request: ChangeRequest) -> Result<(), NotChanged> {
        let mut handle = self.shared.with(|state| state.begin_change(request, Instant::now()))?;
        self.shared.until(|state, now| state.advance_change(&mut handle, now))
    }
}

impl Reads for Raft {
    fn read_index(&self) -> Result<u64, Refused> {
        match read_here(&self.shared) {
            Err(Refused::NotLeader { leader: Some(leader) }) => self.read_at(leader),
            result => result,
        }
    }
}

impl Transfer for Raft {
    fn transfer(&self, to: usize) -> Result<(), NotTransferred> {
        let handle = self.shared.with(|state| state.begin_transfer(to, Instant::now()))?;
        self.shared.until(|state, now| state.advance_transfer(&handle, now))
    }
}

impl Membership for Raft {
    fn add_server(&self, server: usize) -> Result<(), NotChanged> {
        self.change(ChangeRequest::Add(server))
    }

    fn remove_server(&self, server: usize) -> Result<(), NotChanged> {
        self.change(ChangeRequest::Remove(server))
    }

    fn members(&self) -> Members {
        self.shared.with(|state| state.log.members().clone())
    }
}
