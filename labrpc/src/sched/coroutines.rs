//! Tasks as coroutines: all tasks of a run share one OS thread, their *carrier*, but each task has a stack of its own.
//!
//! Switching to another coroutine takes nanoseconds, while waking an OS thread takes microseconds. But a coroutine has no thread
//! of its own: thread-locals, `std::thread::current` and `std::thread::panicking` are those of the carrier. Two things follow.
//! While a task is suspended, labrpc's thread-local values of that task are stored elsewhere. And a task can't be suspended while
//! it unwinds: a run that would need that ends as [`Unfit`](crate::failure::FailureKind::Unfit).

use super::cpu::OsThread;
use generator::{Generator, Gn, co_yield_with};
use parking_lot::Mutex;
use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// As much stack as `std` gives a thread. It is only reserved: an unused page takes no memory.
const STACK: usize = 2 * 1024 * 1024;

/// A stack, with or without a task on it.
struct Stack {
    coroutine: Generator<'static, (), ()>,
    /// How many tasks have used this stack.
    tasks: u32,
}

/// Stacks without a task, kept for the next tasks of any run.
static STACKS: Mutex<Vec<Stack>> = Mutex::new(Vec::new());

/// At most this many stacks are kept. A run with a cluster of seven servers has about sixty tasks at a time.
const STACKS_KEPT: usize = 256;

/// After this many tasks, the memory of a stack goes back to the system, because one of the tasks may have used much of it.
const TASKS_OF_A_STACK: u32 = 1000;

/// How many stacks were leaked with the tasks on them. The process can't use their memory again.
static FORGOTTEN: AtomicUsize = AtomicUsize::new(0);

/// At most this many stacks may be leaked. Linux allows a process 65,530 memory maps (`vm.max_map_count`), and a stack with its
/// guard page takes two.
const MOST_FORGOTTEN: usize = 10_000;

/// Whether too many stacks were leaked for more runs on coroutines.
pub(crate) fn are_spent() -> bool {
    FORGOTTEN.load(Relaxed) > MOST_FORGOTTEN
}

/// A value for each task, without an order.
#[expect(clippy::disallowed_types, reason = "the order in which it is iterated changes nothing")]
type ByTask<T> = std::collections::HashMap<u64, T, rustc_hash::FxBuildHasher>;

/// Means "no task". The numbers of tasks begin at 1.
const NOBODY: u64 = 0;

/// A task's code.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// The values that a task keeps in thread-locals. While the task is suspended, they are not in the carrier's.
pub(crate) struct Kept(pub Option<Arc<dyn Any + Send + Sync>>, pub Option<Box<dyn Any + Send>>);

/// How these values are taken out of the current thread and put back. What they are, the run knows.
#[derive(Clone, Copy)]
pub(crate) struct ThreadLocals {
    pub take: fn() -> Kept,
    pub put_back: fn(Kept),
}

/// The OS thread that carries the tasks of a run, as seen by the tasks.
pub(crate) struct Carrier {
    locals: ThreadLocals,
    /// The task that runs after the current one.
    next: AtomicU64,
    /// Tasks that have not begun.
    fresh: Mutex<ByTask<Job>>,
    /// Whether a task had to wait while it unwound. Then the run can't go on on coroutines.
    unfit: AtomicBool,
    os_thread: OnceLock<Option<OsThread>>,
}

/// How [`Carrier::carry`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// No task is left that could run.
    ToTheEnd,
    /// The run can't go on on coroutines.
    Unfit,
    /// This task has overflowed its stack, so the result of the run is unknown.
    Overflow(u64),
}

/// A task's right to run.
pub(crate) struct Leg {
    task: u64,
    carrier: Arc<Carrier>,
}

impl Carrier {
    /// A carrier without tasks.
    pub fn new(locals: ThreadLocals) -> Carrier {
        Carrier {
            locals,
            next: AtomicU64::new(NOBODY),
            fresh: Mutex::default(),
            unfit: AtomicBool::new(false),
            os_thread: OnceLock::new(),
        }
    }

    /// Makes the right to run for `task`.
    pub fn leg(self: &Arc<Carrier>, task: u64) -> Leg {
        Leg { task, carrier: self.clone() }
    }

    /// Sets the code of a new task. It begins when the task first gets the right to run.
    pub fn begin(&self, task: u64, job: Job) {
        self.fresh.lock().insert(task, job);
    }

    /// Runs the next task until it hands over to another task, runs that one, and so on. All of this happens on the calling
    /// thread, which must end afterwards.
    ///
    /// The tasks that are left at the end are leaked, because they can't be unwound.
    pub fn carry(&self) -> Carried {
        self.os_thread.get_or_init(OsThread::current);
        let mut tasks: ByTask<Stack> = ByTask::default();
        let carried = loop {
            let next = self.next.swap(NOBODY, Relaxed);
            if next == NOBODY {
                break Carried::ToTheEnd;
            }
            if let Some(job) = self.fresh.lock().remove(&next) {
                tasks.insert(next, Stack::with(job));
            }
            let Some(task) = tasks.get_mut(&next) else { break Carried::ToTheEnd };
            task.coroutine.resume();
            if task.coroutine.get_panic_data().is_some() {
                break Carried::Overflow(next);
            }
            if task.coroutine.is_done() {
                tasks.remove(&next).into_iter().for_each(Stack::give_back);
            }
            if self.unfit.load(Relaxed) {
                break Carried::Unfit;
            }
        };
        FORGOTTEN.fetch_add(tasks.len(), Relaxed);
        tasks.into_values().for_each(std::mem::forget);
        carried
    }
}

impl Leg {
    /// Makes this task the next one, which runs when the current task waits or ends.
    pub fn pass(&self) {
        self.carrier.next.store(self.task, Relaxed);
    }

    /// Suspends this task, which must be the current one, until another task calls [`pass`](Leg::pass).
    pub fn wait(&self) {
        if std::thread::panicking() {
            self.carrier.unfit.store(true, Relaxed);
        }
        let locals = self.carrier.locals;
        let mine = (locals.take)();
        co_yield_with(());
        (locals.put_back)(mine);
    }

    pub fn os_thread(&self) -> Option<OsThread> {
        self.carrier.os_thread.get().copied().flatten()
    }
}

impl Stack {
    fn with(job: Job) -> Stack {
        let kept = STACKS.lock().pop();
        let mut stack = match kept {
            Some(mut stack) => {
                stack.coroutine.init_code(job);
                stack
            }
            None => Stack { coroutine: Gn::new_opt(STACK / size_of::<usize>(), job), tasks: 0 },
        };
        stack.tasks += 1;
        // Any address works here. If one is set, a task can be suspended from anywhere in its code.
        stack.coroutine.set_local_data(std::ptr::dangling_mut());
        stack
    }

    /// Keeps the stack for another task, unless enough stacks are kept.
    fn give_back(self) {
        let mut stacks = STACKS.lock();
        if stacks.len() < STACKS_KEPT && self.tasks < TASKS_OF_A_STACK {
            stacks.push(self);
        }
    }
}
