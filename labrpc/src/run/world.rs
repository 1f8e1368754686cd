//! The state that the threads of a run share.

use super::failure::{Failure, FailureKind};
use super::here::Here;
use super::panics::{self, Crash, PanicNote, unwind};
use super::told::Calling;
use super::{Logs, Run};
use crate::rand::Stream;
use crate::sim::report;
use crate::sim::sched::Sched;
use crate::time::WallClock;
use crate::trace::Trace;
use parking_lot::{Condvar, Mutex};
use std::any::Any;
use std::panic::Location;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

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
    pub(super) timekeeping: (AtomicU64, AtomicU64),
    pub sched: Option<Sched>,
    pub(super) state: Mutex<RunState>,
    pub(super) changed: Condvar,
}

#[derive(Default)]
pub(super) struct RunState {
    pub failure: Option<Failure>,
    pub warnings: Vec<Failure>,
    pub body_ended: bool,
    /// The test's threads that are inside the code under test, for the report of a hang.
    pub calling: Vec<Calling>,
    /// How many such calls the test has made.
    pub calls: u64,
}

/// The worlds that are running. When a thread from outside uses an object, this finds the world that must fail.
static WORLDS: Mutex<Vec<(u32, Weak<World>)>> = Mutex::new(Vec::new());
static NEXT_WORLD: AtomicU32 = AtomicU32::new(1);

impl World {
    pub(super) fn new(run: &mut Run) -> Arc<World> {
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

    pub(super) fn retire(&self) {
        WORLDS.lock().retain(|(id, _)| *id != self.id);
    }

    /// The run's own clock.
    pub fn now(&self) -> Duration {
        self.sched.as_ref().map_or_else(|| self.started.elapsed(), Sched::now)
    }

    pub fn failed(&self) -> bool {
        self.state.lock().failure.is_some()
    }

    /// Records a failure, unless there already is one, and makes the run end.
    #[track_caller]
    pub fn fail(&self, kind: FailureKind, message: String, here: Option<&Here>) {
        let caller = Location::caller();
        let place =
            (kind == FailureKind::Test).then(|| format!("{}:{}", caller.file(), caller.line()));
        let thread = here.map_or_else(String::new, Here::title);
        self.record(self.failure(kind, message, thread, PanicNote { place, backtrace: None }));
    }

    /// Like [`fail`](World::fail), for a failure that began at `since`.
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

    pub(super) fn failure(
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

    pub(super) fn record(&self, mut failure: Failure) {
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

    /// Records a panic of the current thread, unless the run itself unwound the thread.
    pub fn caught(&self, here: &Here, payload: &(dyn Any + Send)) {
        if payload.is::<Crash>() {
            return;
        }
        let note = panics::set_last(None);
        let note = note.unwrap_or(PanicNote { place: None, backtrace: None });
        let message = panics::text_of(payload);
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
