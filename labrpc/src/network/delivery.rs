//! When things happen on the network, and in which thread. In a simulation, the scheduler's timers and pooled threads do the
//! work; in real mode, a postman thread and worker threads of the network.

use super::LATENCY;
use crate::context::stream::Draws;
use crate::context::wall::WallClock;
use crate::context::{self, Here, World, set_here};
use crate::slot::Slot;
use crate::thread::Group;
use parking_lot::{Condvar, Mutex};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

pub(super) enum Delivery {
    Simulated(Weak<World>),
    Real(Arc<Threads>),
}

type Job = Box<dyn FnOnce() + Send>;

impl Delivery {
    pub fn new() -> Delivery {
        match context::simulated() {
            Some(here) => Delivery::Simulated(Arc::downgrade(&here.world)),
            None => Delivery::Real(Arc::new(Threads::new())),
        }
    }

    /// How long a message takes if it is not delayed on purpose.
    pub fn latency(&self, draws: &Draws<'_>) -> Duration {
        match self {
            Delivery::Real(_) => Duration::ZERO,
            Delivery::Simulated(_) => {
                let most = LATENCY.as_micros() as u64;
                Duration::from_micros(draws.range("latency", 0..most + 1))
            }
        }
    }

    /// Runs `job` after `delay`. `job` must not wait.
    pub fn after(&self, delay: Duration, job: impl FnOnce() + Send + 'static) {
        match self {
            Delivery::Real(threads) if delay.is_zero() => threads.unless_over(job),
            Delivery::Real(threads) => threads.after(delay, Box::new(job)),
            Delivery::Simulated(world) => {
                let Some(world) = world.upgrade() else { return };
                if let Some(sched) = &world.sched {
                    sched.at(sched.now() + delay, Box::new(job));
                }
            }
        }
    }

    /// Runs a handler in a thread of its own, in `group`.
    pub fn handle(&self, group: &Group, method: &'static str, job: impl FnOnce() + Send + 'static) {
        match self {
            Delivery::Real(threads) => threads.handle(group, method, Box::new(job)),
            Delivery::Simulated(world) => {
                let Some(world) = world.upgrade() else { return };
                world.spawn_pooled(group, method, Box::new(job));
            }
        }
    }

    /// Ends the network's threads. Returns the names of the handlers that were still running after `patience`.
    pub fn shutdown(&self, patience: Duration) -> Vec<String> {
        match self {
            Delivery::Simulated(_) => Vec::new(),
            Delivery::Real(threads) => threads.shutdown(patience),
        }
    }
}

/// The threads of a network in real mode.
pub(super) struct Threads {
    world: Option<Arc<World>>,
    post: Arc<Post>,
    over: AtomicBool,
    idle: Arc<Mutex<Idle>>,
    workers: Mutex<Vec<Worker>>,
}

/// The workers that wait for a job. The worker that came last gets the next job, because it may not be asleep yet.
#[derive(Default)]
struct Idle {
    places: Vec<Arc<Slot<Work>>>,
    over: bool,
}

/// The postman's work. It does not keep the network alive.
struct Post {
    clock: WallClock,
    later: Mutex<Later>,
    sooner: Condvar,
}

/// The jobs that are not due yet.
#[derive(Default)]
struct Later {
    heap: BinaryHeap<Reverse<Due>>,
    next: u64,
    over: bool,
    postman: Option<std::thread::JoinHandle<()>>,
}

