//! One test's run, in either world: its seed, its failure, its trace, and what belongs to it.
//!
//! [`Run::simulated`] and [`Run::real`] run the same closure; only the scheduler behind it differs.
//! Every thread made through [`thread`](crate::thread) inside belongs to the run.

mod drive;
mod told;

pub use told::{
    calling, calling_briefly, excuse, excuse_for_good, note_progress, suspect_the_clock,
    timekeeping,
};

use crate::rand::Stream;
use crate::sim::coroutines::Carrier;
use crate::sim::report;
use crate::sim::sched::{Sched, Task};
use crate::thread::Group;
use crate::time::WallClock;
use crate::trace::{Sink, Trace};
use parking_lot::{Condvar, Mutex};
use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use told::Calling;

/// How to run a test. See the [module](self).
pub struct Run {
    seed: u64,
    simulated: bool,
    backend: Backend,
    time_limit: Duration,
    patience: Option<Duration>,
    logs: Logs,
    sink: Option<Box<dyn Sink>>,
}

/// What the threads of a simulation are. The same seed gives the same run on either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// OS threads, of which one runs at a time: what code expects that has thread-locals, or asks for its thread, and what
    /// debuggers know.
    #[default]
    Threads,
    /// Coroutines on one OS thread, which take a fraction of the time. Thread-locals, [`std::thread::current`] and
    /// [`std::thread::panicking`] are of that thread. A run that can't be had like this ends as [`FailureKind::Unfit`].
    Coroutines,
}

impl Backend {
    /// Whether this process has room for no more runs on it: a run on coroutines that can't be brought to its end leaves its stacks behind.
    pub fn is_spent(self) -> bool {
        self == Backend::Coroutines && crate::sim::coroutines::are_spent()
    }

    fn of_env() -> Backend {
        match std::env::var("LABRPC_BACKEND").as_deref() {
            Ok("coroutines") => Backend::Coroutines,
            Ok("threads") | Err(_) => Backend::Threads,
            Ok(other) => panic!("LABRPC_BACKEND={other:?} is neither threads nor coroutines"),
        }
    }
}

/// What becomes of the lines that a run's threads write with the crate `log`. See [`logging::init`](crate::logging::init).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Logs {
    /// They go to standard error as they come.
    #[default]
    Printed,
    /// They are events of the trace, between the others.
    Traced,
    /// Nothing: this run repeats one whose lines have been seen.
    Dropped,
}

/// What came of a [`Run`].
#[derive(Debug)]
pub struct Outcome<R> {
    /// What the body returned, or the first thing that failed, in whatever thread.
    pub result: Result<R, Failure>,
    /// How long the run took on its own clock: virtual time in a simulation.
    pub lab_time: Duration,
    /// A hash of every scheduling decision, until the run ends or fails, and of every random draw. Equal for two simulations of one seed.
    /// In real mode it means nothing.
    pub fingerprint: u64,
    /// How many scheduling decisions the simulation took; 0 in real mode.
    pub steps: u64,
    /// What was said with [`warn`].
    pub warnings: Vec<Failure>,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of thing went wrong.
    pub kind: FailureKind,
    /// What went wrong, in words; several lines where there is much to say.
    pub message: String,
    /// The thread that it happened in, with its group, such as `S1/ticker`; empty if it concerns several.
    pub thread: String,
    /// When, on the run's own clock.
    pub at: Duration,
    /// Since when nothing could have gone right any more, if that is known and was before.
    pub since: Option<Duration>,
    /// The seed of the run.
    pub seed: u64,
    /// Which file and line, where there is one.
    pub place: Option<String>,
    /// The backtrace of a panic, if `RUST_BACKTRACE` asks for it. Differs between machines.
    pub backtrace: Option<String>,
    /// Whether the run was simulated, so that its seed replays it exactly.
    pub simulated: bool,
}

