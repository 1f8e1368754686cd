//! Crashes at exact moments, which the tester could not hit by waiting for a time.

use super::deeds::deed;
use super::{Cluster, name};
use labrpc::thread::{Group, bury};
use labrpc::time::Duration;
use labrpc::trace::Act;
use labrpc::{Moment, Persister, run, trace};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// One incarnation of a server, as the tester holds it. If it has crashed, its last owner [buries](labrpc::thread::bury) what is
/// left of it.
pub(crate) struct Incarnation<S: ?Sized> {
    server: Option<Arc<S>>,
    group: Group,
}

impl<S: ?Sized> Incarnation<S> {
    pub fn new(server: Arc<S>, group: Group) -> Incarnation<S> {
        Incarnation { server: Some(server), group }
    }

    pub fn server(&self) -> &Arc<S> {
        self.server.as_ref().expect("it is there until the end")
    }
}

impl<S: ?Sized> Deref for Incarnation<S> {
    type Target = S;
    fn deref(&self) -> &S {
        self.server()
    }
}

impl<S: ?Sized> Drop for Incarnation<S> {
    fn drop(&mut self) {
        let server = self.server.take();
        if run::in_simulation() && self.group.has_crashed() {
            bury(server);
        }
    }
}

impl Cluster {
    /// Crashes server `i` after its threads have passed this number of further [yield points](labrpc::thread::Group::crash_after),
    /// wherever each thread stands then. From that moment the server is as dead as after [`crash`](Cluster::crash), but the cluster
    /// still counts it as up until [`wait_crashed`](Cluster::wait_crashed) notices. Only a simulation can do this; in real mode
    /// nothing happens.
    ///
    /// [`crash`](Cluster::crash) and [`start_server`](Cluster::start_server) cancel the plan.
    pub fn crash_after_steps(&self, i: usize, steps: u64) {
        let text = || format!("is going to crash {} after {steps} steps", name(i));
        trace::deed(|| deed(Act::Other, &[i], text()));
        self.0.planned.store(true, Relaxed);
        self.0.slots.lock()[i].group.crash_after(steps);
    }

    /// Crashes server `i` at its `saves`th save from now, just before or just after the save takes effect. Otherwise like
    /// [`crash_after_steps`](Cluster::crash_after_steps). In real mode, the server loses network and storage at that moment, and is
    /// killed when [`wait_crashed`](Cluster::wait_crashed) notices.
    pub fn crash_at_save(&self, i: usize, saves: u64, moment: Moment) {
        let text = || format!("is going to crash {} {moment:?} save {saves}", name(i));
        trace::deed(|| deed(Act::Other, &[i], text()));
        self.0.planned.store(true, Relaxed);
        let slot = &self.0.slots.lock()[i];
        slot.persister.crash_at_save(&slot.group, saves, moment);
    }

    /// Waits at most `timeout` until a planned crash of server `i` has happened. Returns whether it has. If so, the server is down
    /// as after [`crash`](Cluster::crash). A server that was already down counts as crashed.
    pub fn wait_crashed(&self, i: usize, timeout: Duration) -> bool {
        let slots = self.0.slots.lock();
        let (group, up) = (slots[i].group.clone(), slots[i].raft.is_some());
        drop(slots);
        if up && !group.wait_crashed(timeout) {
            return false;
        }
        self.crash_if_up(i);
        true
    }

    /// Starts server `i` with an empty disk, as a different machine with the same name. It is not bound by what the old machine has
    /// promised. This is allowed only if the old server is not a member any more. For a member that forgets, see
    /// [`lose_disk`](Cluster::lose_disk).
    pub fn replace_server(&self, i: usize) {
        self.lose_disk(i);
        let text = || format!("puts another machine in the place of {}", name(i));
        trace::deed(|| deed(Act::Other, &[i], text()));
        self.0.watch.forgets(i);
        self.start_server(i);
    }

    /// Crashes server `i` and empties its disk: its next incarnation finds nothing saved. The server is still bound by its promises,
    /// that is, its votes and acknowledgements: Raft doesn't allow a member to forget (Figure 2, Persistent state). If the loss
    /// breaks one of the paper's properties, the test fails with that property.
    pub fn lose_disk(&self, i: usize) {
        self.crash(i);
        trace::deed(|| deed(Act::LoseDisk, &[i], format!("empties the disk of {}", name(i))));
        self.0.slots.lock()[i].persister = Persister::new().named(name(i));
    }

    /// Notes where server `i` was when it crashed. If its next incarnation applies something wrong, the failure message says so
    /// too.
    pub fn crashed(&self, i: usize, how: &str) {
        trace::deed(|| deed(Act::Other, &[i], how.to_string()));
        self.ledger().lock().note_crash(i, how);
    }

    /// Completes the planned crashes that have happened, and cancels the others.
    pub(super) fn settle_plans(&self) {
        if !self.0.planned.load(Relaxed) {
            return; // and passes no yield point
        }
        for i in 0..self.n() {
            let slots = self.0.slots.lock();
            let (group, persister) = (slots[i].group.clone(), slots[i].persister.clone());
            drop(slots);
            group.call_off_crash();
            persister.call_off_crash();
            if group.has_crashed() {
                self.crash_if_up(i);
            }
        }
    }
}