struct Due {
    at: Duration,
    number: u64,
    job: Job,
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

/// A handler to run. `None` ends the worker.
type Work = Option<(Group, &'static str, Job)>;

struct Worker {
    handle: std::thread::JoinHandle<()>,
    /// What the worker is doing, for reports.
    at: Arc<Mutex<Option<Arc<Here>>>>,
}

impl Threads {
    fn new() -> Threads {
        let (later, sooner) = (Mutex::default(), Condvar::new());
        Threads {
            world: context::here().map(|here| here.world.clone()),
            post: Arc::new(Post { clock: WallClock::start(), later, sooner }),
            over: AtomicBool::new(false),
            idle: Arc::default(),
            workers: Mutex::default(),
        }
    }

    fn unless_over(&self, job: impl FnOnce()) {
        if !self.over.load(Ordering::Relaxed) {
            job();
        }
    }

    fn after(&self, delay: Duration, job: Job) {
        let mut later = self.post.later.lock();
        if later.over {
            return;
        }
        let due = Due { at: self.post.clock.elapsed() + delay, number: later.next, job };
        later.next += 1;
        later.heap.push(Reverse(due));
        if later.postman.is_none() {
            let (post, here) = (self.post.clone(), self.here("network", "postman"));
            later.postman = Some(start("labrpc postman", move || {
                set_here(here);
                post.deliver_what_is_due();
            }));
        }
        drop(later);
        self.post.sooner.notify_one();
    }

    /// The run and group that the network's own threads belong to.
    fn here(&self, group: &str, name: &str) -> Option<Arc<Here>> {
        let world = self.world.clone()?;
        let group = Group::of_world(group, &world);
        Some(Arc::new(Here { world, group, name: name.into(), task: None }))
    }

    /// Gives the job to an idle worker, or to a new worker if none is idle. So a handler that hangs does not delay other calls.
    fn handle(&self, group: &Group, method: &'static str, job: Job) {
        let work = Some((group.clone(), method, job));
        let place = self.idle.lock().places.pop();
        match place {
            Some(place) => place.put(work),
            None => self.add_worker(work),
        }
    }

    fn add_worker(&self, first: Work) {
        let place = Arc::new(Slot::new());
        place.put(first);
        let (idle, world) = (self.idle.clone(), self.world.clone());
        let at = Arc::new(Mutex::new(None));
        let note = at.clone();
        let body = move || {
            while let Some(Some((group, method, job))) = place.take(None) {
                run_handler(world.as_ref(), group, method, job, &note);
                let mut idle = idle.lock();
                if idle.over {
                    return;
                }
                idle.places.push(place.clone());
            }
        };
        let handle = start("labrpc worker", body);
        self.workers.lock().push(Worker { handle, at });
    }

    fn shutdown(&self, patience: Duration) -> Vec<String> {
        if let Some(postman) = self.close() {
            let _ = postman.join();
        }
        let workers = std::mem::take(&mut *self.workers.lock());
        let clock = WallClock::start();
        let running = |worker: &Worker| !worker.handle.is_finished();
        while workers.iter().any(running) && clock.elapsed() < patience {
            #[expect(clippy::disallowed_methods, reason = "waits for real threads")]
            std::thread::sleep(Duration::from_millis(1));
        }
        let (left, ended): (Vec<_>, Vec<_>) = workers.into_iter().partition(running);
        for worker in ended {
            let _ = worker.handle.join();
        }
        let title = |worker: &Worker| worker.at.lock().as_ref().map(|here| here.title());
        left.iter().map(|worker| title(worker).unwrap_or("a worker".into())).collect()
    }

    /// Tells all threads to end. Returns the postman, which the caller must join.
    fn close(&self) -> Option<std::thread::JoinHandle<()>> {
        self.over.store(true, Ordering::Relaxed);
        let mut idle = self.idle.lock();
        idle.over = true;
        let places = std::mem::take(&mut idle.places);
        drop(idle);
        places.iter().for_each(|place| place.put(None));
        self.post.close()
    }
}

impl Post {
    fn deliver_what_is_due(&self) {
        let mut later = self.later.lock();
        while !later.over {
            let now = self.clock.elapsed();
            match later.heap.peek().map(|due| due.0.at) {
                None => self.sooner.wait(&mut later),
                Some(at) if at > now => _ = self.sooner.wait_for(&mut later, at - now),
                Some(_) => {
                    let due = later.heap.pop();
                    drop(later);
                    if let Some(Reverse(due)) = due {
                        (due.job)();
                    }
                    later = self.later.lock();
                }
            }
        }
    }

    /// Drops the jobs that are not due yet, so that their callers get `None`, and tells the postman to end. Returns the postman,
    /// which the caller must join.
    fn close(&self) -> Option<std::thread::JoinHandle<()>> {
        let mut later = self.later.lock();
        later.over = true;
        let due = std::mem::take(&mut later.heap);
        let postman = later.postman.take();
        drop(later);
        drop(due);
        self.sooner.notify_all();
        postman
    }
}

impl Drop for Threads {
    /// If nobody has called `shutdown`, this tells the threads to end, but does not wait for them.
    fn drop(&mut self) {
        self.close();
    }
}

/// Runs a handler. Meanwhile `note` holds what the thread belongs to.
fn run_handler(
    world: Option<&Arc<World>>,
    group: Group,
    method: &str,
    job: Job,
    note: &Mutex<Option<Arc<Here>>>,
) {
    let here = world.map(|world| {
        let (world, name) = (world.clone(), method.into());
        Arc::new(Here { world, group, name, task: None })
    });
    note.lock().clone_from(&here);
    set_here(here);
    let result = panic::catch_unwind(AssertUnwindSafe(job));
    if let (Some(here), Err(payload)) = (context::here(), result) {
        here.world.caught(&here, &*payload);
    }
    set_here(None);
    note.lock().take();
}

#[expect(clippy::disallowed_methods, reason = "real mode uses the system's threads")]
fn start(name: &str, body: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(body);
    thread.expect("the system could not start another thread")
}
