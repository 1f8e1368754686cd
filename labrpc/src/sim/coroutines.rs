//! Tasks as coroutines: all tasks of a run on one OS thread, their carrier, each on a stack of its own.
//!
//! A hand-over costs nanoseconds, where waking an OS thread costs microseconds. What a coroutine can't give to the code on it is a
//! thread: thread-locals, `std::thread::current` and `std::thread::panicking` are the carrier's. So what labrpc keeps per thread
//! is put away while a task is suspended, and no task is suspended while it unwinds: a run that would need that is
//! [`Unfit`](crate::run::FailureKind::Unfit).

use super::baton::Job;
use super::cpu::OsThread;
use crate::run::PerThread;
use generator::{Generator, Gn, co_yield_with};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// As much stack as `std` gives a thread. It is only reserved: a page that nobody touches takes no memory.
const STACK: usize = 2 * 1024 * 1024;

/// A stack with a task on it, or with none.
struct Stack {
    coroutine: Generator<'static, (), ()>,
    /// How many tasks it has had.
    tasks: u32,
}

/// Stacks without a task, for the next one of any run.
static STACKS: Mutex<Vec<Stack>> = Mutex::new(Vec::new());

/// So many stacks are kept; a run of a cluster of seven has some sixty tasks at a time.
const STACKS_KEPT: usize = 256;

/// A stack serves so many tasks, and then its memory goes back to the system: one of them may have gone deep.
const TASKS_OF_A_STACK: u32 = 1000;

/// How many stacks were forgotten with the tasks on them: they are lost to the process.
static FORGOTTEN: AtomicUsize = AtomicUsize::new(0);

/// So many may be lost. Linux gives a process 65,530 memory maps (`vm.max_map_count`), and a stack with its guard page takes two.
const MOST_FORGOTTEN: usize = 10_000;

/// Whether too many stacks are lost for more runs on coroutines.
pub(crate) fn are_spent() -> bool {
    FORGOTTEN.load(Relaxed) > MOST_FORGOTTEN
}

/// What there is of each task, in no order.
#[expect(clippy::disallowed_types, reason = "the order in which it is iterated changes nothing")]
type ByTask<T> = std::collections::HashMap<u64, T, rustc_hash::FxBuildHasher>;

/// No task: they are counted from 1.
const NOBODY: u64 = 0;

/// The OS thread that carries the tasks of a run, as they see it.
#[derive(Default)]
pub(crate) struct Carrier {
    /// Whom the task that runs hands over to.
    next: AtomicU64,
    /// Tasks that have not begun.
    fresh: Mutex<ByTask<Job>>,
    /// A task was to wait while it unwound, so the run can't go on here.
    unfit: AtomicBool,
    os_thread: OnceLock<Option<OsThread>>,
}

/// How the carrying ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// Nobody is left to hand over to.
    ToTheEnd,
    /// It can't go on on coroutines.
    Unfit,
    /// This task has overflowed its stack, and nothing can be said of the run any more.
    Overflow(u64),
}

/// A task's right to run.
pub(crate) struct Leg {
    task: u64,
    carrier: Arc<Carrier>,
}

impl Carrier {
    /// The right to run of a task.
    pub fn leg(self: &Arc<Carrier>, task: u64) -> Leg {
        Leg { task, carrier: self.clone() }
    }

    /// What a task is to do, once it is passed the right to run.
    pub fn begin(&self, task: u64, job: Job) {
        self.fresh.lock().insert(task, job);
    }

    /// Carries the task that is next, and whom that hands over to, and so on: on the calling thread, which then must end.
    ///
    /// Tasks that are left are forgotten: nobody can unwind them.
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
    /// Lets the task run when the current one has let go.
    pub fn pass(&self) {
        self.carrier.next.store(self.task, Relaxed);
    }

    /// Suspends the current task, this one, until somebody passes.
    pub fn wait(&self) {
        if std::thread::panicking() {
            self.carrier.unfit.store(true, Relaxed);
        }
        let mine = PerThread::take();
        co_yield_with(());
        mine.put_back();
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
        // Any address will do: with one, a task may be suspended from anywhere in its code.
        stack.coroutine.set_local_data(std::ptr::dangling_mut());
        stack
    }

    /// Keeps it for the next task, if there aren't many.
    fn give_back(self) {
        let mut stacks = STACKS.lock();
        if stacks.len() < STACKS_KEPT && self.tasks < TASKS_OF_A_STACK {
            stacks.push(self);
        }
    }
}