/// The kinds of [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The test's own verdict, see [`fail`].
    Test,
    /// A thread panicked.
    Panic,
    /// Every thread waits and no timer is left, or locks are taken in a circle.
    Deadlock,
    /// A thread has used up its stack. Only [coroutines](Backend::Coroutines) live to tell of it.
    Overflow,
    /// A thread runs on and on without reaching anything that the scheduler sees.
    Stall,
    /// The run's clock passed its limit.
    TimeLimit,
    /// The clock goes on, but the run does not: see [`Run::patience`].
    Stuck,
    /// A thread from outside touched an object of the simulation.
    Stranger,
    /// Something was still running when all should have ended.
    Leak,
    /// It breaks no rule, and could be better.
    Advice,
    /// It is no failure of what was tested: the test can't go on, see [`give_up`].
    GivenUp(&'static str),
    /// It says nothing of the run, which [coroutines](Backend::Coroutines) can't do: it is to be run on threads.
    Unfit,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            FailureKind::Panic => "panicked: ",
            FailureKind::Deadlock => "deadlock: ",
            FailureKind::Stall => "stalled: ",
            FailureKind::TimeLimit => "out of time: ",
            FailureKind::Stuck => "stuck: ",
            FailureKind::Leak => "left running: ",
            FailureKind::Overflow => "stack overflow: ",
            FailureKind::Unfit => "can't be run on coroutines: ",
            FailureKind::GivenUp(_) => "given up: ",
            FailureKind::Test | FailureKind::Stranger | FailureKind::Advice => "",
        };
        writeln!(f, "{what}{}", self.message)?;
        if let Some(place) = &self.place {
            writeln!(f, "  at {place}")?;
        }
        let world = if self.simulated { "virtual time" } else { "lab time" };
        let secs = self.at.as_secs_f64();
        f.write_str("  ")?;
        if !self.thread.is_empty() {
            write!(f, "in thread {}, ", self.thread)?;
        }
        write!(f, "{world} {secs:.6} s, seed {}", self.seed)
    }
}

impl std::error::Error for Failure {}

/// What a thread belongs to. There is one per thread (or per task of a pooled thread).
pub(crate) struct Here {
    pub world: Arc<World>,
    pub group: Group,
    pub name: Arc<str>,
    /// Present in a simulation.
    pub task: Option<Arc<Task>>,
}

impl Here {
    /// How reports call the thread: `S1/ticker`.
    pub fn title(&self) -> String {
        format!("{}/{}", self.group.name(), self.name)
    }

