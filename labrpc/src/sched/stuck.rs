//! Finds out whether the simulation goes on without any use: threads wait for each other, though timers are left, or nothing
//! happens any more that the test could wait for.
//!
//! These checks do not change the run: they consume no random numbers, make no timers and wake no thread.

use super::report;
use super::{Core, Key, Sched, Slot};
use crate::failure::FailureKind;
use parking_lot::MutexGuard;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How often the scheduler makes these checks, in virtual time.
pub(super) const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// Threads that have waited for each other for this long will do so for ever.
const CIRCLE_LASTS: Duration = Duration::from_secs(5);

/// How long nothing may happen in a test, and since when nothing has happened.
pub(super) struct Calm {
    /// How long nothing may happen. `None`: for ever.
    patience: Option<Duration>,
    /// When something happened last, in nanoseconds.
    since: AtomicU64,
    /// Whether the test holds a server or a message back on purpose. Then nothing needs to happen.
    excused: AtomicBool,
    /// Whether the test may do that at any time in the rest of the run.
    excused_for_good: AtomicBool,
}

impl Calm {
    pub fn new(patience: Option<Duration>) -> Calm {
        Calm {
            patience,
            since: AtomicU64::new(0),
            excused: AtomicBool::new(false),
            excused_for_good: AtomicBool::new(false),
        }
    }

    fn since(&self) -> Duration {
        Duration::from_nanos(self.since.load(Relaxed))
    }

    fn is_excused(&self) -> bool {
        self.excused.load(Relaxed) || self.excused_for_good.load(Relaxed)
    }
}

/// What is stuck, and since when.
struct Stuck {
    text: String,
    since: Duration,
}

impl Sched {
    /// Notes that something has happened that a test may wait for.
    pub fn note_progress(&self) {
        self.calm.since.store(self.now().as_nanos() as u64, Relaxed);
    }

    /// Notes that this channel has more than one receiver. So it is not known which thread will read it.
    pub fn note_shared(&self, channel: Key) {
        self.core.lock().shared.insert(channel);
    }

    /// Notes whether, from now on, a server or a message is held back on purpose.
    pub fn excuse(&self, yes: bool) {
        self.calm.excused.store(yes, Relaxed);
        self.note_progress();
    }

    /// Notes that from now on a server or a message may be held back on purpose at any time.
    pub fn excuse_for_good(&self) {
        self.calm.excused_for_good.store(true, Relaxed);
    }

    /// Ends the run if it is stuck.
    pub(super) fn look_for_stuck<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
    ) -> MutexGuard<'a, Core> {
        core.next_look = core.now + LOOKS_EVERY;
        let circle = core.circle(CIRCLE_LASTS);
        let stuck = circle.map(|stuck| (FailureKind::Deadlock, stuck));
        let stuck = stuck.or_else(|| Some((FailureKind::Stuck, self.out_of_patience(&core)?)));
        match stuck {
            Some((kind, Stuck { text, since })) => self.fail_since(core, kind, text, Some(since)),
            None => core,
        }
    }

    /// Ends the run, because every thread waits and no timer is left. If some threads wait for each other in a circle, the failure
    /// names them as the cause.
    pub(super) fn deadlock<'a>(&'a self, core: MutexGuard<'a, Core>) -> MutexGuard<'a, Core> {
        let waits = core.waits();
        let (text, since) = match core.circle(Duration::ZERO) {
            Some(Stuck { text, since }) => (report::deadlock_around(&text, &waits), Some(since)),
            None => (report::deadlock(&waits), None),
        };
        self.fail_since(core, FailureKind::Deadlock, text, since)
    }

    fn out_of_patience(&self, core: &Core) -> Option<Stuck> {
        let patience = self.calm.patience?;
        let too_long = |since: &Duration| core.now.saturating_sub(*since) >= patience;
        let called = self.owner().and_then(|owner| owner.longest_brief_call());
        if let Some((thread, what, since)) = called.filter(|(_, _, since)| too_long(since)) {
            let text = report::no_return(&thread, &what, patience, &core.waits());
            return Some(Stuck { text, since });
        }
        let calm = self.calm.since();
        if self.calm.is_excused() || !too_long(&calm) {
            return None;
        }
        let waits = core.waits();
        let locks = waits.iter().filter(|wait| wait.holder.is_some() && too_long(&wait.since));
        if let Some(longest) = locks.min_by_key(|wait| wait.since) {
            let text = report::long_lock(longest, patience, &waits);
            return Some(Stuck { text, since: longest.since });
        }
        let main = core.tasks.values().next()?.parked.as_ref()?;
        let suspicion = self.owner().and_then(|owner| owner.suspected_clock());
        let text = || report::nothing_happens(calm, patience, &waits, suspicion);
        (!main.has_deadline && too_long(&main.since)).then(|| Stuck { text: text(), since: calm })
    }
}

impl Core {
    /// Finds threads that wait for each other in a circle and that nothing else can wake. The first of them waits for a lock.
    fn circle(&self, lasting: Duration) -> Option<Stuck> {
        let for_a_lock = |slot: &Slot| slot.parked.as_ref().is_some_and(|p| p.lock().is_some());
        let firsts = self.tasks.iter().filter(|(_, slot)| for_a_lock(slot));
        let circle = firsts.into_iter().find_map(|(id, _)| self.circle_from(*id))?;
        let slots = || circle.iter().filter_map(|id| self.tasks.get(id));
        let since = slots().filter_map(|slot| Some(slot.parked.as_ref()?.since)).max()?;
        let waits: Vec<_> = slots().filter_map(|slot| self.waiting(slot)).collect();
        let lasts = self.now.saturating_sub(since) >= lasting;
        lasts.then(|| Stuck { text: report::circle(&waits, since), since })
    }

    fn circle_from(&self, first: u64) -> Option<Vec<u64>> {
        let mut circle = vec![first];
        loop {
            let next = self.waits_for(*circle.last()?)?;
            if next == first {
                return Some(circle);
            }
            if circle.contains(&next) {
                return None; // a circle without `first`; a search from one of its own tasks finds it
            }
            circle.push(next);
        }
    }

    /// The only task that can end this one's wait, if there is only one.
    fn waits_for(&self, id: u64) -> Option<u64> {
        let parked = self.tasks.get(&id)?.parked.as_ref()?;
        if parked.has_deadline {
            return None;
        }
        if let Some(lock) = parked.lock() {
            return self.holders.get(&lock).map(|holder| holder.task);
        }
        match parked.keys[..] {
            [Key::Task(task)] => Some(task),
            [channel] if parked.is_sending() && !self.shared.contains(&channel) => {
                let reads = |slot: &Slot| slot.reads.contains(&channel);
                let mut readers = self.tasks.iter().filter(|(_, slot)| reads(slot));
                let (reader, _) = readers.next()?;
                readers.next().is_none().then_some(*reader)
            }
            _ => None,
        }
    }
}
