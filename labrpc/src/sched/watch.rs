//! How the watchdog, which is outside the simulation, sees that a simulation makes no steps.

use super::Sched;
use super::cpu::OsThread;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What the watchdog saw at its last look.
#[derive(Default)]
pub(super) struct Look {
    steps: u64,
    /// How many looks in a row saw hardly any steps, although a CPU was free for them.
    stalled: u32,
    /// The OS thread that should run, and how much CPU time it had used.
    thread: Option<(OsThread, Duration)>,
}

/// If a simulation makes fewer steps than this between two looks of the watchdog, it counts as stalled. Normally it makes
/// hundreds of thousands.
const HARDLY_ANY: u64 = 50;

/// If a thread wants to run but gets less CPU time than this between two looks, other programs use the CPU.
const NO_CPU: Duration = Duration::from_millis(10);

impl Sched {
    /// If hardly anything has happened between the last `ticks` calls of this, returns the name of the thread that runs.
    pub fn stalled_for(&self, ticks: u32) -> Option<String> {
        let steps = self.steps.load(Ordering::Relaxed);
        let mut core = self.core.lock();
        let few = steps - core.last_look.steps < HARDLY_ANY;
        let thread = core.tasks.get(&core.running).and_then(|slot| slot.task.baton.os_thread());
        let starved = few && core.last_look.is_starved(thread);
        let look = &mut core.last_look;
        look.steps = steps;
        look.stalled = match few {
            true => look.stalled + u32::from(!starved),
            false => 0,
        };
        let stalled = look.stalled >= ticks;
        let title =
            core.tasks.get(&core.running).map_or("(nobody)".into(), |slot| slot.full_title());
        stalled.then_some(title)
    }
}

impl Look {
    /// Whether the thread that should run wants to run but gets no CPU time, because the machine is busy with other programs.
    fn is_starved(&mut self, thread: Option<OsThread>) -> bool {
        let need = thread.and_then(|thread| Some((thread, thread.need()?)));
        let before = self.thread.take();
        let Some((thread, (wants, ran))) = need else { return false };
        self.thread = Some((thread, ran));
        // If this is another thread than at the last look, it has only just begun to run, so there is nothing to compare.
        let before = before.filter(|(same, _)| *same == thread);
        wants && before.is_none_or(|(_, before)| ran.saturating_sub(before) < NO_CPU)
    }
}