    /// Counts a sleep, if the thread is a server's.
    pub fn note_sleep(&self) {
        if !self.group.is_test() {
            self.world.timekeeping.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a look at the clock, if the thread is a server's.
    pub fn note_clock(&self) {
        if !self.group.is_test() {
            self.world.timekeeping.1.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The state of a run that its threads share.
pub(crate) struct World {
    pub id: u32,
    pub seed: u64,
    started: WallClock,
    pub network: Arc<Stream>,
    pub tester: Arc<Stream>,
    pub user: Arc<Stream>,
    pub trace: Trace,
    pub logs: Logs,
    timekeeping: (AtomicU64, AtomicU64),
    pub sched: Option<Sched>,
    state: Mutex<RunState>,
    changed: Condvar,
}

#[derive(Default)]
struct RunState {
    failure: Option<Failure>,
    warnings: Vec<Failure>,
    body_ended: bool,
    /// Who is inside whose code, for the report of a hang.
    calling: Vec<Calling>,
    /// How many calls of the test there were.
    calls: u64,
}

thread_local! {
    static HERE: RefCell<Option<Arc<Here>>> = const { RefCell::new(None) };
    static LAST_PANIC: RefCell<Option<PanicNote>> = const { RefCell::new(None) };
}

/// What is kept for the thread that runs, of a task that is suspended.
pub(crate) struct PerThread {
    here: Option<Arc<Here>>,
    last_panic: Option<PanicNote>,
}

impl PerThread {
    /// Takes it from the current thread.
    ///
    /// # Panics
    /// If a task is suspended while somebody looks at it, which none of us may do.
    pub fn take() -> PerThread {
        let (here, last_panic) = (HERE.take(), LAST_PANIC.take());
        PerThread { here, last_panic }
    }

    /// Gives it to the current thread.
    pub fn put_back(self) {
        HERE.set(self.here);
        LAST_PANIC.set(self.last_panic);
    }
}

struct PanicNote {
    place: Option<String>,
    backtrace: Option<String>,
}

/// The worlds that are running, so that a stranger's touch reaches the right one.
static WORLDS: Mutex<Vec<(u32, Weak<World>)>> = Mutex::new(Vec::new());
static NEXT_WORLD: AtomicU32 = AtomicU32::new(1);

/// The unwinding of a thread that has crashed or whose run is over: nobody's mistake, so nobody reports it.
pub(crate) struct Crash;

/// Unwinds the current thread without a report.
pub(crate) fn unwind() -> ! {
    panic::resume_unwind(Box::new(Crash))
}

/// What the current thread belongs to, if it belongs to a run.
pub(crate) fn here() -> Option<Arc<Here>> {
    HERE.try_with(|here| here.borrow().clone()).ok().flatten()
}

/// Looks at what the current thread belongs to, without taking a share in it.
pub(crate) fn with_here<R>(f: impl FnOnce(&Here) -> R) -> Option<R> {
    HERE.try_with(|here| here.borrow().as_deref().map(f)).ok().flatten()
}

/// As [`here`], but only in a simulation.
pub(crate) fn simulated() -> Option<Arc<Here>> {
    HERE.try_with(|here| here.borrow().as_ref().filter(|here| here.task.is_some()).cloned())
        .ok()
        .flatten()
}

/// Sets what the current thread belongs to, and gives back what it belonged to.
pub(crate) fn set_here(here: Option<Arc<Here>>) -> Option<Arc<Here>> {
    HERE.with(|slot| slot.replace(here))
}

/// Whether the current thread runs inside a simulation.
pub fn in_simulation() -> bool {
    simulated().is_some()
}

/// The seed of the run that the current thread belongs to.
pub fn seed() -> Option<u64> {
    here().map(|here| here.world.seed)
}

/// Fails the run with `message` and ends the current thread. Other threads end as soon as they wait for anything.
///
/// # Panics
/// Always; outside a run as an ordinary panic.
#[track_caller]
pub fn fail(message: impl Into<String>) -> ! {
    let message = message.into();
    let Some(here) = here() else { panic!("{message}") };
    here.world.fail(FailureKind::Test, message, Some(&here));
    unwind()
}

/// Ends the run as [`fail`] does, and says that it shows nothing: what the test is for can't be had here, and nobody is to blame.
///
/// # Panics
/// Always; outside a run as an ordinary panic.
#[track_caller]
pub fn give_up(why: &'static str) -> ! {
    let Some(here) = here() else { panic!("{why}") };
    here.world.fail(FailureKind::GivenUp(why), why.into(), Some(&here));
    unwind()
}

/// As [`fail`], but the current thread goes on until it next waits: for who can't be unwound, such as a
/// [`Sink`].
pub fn condemn(message: impl Into<String>) {
    if let Some(here) = here() {
        let note = PanicNote { place: None, backtrace: None };
        let world = &here.world;
        world.record(world.failure(FailureKind::Test, message.into(), here.title(), note));
    }
}

/// Says something about the run that is no failure of it: it goes on, and [`Outcome::warnings`] has this.
pub fn warn(kind: FailureKind, message: impl Into<String>) {
    if let Some(here) = here() {
        let note = PanicNote { place: None, backtrace: None };
        let warning = here.world.failure(kind, message.into(), here.title(), note);
        here.world.state.lock().warnings.push(warning);
    }
}

/// Whether the run of the current thread has already failed: a test that goes on in real mode asks now and then.
pub fn has_failed() -> bool {
    here().is_some_and(|here| here.world.failed())
}

impl World {
    fn new(run: &mut Run) -> Arc<World> {
        let world = Arc::new(World {
            id: NEXT_WORLD.fetch_add(1, Ordering::Relaxed),
            seed: run.seed,
            started: WallClock::start(),
            network: Arc::new(Stream::new(run.seed, 1)),
            tester: Arc::new(Stream::new(run.seed, 2)),
            user: Arc::new(Stream::new(run.seed, 3)),
            trace: Trace::new(run.sink.take()),
            logs: run.logs,
            timekeeping: Default::default(),
            sched: run.simulated.then(|| run.sched()),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let mut worlds = WORLDS.lock();
        worlds.retain(|(_, world)| world.strong_count() > 0);
        worlds.push((world.id, Arc::downgrade(&world)));
        world
    }

    /// The world `id`, if it is still running.
    pub fn running(id: u32) -> Option<Arc<World>> {
        WORLDS.lock().iter().find(|(i, _)| *i == id).and_then(|(_, world)| world.upgrade())
    }

    fn retire(&self) {
        WORLDS.lock().retain(|(id, _)| *id != self.id);
    }

    /// The run's own clock.
    pub fn now(&self) -> Duration {
        self.sched.as_ref().map_or_else(|| self.started.elapsed(), Sched::now)
    }

    pub fn failed(&self) -> bool {
        self.state.lock().failure.is_some()
    }

    /// Records a failure, unless there is one already, and makes the run end.
    #[track_caller]
    pub fn fail(&self, kind: FailureKind, message: String, here: Option<&Here>) {
        let caller = panic::Location::caller();
        let place =
            (kind == FailureKind::Test).then(|| format!("{}:{}", caller.file(), caller.line()));
        let thread = here.map_or_else(String::new, Here::title);
        self.record(self.failure(kind, message, thread, PanicNote { place, backtrace: None }));
    }

    /// As [`fail`](World::fail), of something that began at `since`.
    pub fn fail_since(
        &self,
        kind: FailureKind,
        message: String,
        here: Option<&Here>,
        since: Option<Duration>,
    ) {
        let thread = here.map_or_else(String::new, Here::title);
        let note = PanicNote { place: None, backtrace: None };
        self.record(Failure { since, ..self.failure(kind, message, thread, note) });
    }

    fn failure(
        &self,
        kind: FailureKind,
        message: String,
        thread: String,
        note: PanicNote,
    ) -> Failure {
        Failure {
            kind,
            message,
            thread,
            at: self.now(),
            since: None,
            seed: self.seed,
            place: note.place,
            backtrace: note.backtrace,
            simulated: self.sched.is_some(),
        }
    }

    fn record(&self, mut failure: Failure) {
        if let Some(sched) = &self.sched {
            let more = report::long_waits(&failure.message, &sched.waits(), failure.at);
            failure.message.push_str(&more);
        }
        let mut state = self.state.lock();
        if matches!(
            failure.kind,
            FailureKind::TimeLimit | FailureKind::Deadlock | FailureKind::Stuck
        ) {
            for Calling { here, what, since, .. } in &state.calling {
                let (thread, what, since) = (here.title(), what(), since.as_secs_f64());
                let line = format!("\n  {thread} has been in {what} since {since:.6} s");
                failure.message.push_str(&line);
            }
        }
        state.failure.get_or_insert(failure);
        drop(state);
        self.trace.mute();
        self.changed.notify_all();
        if let Some(sched) = &self.sched {
            sched.end_all();
        }
    }

    /// Records a panic of the current thread, unless it only was unwound by the run.
    pub fn caught(&self, here: &Here, payload: &(dyn Any + Send)) {
        if payload.is::<Crash>() {
            return;
        }
        let note = LAST_PANIC.with_borrow_mut(Option::take);
        let note = note.unwrap_or(PanicNote { place: None, backtrace: None });
        let message = panic_text(payload);
        self.record(self.failure(FailureKind::Panic, message, here.title(), note));
    }

    /// Sleeps on the wall clock, but ends the thread at once if the run fails meanwhile.
    pub fn sleep_or_unwind(&self, duration: Duration) {
        let clock = WallClock::start();
        let mut state = self.state.lock();
        while state.failure.is_none() && clock.elapsed() < duration {
            let left = duration.saturating_sub(clock.elapsed());
            self.changed.wait_for(&mut state, left);
        }
        if state.failure.is_some() && !std::thread::panicking() {
            drop(state);
            unwind();
        }
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(a panic without a text)".into())
}

impl Run {
    /// A run under the seeded scheduler, in virtual time; on threads, unless `LABRPC_BACKEND=coroutines` says otherwise.
    pub fn simulated(seed: u64) -> Run {
        let logs = Logs::default();
        let backend = Backend::of_env();
        Run { seed, simulated: true, backend, time_limit: DAY, patience: None, logs, sink: None }
    }

    /// A run on free threads and the wall clock. The seed decides the network's and the tester's draws, but not
    /// the order in which threads run.
    pub fn real(seed: u64) -> Run {
        Run { simulated: false, ..Run::simulated(seed) }
    }

    /// What the threads of a simulation are.
    pub fn backend(mut self, backend: Backend) -> Run {
        self.backend = backend;
        self
    }

    fn sched(&self) -> Sched {
        let carrier = (self.backend == Backend::Coroutines).then(Arc::<Carrier>::default);
        Sched::new(self.seed, self.time_limit, self.patience, carrier)
    }

    /// Fails the run when its own clock passes `limit`: a day, if not set.
    pub fn time_limit(mut self, limit: Duration) -> Run {
        self.time_limit = limit;
        self
    }

    /// Ends a simulation as [`FailureKind::Stuck`] when for so long nothing has happened that its main thread could wait for
    /// (nobody called [`note_progress`]) and nobody was held back on purpose ([`excuse`]): if then the main thread waits
    /// without a deadline, or anybody for a lock, all this time. A call that is to return soon ([`calling_briefly`]) ends
    /// it, too, whoever is held back. Without this, and in real mode, nothing ends it before the [time limit](Run::time_limit).
    pub fn patience(mut self, patience: Duration) -> Run {
        self.patience = Some(patience);
        self
    }

    /// What becomes of log lines.
    pub fn logs(mut self, logs: Logs) -> Run {
        self.logs = logs;
        self
    }

    /// Sends the run's events to `sink`. A simulation takes the same course whether anybody listens or not.
    pub fn trace(mut self, sink: impl Sink) -> Run {
        self.sink = Some(Box::new(sink));
        self
    }

    /// Runs `body` to its end, or to the first failure in any thread.
    ///
    /// In a simulation every thread of the run has ended when this returns, except after
    /// [`FailureKind::Stall`] (nobody can stop a thread that spins). In real mode the body is to stop its threads.
    pub fn run<R, F>(mut self, body: F) -> Outcome<R>
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        install_panic_hook();
        let limit = self.time_limit;
        let world = World::new(&mut self);
        let slot = Arc::new(Mutex::new(None));
        let (at_end, result) = (world.clone(), slot.clone());
        let body = move || {
            let value = panic::catch_unwind(AssertUnwindSafe(body));
            let value = value.map_err(|payload| {
                if let Some(here) = here() {
                    at_end.caught(&here, &*payload);
                }
            });
            *result.lock() = value.ok();
            at_end.state.lock().body_ended = true;
            at_end.changed.notify_all();
        };
        let group = Group::of_world("test", &world);
        match &world.sched {
            Some(sched) => sched.drive(&world, group, Box::new(body)),
            None => world.drive_real(group, Box::new(body), limit),
        }
        world.trace.close();
        world.retire();
        let mut state = world.state.lock();
        let (failure, warnings) = (state.failure.take(), std::mem::take(&mut state.warnings));
        drop(state);
        let value = slot.lock().take();
        let (fold, steps) = world.sched.as_ref().map_or((0, 0), Sched::fingerprint);
        let streams = [&world.network, &world.tester, &world.user];
        Outcome {
            result: match (failure, value) {
                (Some(failure), _) => Err(failure),
                (None, Some(value)) => Ok(value),
                (None, None) => unreachable!("a body that did not return has failed"),
            },
            lab_time: world.now(),
            fingerprint: streams.iter().fold(fold, |f, s| mix(f, s.fingerprint())),
            steps,
            warnings,
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One step of a hash that is the same on every machine.
pub(crate) fn mix(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23)
}

/// Threads of a run don't print their panics: the run's failure carries them.
fn install_panic_hook() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if here().is_none() {
                return before(info);
            }
            let trace = std::backtrace::Backtrace::capture();
            let captured = trace.status() == std::backtrace::BacktraceStatus::Captured;
            let note = PanicNote {
                place: info.location().map(|l| format!("{}:{}", l.file(), l.line())),
                backtrace: captured.then(|| own_frames(&trace.to_string())),
            };
            LAST_PANIC.with_borrow_mut(|last| *last = Some(note));
        }));
    });
}

/// The frames of a backtrace between the panic's machinery and that of the thread's start.
fn own_frames(backtrace: &str) -> String {
    let mut frames: Vec<String> = Vec::new();
    for line in backtrace.lines() {
        let begins = line.trim_start().starts_with(|c: char| c.is_ascii_digit());
        match frames.last_mut() {
            Some(frame) if !begins => *frame = format!("{frame}\n{line}"),
            _ => frames.push(line.to_string()),
        }
    }
    let panics = |frame: &String| frame.contains("panicking::") || frame.contains("begin_unwind");
    let first = frames.iter().position(|frame| frame.contains("begin_unwind")).unwrap_or(0);
    let own = frames.into_iter().skip(first).skip_while(panics);
    let own: Vec<_> = own.take_while(|frame| !frame.contains("catch_unwind")).collect();
    own.join("\n")
}
