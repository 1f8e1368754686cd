//! How servers start, crash, and are stopped at the end.

use super::deeds::deed;
use super::reader::Reader;
use super::{Cluster, Incarnation, Inner, Snapshots, Stats, leaks, name};
use crate::names::name_of_incarnation;
use labrpc::api::{ApplyMsg, Raft};
use labrpc::channel::{self, Receiver, select};
use labrpc::run::{self, FailureKind};
use labrpc::sync::Arc;
use labrpc::thread::{Builder, Group};
use labrpc::time::{Duration, Instant};
use labrpc::trace::Act;
use labrpc::{Server, trace};
use std::sync::atomic::Ordering::Relaxed;

/// How often a waiting service checks whether it must still wait.
const LOOKS_EVERY: Duration = Duration::from_millis(5);

/// How long a killed server may take to end its threads.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

impl Cluster {
    /// Crashes server `i`, if it is running. What it has saved stays.
    ///
    /// In a simulation, its threads stop where they stand. In real mode, it is killed, and its threads need some time to notice that.
    pub fn crash(&self, i: usize) {
        trace::deed(|| deed(Act::Crash, &[i], format!("crashes {}", name(i))));
        self.set_connected(i, false);
        self.0.net.delete_server(&name(i));
        // From now on its replies promise nothing, and its saves will soon have no effect.
        self.0.watch.ends_incarnation(i);
        let mut slots = self.0.slots.lock();
        let slot = &mut slots[i];
        slot.group.call_off_crash();
        slot.persister.call_off_crash();
        slot.persister = slot.persister.succeed();
        let ends = std::mem::take(&mut slot.ends);
        let raft = slot.raft.take();
        let group = slot.group.clone();
        if !run::in_simulation() {
            slot.remains.push(group.clone());
        }
        drop(slots);
        self.0.ledger.lock().end_incarnation(i);
        for end in ends {
            self.0.net.delete_end(&end);
        }
        if run::in_simulation() {
            group.crash();
        } else if let Some(raft) = &raft {
            run::calling(|| format!("kill() on {}", name(i)), || raft.kill());
        }
    }

    /// Starts server `i`. If it is running, it crashes first. The new incarnation finds what the old one had saved, and is not
    /// connected yet.
    pub fn start_server(&self, i: usize) {
        self.crash_if_up(i);
        trace::deed(|| deed(Act::Start, &[i], format!("starts {}", name(i))));
        let mut slots = self.0.slots.lock();
        let slot = &mut slots[i];
        slot.incarnation += 1;
        slot.group = Group::new(name(i));
        slot.group.hiccups(self.0.hiccups.lock().clone());
        let owner = name_of_incarnation(i, slot.incarnation);
        self.0.watch.begins_incarnation(i);
        let names: Vec<_> = (0..self.n()).map(|j| format!("{owner}->S{j}")).collect();
        slot.ends.clone_from(&names);
        let (group, persister) = (slot.group.clone(), slot.persister.clone());
        drop(slots);
        let peers = names.iter().enumerate().map(|(j, end)| {
            let peer = self.0.net.make_end(end.clone());
            self.0.net.connect(end, &name(j));
            peer
        });
        let peers = peers.collect();
        self.set_links(i);
        let ours = !matches!(self.0.setup.snapshots, Snapshots::Own(_));
        let snapshot = persister.snapshot().filter(|_| ours);
        let incarnation = self.0.ledger.lock().begin_incarnation(i, snapshot.as_ref());
        let incarnation = incarnation.unwrap_or_else(|wrong| run::fail(wrong));
        let (apply, applied) = channel::bounded(0);
        let raft = group.enter(|| {
            let members = (0..self.0.setup.members).collect();
            let making = || (self.0.make)(peers, i, persister, apply, members);
            let what = move || format!("make() of {}", name(i));
            let (raft, services) = run::calling_briefly(what, making);
            self.0.net.add_server(name(i), Server::new(services));
            raft
        });
        let raft = raft.unwrap_or_else(|| run::fail(format!("{} crashed during make()", name(i))));
        let raft = Arc::new(Incarnation::new(raft, group.clone()));
        self.0.slots.lock()[i].raft = Some(raft.clone());
        self.read(i, incarnation, raft, group, applied);
    }

