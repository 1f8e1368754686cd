//! How tasks begin, crash and end, and the OS threads that run them.

use super::baton::{Baton, Job, Worker};
use super::coroutines::Carrier;
use super::cpu::Claim;
use super::report;
use super::waiting::{Keys, Parked, Straggler};
use super::{Core, Key, Sched, Slot, Task};
use crate::failure::FailureKind;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;

/// What a task runs on.
enum Seat {
    /// An OS thread. If it `is_new`, it must be started first.
    Thread { worker: Arc<Worker>, is_new: bool },
    /// A coroutine. The carrier gives it a stack when the task begins.
    Carried(Arc<Carrier>),
}

impl Seat {
    fn baton(&self, task: u64) -> Arc<Baton> {
        match self {
            Seat::Thread { worker, .. } => worker.baton.clone(),
            Seat::Carried(carrier) => Arc::new(Baton::Coroutine(carrier.leg(task))),
        }
    }
}

/// A task to make.
pub(crate) struct NewTask<'a> {
    pub name: &'a str,
    /// How reports call the task: `S1/ticker`.
    pub title: String,
    pub group: u64,
    /// Whether it may run on a pooled OS thread.
    pub pooled: bool,
    /// Where it was started, if user code started it.
    pub spawned: Option<&'static Location<'static>>,
}

/// Destructors that wait for something that will never happen are woken this many times before the run gives them up.
const STUCK_LIMIT: u32 = 100;

impl Sched {
    /// Makes every task end when it is resumed next.
    pub fn end_all(&self) {
        self.core.lock().end_all();
    }

    /// Makes every task of `group` end, and every visitor leave the group. All of them are marked and woken in one step, before
    /// any destructor runs.
    pub fn crash_group(&self, group: u64) {
        let mut core = self.core.lock();
        core.crashed.insert(group);
        core.crash(|slot| slot.group == group);
        let visitors = core.tasks.iter().filter(|(_, slot)| slot.visits == Some(group));
        let visitors: Vec<u64> = visitors.map(|(id, _)| *id).collect();
        visitors.into_iter().for_each(|id| core.wake(id, false));
        core.unpark_all(Key::Group(group));
    }

    /// The tasks of `group`, and where each of them waits.
    pub fn stragglers_in(&self, group: u64) -> Vec<Straggler> {
        let core = self.core.lock();
        let slots = core.tasks.values().filter(|slot| slot.group == group);
        let stands = |slot: &Slot| slot.parked.as_ref().map(Parked::describe);
        slots
            .map(|slot| Straggler {
                thread: slot.title.clone(),
                stands: stands(slot),
                spawned: slot.spawned.map(ToString::to_string),
                cpu: None,
            })
            .collect()
    }

    /// The titles of the tasks of `group`.
    pub fn alive_in(&self, group: u64) -> Vec<String> {
        let core = self.core.lock();
        core.tasks.values().filter(|s| s.group == group).map(|s| s.title.clone()).collect()
    }

    pub fn is_alive(&self, task: u64) -> bool {
        self.core.lock().tasks.contains_key(&task)
    }

    /// Makes a task. On OS threads, a pooled task uses a thread of the pool, and so may find the thread-locals of another task. Every
    /// other task gets a new OS thread.
    ///
    /// `job` makes the task's code. The code must end with [`exit`](Sched::exit), to which it gives the worker.
    pub fn spawn(
        &self,
        new: NewTask<'_>,
        job: impl FnOnce(Arc<Task>, Option<Arc<Worker>>) -> Job,
    ) -> u64 {
        let NewTask { name, title, group, pooled, spawned } = new;
        let mut core = self.core.lock();
        let id = core.fresh_id();
        let seat = self.seat(&mut core, pooled);
        let task = Arc::new(Task {
            id,
            crashed: AtomicBool::new(core.ending || core.crashed.contains(&group)),
            unwound: AtomicU32::new(0),
            timed_out: AtomicBool::new(false),
            baton: seat.baton(id),
        });
        core.tasks.insert(
            id,
            Box::new(Slot {
                task: task.clone(),
                title,
                has_name: !pooled || spawned.is_none(),
                spawned,
                reads: Keys::new(),
                place: None,
                group,
                visits: None,
                parked: None,
                parks: 0,
                queued: 0,
                ran: (0, 0),
            }),
        );
        core.make_ready(id);
        drop(core);
        match seat {
            Seat::Carried(carrier) => carrier.begin(id, job(task, None)),
            Seat::Thread { worker, is_new } => {
                let back = pooled.then(|| worker.clone());
                *worker.job.lock() = Some(job(task, back));
                if is_new {
                    self.start_os_thread(name, worker, pooled);
                }
            }
        }
        id
    }

    fn seat(&self, core: &mut Core, pooled: bool) -> Seat {
        match &self.carrier {
            Some(carrier) => Seat::Carried(carrier.clone()),
            None => {
                let idle = if pooled { core.idle.pop() } else { None };
                let is_new = idle.is_none();
                Seat::Thread { worker: idle.unwrap_or_default(), is_new }
            }
        }
    }

