//! What a test tells its run, so that the run can tell whether it is stuck, and why.

use super::{Here, World, here, with_here};
use crate::sim::sched::Sched;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A thread of the test inside code under test.
pub(super) struct Calling {
    number: u64,
    pub here: Arc<Here>,
    pub what: Words,
    pub since: Duration,
    /// Whether it is to return soon, whatever the network does.
    brief: bool,
}

/// Words that only a report needs, so that nobody makes them before.
pub(super) type Words = Box<dyn Fn() -> String + Send>;

/// Runs `f` while noting that the test is inside `what`, so that a hang in there is reported by that name.
pub fn calling<R>(what: impl FnOnce() -> String, f: impl FnOnce() -> R) -> R {
    let what = what();
    inside(Box::new(move || what.clone()), false, f)
}

/// As [`calling`], of something that returns soon, whatever the network does: if it doesn't, the run is
/// [stuck](super::Run::patience).
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

/// Something has happened that a test may wait for; see [`Run::patience`](super::Run::patience).
pub fn note_progress() {
    with_here(|here| here.world.sched.as_ref().map(Sched::note_progress));
}

/// Whether the test holds somebody back on purpose from now on, so that nothing needs to happen; see [`Run::patience`](super::Run::patience).
pub fn excuse(yes: bool) {
    with_here(|here| here.world.sched.as_ref().map(|sched| sched.excuse(yes)));
}

/// For the rest of the run the test may hold somebody back at any time; see [`Run::patience`](super::Run::patience).
pub fn excuse_for_good() {
    with_here(|here| here.world.sched.as_ref().map(Sched::excuse_for_good));
}

/// How often the threads of servers have slept in this run, and how often they have asked for the time, or waited with
/// a timeout. Only a simulation counts.
pub fn timekeeping() -> (u64, u64) {
    let read = |here: &Here| {
        let (sleeps, readings) = &here.world.timekeeping;
        (sleeps.load(Ordering::Relaxed), readings.load(Ordering::Relaxed))
    };
    with_here(read).unwrap_or_default()
}

/// That the threads of servers sleep and never ask for the time, and what that may mean. For failures where no timer
/// seems to fire.
pub fn suspect_the_clock() -> Option<String> {
    let (sleeps, readings) = timekeeping();
    (sleeps > 0 && readings == 0).then(|| {
        format!(
            "the servers' threads have slept {sleeps} times, and none of them has asked labrpc for the time. A timer that \
             reads std::time::Instant or SystemTime stands still in a simulation, where a second takes microseconds: use \
             labrpc::time::Instant"
        )
    })
}

impl World {
    /// Of the calls that are to return soon, and are under way, the one that has lasted longest: by whom, what, since when.
    pub fn longest_brief_call(&self) -> Option<(String, String, Duration)> {
        let state = self.state.lock();
        let brief = state.calling.iter().filter(|calling| calling.brief);
        let longest = brief.min_by_key(|calling| calling.since)?;
        Some((longest.here.title(), (longest.what)(), longest.since))
    }
}
