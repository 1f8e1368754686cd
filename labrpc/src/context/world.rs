//! The state that the threads of a run share.

use super::events::{Sink, Trace};
use super::stream::Stream;
use super::told::Calling;
use super::unwind::{self, Crash, PanicNote, unwind};
use super::wall::WallClock;
use super::{Here, with_here};
use crate::failure::{Failure, FailureKind};
use crate::sched::{Owner, Sched, report};
use crate::tape::{Deck, source};
use parking_lot::{Condvar, Mutex};
use std::any::Any;
use std::panic::Location;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Where the lines go that a run's threads write with the crate `log`. See [`logging::init`](crate::logging::init).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Logs {
    /// They go to standard error at once.
    #[default]
    Printed,
    /// They become events of the trace.
    Traced,
    /// They are dropped, because this run repeats one whose lines were already shown.
    Dropped,
}

/// The state of a run that its threads share.
pub(crate) struct World {
    pub id: u32,
    pub seed: u64,
    started: WallClock,
    pub network: Arc<Stream>,
    pub tester: Arc<Stream>,
    pub user: Arc<Stream>,
    /// The run's tape, if it is recorded or played.
    pub tape: Option<Arc<Deck>>,
    pub trace: Trace,
    pub logs: Logs,
    pub(crate) timekeeping: (AtomicU64, AtomicU64),
    pub sched: Option<Sched>,
    pub(crate) state: Mutex<RunState>,
    pub(crate) changed: Condvar,
}

#[derive(Default)]
pub(crate) struct RunState {
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
    /// The state of a run that begins. It is simulated if it has a scheduler.
    pub fn new(
        seed: u64,
        sink: Option<Box<dyn Sink>>,
        logs: Logs,
        sched: Option<Sched>,
        tape: Option<Arc<Deck>>,
    ) -> Arc<World> {
        let stream =
            |which, source| Arc::new(Stream::new(seed, which).on_tape(tape.as_ref(), source));
        let world = Arc::new(World {
            id: NEXT_WORLD.fetch_add(1, Ordering::Relaxed),
            seed,
            started: WallClock::start(),
            network: stream(1, source::NETWORK),
            tester: stream(2, source::TESTER),
            user: stream(3, source::USER),
            tape,
            trace: Trace::new(sink),
            logs,
            timekeeping: Default::default(),
            sched,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        if let Some(sched) = &world.sched {
            let owner = Arc::downgrade(&world);
            sched.set_owner(owner);
        }
        let mut worlds = WORLDS.lock();
        worlds.retain(|(_, world)| world.strong_count() > 0);
        worlds.push((world.id, Arc::downgrade(&world)));
        world
    }

    /// The world `id`, if it is still running.
    pub fn running(id: u32) -> Option<Arc<World>> {
        WORLDS.lock().iter().find(|(i, _)| *i == id).and_then(|(_, world)| world.upgrade())
    }

    pub(crate) fn retire(&self) {
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

    pub(crate) fn failure(
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

    pub(crate) fn record(&self, mut failure: Failure) {
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
        let note = unwind::set_last(None);
        let note = note.unwrap_or(PanicNote { place: None, backtrace: None });
        let message = unwind::text_of(payload);
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

impl Owner for World {
    fn fail(&self, kind: FailureKind, text: String, since: Option<Duration>) {
        let note = PanicNote { place: None, backtrace: None };
        self.record(Failure { since, ..self.failure(kind, text, String::new(), note) });
    }

    fn fail_here(&self, kind: FailureKind, text: String) {
        let thread = with_here(Here::title).unwrap_or_default();
        let note = PanicNote { place: None, backtrace: None };
        self.record(self.failure(kind, text, thread, note));
    }

    fn longest_brief_call(&self) -> Option<(String, String, Duration)> {
        self.longest_brief_call()
    }

    fn suspected_clock(&self) -> Option<String> {
        self.suspected_clock()
    }
}