    /// Starts an OS thread for one task, or for many tasks one after another. Also joins the threads that have ended.
    fn start_os_thread(&self, name: &str, worker: Arc<Worker>, pooled: bool) {
        let mut core = self.core.lock();
        let (claim, reaped) = (core.claim.clone(), if pooled { Vec::new() } else { core.reap() });
        drop(core);
        let handle = start_os_thread(name, worker, claim, pooled);
        self.core.lock().os_threads.push(handle);
        for handle in reaped {
            let _ = handle.join();
        }
    }

    /// Destructors wait for each other, and waking them does not help. Fails the run; their threads stay suspended for ever.
    pub(super) fn give_up(&self, task: &Task) {
        let text = report::deadlock(&self.waits());
        self.accuse(FailureKind::Leak, format!("destructors wait for ever: {text}"));
        self.finish();
        task.baton.wait();
    }

    /// The current task has ended. Passes the baton on.
    pub fn exit(&self, id: u64, group: u64, pool: Option<Arc<Worker>>) {
        let mut core = self.core.lock();
        core.idle.extend(pool);
        core.tasks.remove(&id);
        core.unpark_all(Key::Task(id));
        core.unpark_all(Key::Group(group));
        match self.pick(core) {
            Some((core, next)) => {
                let baton = core.tasks[&next].task.baton.clone();
                drop(core);
                baton.pass();
            }
            None => self.finish(),
        }
    }

    /// Like [`exit`](Sched::exit), for a task that can't be ended. Its thread waits for ever.
    pub fn abandon(&self, task: &Task, group: u64) {
        self.core.lock().lost = true;
        self.exit(task.id, group, None);
        task.baton.wait();
    }

    /// Ends the run, and leaves every task suspended where it is, for ever.
    pub fn give_up_all(&self) {
        self.core.lock().lost = true;
        self.finish();
    }

    /// The name of a task in reports.
    pub fn title_of(&self, task: u64) -> String {
        self.core.lock().tasks.get(&task).map_or("(nobody)".into(), |slot| slot.full_title())
    }

    /// Adds an OS thread that must be joined when the run is over.
    pub fn add_os_thread(&self, thread: JoinHandle<()>) {
        self.core.lock().os_threads.push(thread);
    }

    pub(super) fn finish(&self) {
        self.core.lock().over = true;
        self.ended.notify_all();
    }

    /// After the end of the run: ends the pooled threads, and waits for every OS thread.
    pub fn clean_up(&self) {
        let mut core = self.core.lock();
        let stuck = core.lost || !core.tasks.is_empty();
        let idle = std::mem::take(&mut core.idle);
        let threads = std::mem::take(&mut core.os_threads);
        let timers = std::mem::take(&mut core.timers);
        core.claim = None;
        drop(core);
        drop(timers);
        for worker in idle {
            worker.baton.pass();
        }
        for thread in threads {
            if !stuck {
                let _ = thread.join();
            }
        }
    }
}

impl Core {
    /// Ends everything: every task is resumed to unwind.
    pub(super) fn end_all(&mut self) {
        self.ending = true;
        self.crash(|_| true);
    }

    pub(super) fn crash(&mut self, which: impl Fn(&Slot) -> bool) {
        let ids: Vec<u64> =
            self.tasks.iter().filter(|(_, slot)| which(slot)).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(slot) = self.tasks.get(&id) else {
                continue;
            };
            // A task that already unwinds is not woken: its destructor goes on waiting.
            if !slot.task.crashed.swap(true, Ordering::Relaxed) {
                self.wake(id, false);
            }
        }
    }

    /// While the run ends, only destructors still wait. Wakes those that do not wait for a lock.
    pub(super) fn unstick(&mut self) -> bool {
        self.stuck += 1;
        let ids: Vec<u64> = self.tasks.keys().copied().collect();
        for id in ids {
            let lock = self.tasks[&id].parked.as_ref().is_some_and(Parked::is_for_lock);
            if !lock {
                self.wake(id, true);
            }
        }
        self.stuck < STUCK_LIMIT && !self.ready.is_empty()
    }

    /// Removes and returns the OS threads that have ended.
    pub(super) fn reap(&mut self) -> Vec<JoinHandle<()>> {
        let (ended, alive) = std::mem::take(&mut self.os_threads)
            .into_iter()
            .partition(|thread: &JoinHandle<()>| thread.is_finished());
        self.os_threads = alive;
        ended
    }
}

/// Starts an OS thread for `worker`: for one task, or for many tasks one after another.
fn start_os_thread(
    name: &str,
    worker: Arc<Worker>,
    claim: Option<Arc<Claim>>,
    pooled: bool,
) -> JoinHandle<()> {
    let name = if pooled { "labrpc pool" } else { name };
    let body = move || {
        if let Some(claim) = claim {
            claim.bind();
        }
        loop {
            worker.baton.wait();
            let Some(job) = worker.job.lock().take() else {
                return;
            };
            job();
            if !pooled {
                return;
            }
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the simulation's threads are made"
    )]
    let thread = std::thread::Builder::new().name(name.to_string()).spawn(body);
    thread.expect("the system could not start another thread")
}
