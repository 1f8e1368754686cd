//! What a test asks of a Raft that can do more than the lab requires: reads, leadership transfer, configuration changes.

use super::{Cluster, name};
use labrpc::api::beyond::{Membership, NotChanged, NotTransferred, Reads, Transfer};
use labrpc::api::{Raft, Refused};
use labrpc::{run, trace};
use std::collections::BTreeSet;

impl Cluster {
    /// Asks server `i` for a read index. Fails the test if the index is stale: if any server had applied a higher index before the
    /// call. `None`: server `i` is down, or it crashes during the call.
    #[track_caller]
    pub fn read_index(&self, i: usize) -> Option<Result<u64, Refused>> {
        let applied = self.ledger().lock().max_index();
        let reads = |raft: &dyn Raft| raft.reads().map(Reads::read_index);
        let result = self.beyond(i, "reads().read_index()", "reads()", reads)?;
        trace::tester(|| format!("asked {} for a read index: {result:?}", name(i)));
        match result {
            Ok(index) if index < applied => run::fail(format!(
                "{} returned read index {index}, but index {applied} had been applied before the call: a stale read. Before a leader \
                 returns a read index, it must have committed an entry of its own term, and it must confirm after the call that it \
                 still leads (thesis §6.4). A lease starts when the leader sends the messages that a majority answers, and it \
                 ends with a leadership transfer (§6.4.1)",
                name(i)
            )),
            result => Some(result),
        }
    }

    /// Asks server `i` to transfer its leadership to `to`. `None`: server `i` is down, or it crashes during the call.
    #[track_caller]
    pub fn transfer(&self, i: usize, to: usize) -> Option<Result<(), NotTransferred>> {
        trace::tester(|| format!("asks {} to hand over to S{to}", name(i)));
        let transfer = |raft: &dyn Raft| raft.transfers().map(|it| Transfer::transfer(it, to));
        let result = self.beyond(i, "transfers().transfer()", "transfers()", transfer)?;
        trace::tester(|| format!("hears from {} of the handover to S{to}: {result:?}", name(i)));
        Some(result)
    }

    /// Asks server `i` to make `server` a member. `None`: server `i` is down, or it crashes during the call.
    #[track_caller]
    pub fn add_server(&self, i: usize, server: usize) -> Option<Result<(), NotChanged>> {
        trace::tester(|| format!("asks {} to add S{server}", name(i)));
        let add = |raft: &dyn Raft| raft.membership().map(|it| it.add_server(server));
        let result = self.beyond(i, "membership().add_server()", "membership()", add)?;
        trace::tester(|| format!("hears from {} of adding S{server}: {result:?}", name(i)));
        Some(result)
    }

    /// Asks server `i` to remove the member `server`. `None`: server `i` is down, or it crashes during the call.
    #[track_caller]
    pub fn remove_server(&self, i: usize, server: usize) -> Option<Result<(), NotChanged>> {
        trace::tester(|| format!("asks {} to remove S{server}", name(i)));
        let remove = |raft: &dyn Raft| raft.membership().map(|it| it.remove_server(server));
        let result = self.beyond(i, "membership().remove_server()", "membership()", remove)?;
        trace::tester(|| format!("hears from {} of removing S{server}: {result:?}", name(i)));
        Some(result)
    }

    /// The members as server `i` knows them. `None`: server `i` is down.
    #[track_caller]
    pub fn members(&self, i: usize) -> Option<BTreeSet<usize>> {
        let members = |raft: &dyn Raft| raft.membership().map(Membership::members);
        self.beyond(i, "membership().members()", "membership()", members)
    }

    /// Calls a function that `hook` offers on server `i`.
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
                "{} does not offer {hook}, which this test needs; see labrpc::api::Raft::{hook}",
                name(i)
            ))
        }))
    }
}
