//! What a test tells its run, so that the run can find out whether it is stuck, and why.

use super::{Here, World, here, with_here};
use crate::sched::Sched;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A thread of the test that is inside the code under test.
pub(crate) struct Calling {
    number: u64,
    pub here: Arc<Here>,
    pub what: Words,
    pub since: Duration,
    /// Whether the call should return soon, whatever the network does.
    brief: bool,
}

/// A text that only a report needs, so it is made only for a report.
pub(crate) type Words = Box<dyn Fn() -> String + Send>;

/// Runs `f`, and notes meanwhile that the test is inside `what`. If `f` hangs, the report shows `what`.
pub fn calling<R>(what: impl FnOnce() -> String, f: impl FnOnce() -> R) -> R {
    let what = what();
    inside(Box::new(move || what.clone()), false, f)
}

/// Like [`calling`], for a call that should return soon, whatever the network does. If it does not, the run is
/// [stuck](crate::run::Run::patience).
pub fn calling_briefly<R>(what: impl Fn() -> String + Send + 'static, f: impl FnOnce() -> R) -> R {
    inside(Box::new(what), true, f)
}

fn inside<R>(what: Words, brief: bool, f: impl FnOnce() -> R) -> R {
    let Some(here) = here() else { return f() };
    let since = here.world.now();
    let mut state = here.world.state.lock();
    state.calls += 1;
    let number = state.calls;
    state.calling.push(Calling { number, here: here.clone(), what, since, brief });
    drop(state);
    let result = f();
    here.world.state.lock().calling.retain(|calling| calling.number != number);
    result
}

/// Notes that something has happened that a test may wait for; see [`Run::patience`](crate::run::Run::patience).
pub fn note_progress() {
    with_here(|here| here.world.sched.as_ref().map(Sched::note_progress));
}

/// Notes whether, from now on, the test holds a server or a message back on purpose. While it does, the run may make no progress;
/// see [`Run::patience`](crate::run::Run::patience).
pub fn excuse(yes: bool) {
    with_here(|here| here.world.sched.as_ref().map(|sched| sched.excuse(yes)));
}

/// Notes that for the rest of the run the test may hold a server or a message back at any time; see
/// [`Run::patience`](crate::run::Run::patience).
pub fn excuse_for_good() {
    with_here(|here| here.world.sched.as_ref().map(Sched::excuse_for_good));
}

/// How often the threads of servers have slept in this run, and how often they have read the clock or waited with a timeout.
/// Counted only in a simulation.
pub fn timekeeping() -> (u64, u64) {
    with_here(|here| here.world.timekeeping()).unwrap_or_default()
}

/// If the threads of servers sleep but never read labrpc's clock, returns a text that says so and explains the likely mistake. For
/// failures in which no timer seems to fire.
pub fn suspect_the_clock() -> Option<String> {
    with_here(|here| here.world.suspected_clock()).flatten()
}

impl World {
    fn timekeeping(&self) -> (u64, u64) {
        let (sleeps, readings) = &self.timekeeping;
        (sleeps.load(Ordering::Relaxed), readings.load(Ordering::Relaxed))
    }

    /// See [`suspect_the_clock`].
    pub fn suspected_clock(&self) -> Option<String> {
        let (sleeps, readings) = self.timekeeping();
        (sleeps > 0 && readings == 0).then(|| {
            format!(
                "the servers' threads have slept {sleeps} times, but none of them has read labrpc's clock. A timer that reads \
                 std::time::Instant or SystemTime hardly moves in a simulation, where a virtual second takes microseconds of \
                 real time: use labrpc::time::Instant"
            )
        })
    }

    /// Of the running calls that should return soon, the one that has lasted longest. Returns its thread, what was called, and
    /// since when.
    pub fn longest_brief_call(&self) -> Option<(String, String, Duration)> {
        let state = self.state.lock();
        let brief = state.calling.iter().filter(|calling| calling.brief);
        let longest = brief.min_by_key(|calling| calling.since)?;
        Some((longest.here.title(), (longest.what)(), longest.since))
    }
}
