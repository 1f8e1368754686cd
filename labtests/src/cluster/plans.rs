//! Crashes at moments that no tester could meet by the clock.

use super::{Cluster, name};
use labrpc::thread::{Group, bury};
use labrpc::time::Duration;
use labrpc::{Moment, Persister, run, trace};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// One life of a server, as the tester holds it. If it has crashed, what is left of it is
/// [buried](labrpc::thread::bury), whoever lets go of it last.
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
    /// Crashes server `i` when its threads have passed so many more [points](labrpc::thread::Group::crash_after), wherever
    /// each of them stands then. Until [`wait_crashed`](Cluster::wait_crashed) has noticed, the server is as dead as after
    /// [`crash`](Cluster::crash), but its place is still taken. Only a simulation can do that; in real mode nothing happens.
    ///
    /// [`crash`](Cluster::crash) and [`start_server`](Cluster::start_server) call a plan off.
    pub fn crash_after_steps(&self, i: usize, steps: u64) {
        trace::tester(|| format!("is going to crash {} after {steps} steps", name(i)));
        self.0.planned.store(true, Relaxed);
        self.0.slots.lock()[i].group.crash_after(steps);
    }

    /// Crashes server `i` at its `saves`th save from now, just before it takes effect or just after; for the rest as
    /// [`crash_after_steps`](Cluster::crash_after_steps). In real mode the server is cut off from network and storage at that
    /// moment, and killed when [`wait_crashed`](Cluster::wait_crashed) notices.
    pub fn crash_at_save(&self, i: usize, saves: u64, moment: Moment) {
        trace::tester(|| format!("is going to crash {} {moment:?} save {saves}", name(i)));
        self.0.planned.store(true, Relaxed);
        let slot = &self.0.slots.lock()[i];
        slot.persister.crash_at_save(&slot.group, saves, moment);
    }

    /// Waits until a planned crash of server `i` has happened, for `timeout` at most, and says whether it has. If so, the
    /// server is down as after [`crash`](Cluster::crash). A server that is down already counts as crashed.
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

    /// Starts server `i` with an empty disk, as another machine under that name, which knows nothing of what the old one promised. Right
    /// only when the old one is no member any more; a member that forgets is [`lose_disk`](Cluster::lose_disk)'s.
    pub fn replace_server(&self, i: usize) {
        self.lose_disk(i);
        trace::tester(|| format!("puts another machine in the place of {}", name(i)));
        self.0.watch.forgets(i);
        self.start_server(i);
    }

    /// Crashes server `i`, and empties its disk: its next life finds nothing. It is still held to what it has promised, by its votes and its
    /// acknowledgements: Raft doesn't allow a member to forget (Figure 2, Persistent state), and what comes of it is told as the
    /// property that falls.
    pub fn lose_disk(&self, i: usize) {
        self.crash(i);
        trace::tester(|| format!("empties the disk of {}", name(i)));
        self.0.slots.lock()[i].persister = Persister::new().named(name(i));
    }

    /// Notes where server `i` was when it crashed: what it applies in its next life that is wrong is told together with that.
    pub fn crashed(&self, i: usize, how: &str) {
        trace::tester(|| how.to_string());
        self.ledger().lock().note_crash(i, how);
    }

    /// Finishes the crashes that have happened and calls off the others.
    pub(super) fn settle_plans(&self) {
        if !self.0.planned.load(Relaxed) {
            return; // and yields nowhere
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
