//! What a test asks of a Raft that can more than the lab wants: to read, to hand over, to change its members.

use super::{Cluster, name};
use labrpc::api::beyond::{Membership, NotChanged, NotTransferred, Reads, Transfer};
use labrpc::api::{Raft, Refused};
use labrpc::{run, trace};
use std::collections::BTreeSet;

impl Cluster {
    /// Asks server `i` for an index to read at, and fails the test if that is stale: if anybody had applied more before it was asked.
    /// `None`: the server is down, or crashes meanwhile.
    #[track_caller]
    pub fn read_index(&self, i: usize) -> Option<Result<u64, Refused>> {
        let applied = self.ledger().lock().max_index();
        let reads = |raft: &dyn Raft| raft.reads().map(Reads::read_index);
        let result = self.beyond(i, "reads().read_index()", "reads()", reads)?;
        trace::tester(|| format!("asked {} for an index to read at: {result:?}", name(i)));
        match result {
            Ok(index) if index < applied => run::fail(format!(
                "{} gave index {index} to read at, though index {applied} had been applied before it was asked: who reads there \
                 reads something old. A leader must have committed an entry of its term, and must make sure, after it was asked, \
                 that it still leads (thesis §6.4); a lease counts from when the messages were sent that a majority answered, and \
                 ends with a handover (§6.4.1)",
                name(i)
            )),
            result => Some(result),
        }
    }

    /// Asks server `i` to hand its leadership over to `to`. `None`: it is down, or crashes meanwhile.
    #[track_caller]
    pub fn transfer(&self, i: usize, to: usize) -> Option<Result<(), NotTransferred>> {
        trace::tester(|| format!("asks {} to hand over to S{to}", name(i)));
        let transfer = |raft: &dyn Raft| raft.transfers().map(|it| Transfer::transfer(it, to));
        let result = self.beyond(i, "transfers().transfer()", "transfers()", transfer)?;
        trace::tester(|| format!("hears from {} of the handover to S{to}: {result:?}", name(i)));
        Some(result)
    }

    /// Asks server `i` to make `server` a member. `None`: it is down, or crashes meanwhile.
    #[track_caller]
    pub fn add_server(&self, i: usize, server: usize) -> Option<Result<(), NotChanged>> {
        trace::tester(|| format!("asks {} to add S{server}", name(i)));
        let add = |raft: &dyn Raft| raft.membership().map(|it| it.add_server(server));
        let result = self.beyond(i, "membership().add_server()", "membership()", add)?;
        trace::tester(|| format!("hears from {} of adding S{server}: {result:?}", name(i)));
        Some(result)
    }

    /// Asks server `i` to make `server` a member no longer. `None`: it is down, or crashes meanwhile.
    #[track_caller]
    pub fn remove_server(&self, i: usize, server: usize) -> Option<Result<(), NotChanged>> {
        trace::tester(|| format!("asks {} to remove S{server}", name(i)));
        let remove = |raft: &dyn Raft| raft.membership().map(|it| it.remove_server(server));
        let result = self.beyond(i, "membership().remove_server()", "membership()", remove)?;
        trace::tester(|| format!("hears from {} of removing S{server}: {result:?}", name(i)));
        Some(result)
    }

    /// Who the members are, in the eyes of server `i`. `None`: it is down.
    #[track_caller]
    pub fn members(&self, i: usize) -> Option<BTreeSet<usize>> {
        let members = |raft: &dyn Raft| raft.membership().map(Membership::members);
        self.beyond(i, "membership().members()", "membership()", members)
    }

    /// Calls what `hook` offers on server `i`.
    #[track_caller]
    fn beyond<R>(
        &self,
        i: usize,
        what: &str,
        hook: &str,
        f: impl FnOnce(&dyn Raft) -> Option<R>,
    ) -> Option<R> {
        let (raft, group) = self.running(i)?;
        let calling = || group.enter(|| f(&**raft.server()));
        let result = run::calling(|| format!("{what} on {}", name(i)), calling)?;
        Some(result.unwrap_or_else(|| {
            run::fail(format!(
                "{} offers no {hook}, and this test is about it; see labrpc::api::Raft::{hook}",
                name(i)
            ))
        }))
    }
}
