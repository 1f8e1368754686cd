//! What a simulated thread does where it may yield, wait or crash.

use super::Here;
use super::unwind::unwind;
use crate::failure::FailureKind;
use crate::sched::{Key, Sched, Task, Wait};
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// A thread of a slow group pauses when it has just been started with a chance of one in
/// [`Hiccups::one_in`](crate::thread::Hiccups::one_in) times this number. At other yield points the number is
/// `YIELD_ONE_IN` in `sched/dice.rs`.
const HICCUP_AT_START: u32 = 2;

/// The same number for a thread that has just released a lock. It is larger, because threads release locks more often than they
/// start.
const HICCUP_AFTER_LOCK: u32 = 4;

/// A crashed task that has caught its unwinding this many times is suspended for ever.
const UNWOUND_LIMIT: u32 = 100;

impl Here {
    pub(crate) fn sched(&self) -> Option<(&Sched, &Arc<Task>)> {
        self.world.sched.as_ref().zip(self.task.as_ref())
    }

    /// A yield point: another task may run next, if the seed says so.
    #[track_caller]
    pub fn point(&self) {
        let Some((sched, task)) = self.sched() else {
            return;
        };
        self.may_crash();
        if std::thread::panicking() {
            return; // a thread unwinds without a yield, unless its destructors wait
        }
        if sched.point(task, Location::caller(), |dice| self.group.hiccup(dice, 1)) {
            self.unwind_if_crashed();
        }
    }

    /// A thread has just been started. If its group is [slow](crate::thread::Hiccups), it may pause before its first statement.
    pub fn started(&self) {
        self.hiccup(HICCUP_AT_START);
    }

    /// A thread has just released a lock. If its group is slow, it may pause here.
    pub fn let_go(&self) {
        self.hiccup(HICCUP_AFTER_LOCK);
    }

    /// Pauses for a while, if the seed says so. Consumes no random number unless hiccups are on, so a seed still gives the same
    /// run as before in runs without hiccups.
    fn hiccup(&self, divided_by: u32) {
        let Some((sched, task)) = self.sched().filter(|_| self.group.is_slow()) else { return };
        if sched.pause(task, |dice| self.group.hiccup(dice, divided_by)) {
            self.unwind_if_crashed();
        }
    }

    /// Yields: another task that is ready may run first. The seed decides.
    #[track_caller]
    pub fn yield_now(&self) {
        let Some((sched, task)) = self.sched() else {
            return;
        };
        self.may_crash();
        if std::thread::panicking() {
            return;
        }
        sched.yield_now(task, Location::caller());
        self.unwind_if_crashed();
    }

    /// Waits until another task unparks one of `keys`, or until `deadline`. Returns true if the deadline has passed.
    /// May also return for no reason, so callers must check their condition again.
    pub fn park(&self, keys: &[Key], deadline: Option<Duration>, wait: Wait) -> bool {
        self.may_crash();
        let timed_out = self.park_through_crash(keys, deadline, wait);
        self.unwind_if_crashed();
        timed_out
    }

    /// A place where the task's group, and so the task, may crash.
    pub fn may_crash(&self) {
        self.pass_point();
        self.unwind_if_crashed();
    }

    /// Like [`park`](Here::park), but does not unwind a crashed task. The caller can first restore what destructors need.
    pub fn park_through_crash(&self, keys: &[Key], deadline: Option<Duration>, wait: Wait) -> bool {
        self.sched().is_some_and(|(sched, task)| sched.park(task, keys, deadline, wait))
    }

    /// Unwinds the current task if it has crashed. A crashed task is resumed only to unwind; its destructors may still wait.
    pub fn unwind_if_crashed(&self) {
        let Some((sched, task)) = self.sched() else {
            return;
        };
        if self.is_crashed() && !std::thread::panicking() {
            if task.note_unwound() >= UNWOUND_LIMIT {
                let text = format!(
                    "{} can't be ended: again and again it catches the unwinding that should end it",
                    self.title()
                );
                self.world.fail(FailureKind::Leak, text, Some(self));
                sched.abandon(task, self.group.id());
            }
            unwind();
        }
    }

    /// Wakes one task that waits for `key`.
    pub fn unpark_one(&self, key: Key) {
        if let Some((sched, _)) = self.sched() {
            sched.unpark_one(key);
        }
    }

    /// Wakes every task that waits for `key`.
    pub fn unpark_all(&self, key: Key) {
        if let Some((sched, _)) = self.sched() {
            sched.unpark_all(key);
        }
    }

    /// See [`Sched::note_holder`].
    pub fn note_holder(
        &self,
        address: usize,
        holder: Option<(u64, Option<&'static Location<'static>>)>,
    ) {
        if let Some((sched, _)) = self.sched() {
            sched.note_holder(address, holder);
        }
    }

    /// Whether the current task must unwind: the run or its group ends it, or a group that it visits has crashed. Its destructors
    /// must not wait for others for ever.
    pub fn is_crashed(&self) -> bool {
        self.task.as_ref().is_some_and(|task| task.is_crashed() || self.group.has_crashed())
    }

    /// Notes which group the current task visits, other than its own. Returns the group that it visited before.
    pub fn visit(&self, group: Option<u64>) -> Option<u64> {
        let (sched, task) = self.sched()?;
        sched.visit(task.id, group)
    }

    /// The current task was unwound, but only out of a group that it visited. So this does not count as unwinding of the task
    /// itself.
    pub fn was_unwound_for_another(&self) {
        if let Some(task) = &self.task {
            task.forget_unwinding();
        }
    }

    /// A number below `n` that the seed chooses.
    pub fn choose(&self, n: usize) -> usize {
        self.sched().map_or(0, |(sched, _)| sched.choose(n))
    }

    pub fn task_id(&self) -> u64 {
        self.task.as_ref().map_or(0, |task| task.id)
    }
}