    pub(super) fn crash_if_up(&self, i: usize) {
        let up = self.0.slots.lock()[i].raft.is_some();
        if up {
            self.crash(i);
        }
    }

    /// Spawns a thread that reads the apply channel of server `i`, as its service would.
    fn read(
        &self,
        i: usize,
        incarnation: u64,
        raft: Arc<Incarnation<dyn Raft>>,
        group: Group,
        applied: Receiver<ApplyMsg>,
    ) {
        let stopped = self.0.stopped.clone();
        let waits = self.0.slots.lock()[i].service_waits.clone();
        let mut reader = Reader {
            i,
            incarnation,
            raft,
            group,
            ledger: self.0.ledger.clone(),
            watch: self.0.watch.clone(),
            snapshots: self.0.setup.snapshots,
            draws: self.0.draws.clone(),
            late: Vec::new(),
        };
        let read = move || loop {
            while waits.load(Relaxed) {
                select! {
                    recv(stopped) -> _ => return,
                    default(LOOKS_EVERY) => {}
                }
            }
            let message = select! {
                recv(applied) -> message => message,
                recv(stopped) -> _ => return,
            };
            let Ok(message) = message else { return };
            reader.take(message);
        };
        let thread = Builder::new().name(format!("reader of {}", name(i))).spawn(read);
        self.0.readers.lock().push(thread.expect("the system refuses another thread"));
    }

    /// Ends a test that has passed: kills every server, and [warns](run::warn) of threads that still run.
    pub fn finish(self) -> Stats {
        let stats = self.stats();
        if let Some(left) = self.stop() {
            run::warn(FailureKind::Leak, left);
        }
        stats
    }

    fn stats(&self) -> Stats {
        Stats {
            servers: self.n(),
            rpcs: self.0.net.total_count(),
            bytes: self.0.net.total_bytes(),
            commands: self.0.ledger.lock().max_index(),
            check: *self.0.check.lock(),
        }
    }

    /// Stops everything. Returns a description of threads that still run.
    fn stop(&self) -> Option<String> {
        trace::tester(|| "stops all servers".into());
        trace::end();
        self.0.watch.end();
        self.settle_plans();
        self.0.net.no_intercept();
        self.0.net.discard(|_| true); // a server that is killed must not wait for these
        let mut slots = std::mem::take(&mut *self.0.slots.lock());
        for (i, slot) in slots.iter_mut().enumerate() {
            if let Some(raft) = slot.raft.take() {
                run::calling_briefly(move || format!("kill() on {}", name(i)), || raft.kill());
                drop(raft);
            }
        }
        let deadline = Instant::now() + PATIENCE;
        let patience = || deadline.saturating_duration_since(Instant::now());
        let handlers = self.0.net.shutdown(patience());
        let groups: Vec<_> = slots
            .iter()
            .flat_map(|slot| slot.remains.iter().chain([&slot.group]).cloned())
            .collect();
        groups.iter().for_each(|group| _ = group.wait_ended(patience()));
        let left = leaks::describe(&groups, &handlers);
        self.0.stop.lock().take();
        for reader in std::mem::take(&mut *self.0.readers.lock()) {
            let _ = reader.join();
        }
        left
    }
}

impl Drop for Inner {
    /// In real mode, stops the servers of a test that has failed. Nothing else would stop them.
    fn drop(&mut self) {
        if run::in_simulation() {
            return;
        }
        for slot in self.slots.get_mut() {
            if let Some(raft) = slot.raft.take() {
                raft.kill();
            }
        }
        self.stop.get_mut().take();
        self.net.shutdown(PATIENCE);
    }
}
