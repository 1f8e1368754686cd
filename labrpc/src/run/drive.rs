//! Runs a test to its end, either on real threads or under the scheduler with a watchdog.

use crate::context::unwind::PanicNote;
use crate::context::{Group, World};
use crate::failure::FailureKind;
use crate::sched::coroutines::{Carried, Carrier};
use crate::sched::{Sched, cpu, report};
use std::sync::Arc;
use std::time::Duration;

/// How long a real run that has failed may take to notice that and to stop its threads.
const REAL_CLEAN_UP: Duration = Duration::from_secs(15);

impl World {
    pub(super) fn drive_real(
        self: &Arc<World>,
        group: Group,
        body: Box<dyn FnOnce() + Send>,
        limit: Duration,
    ) {
        let handle = crate::thread::spawn_real(self, &group, "main", body);
        let mut state = self.state.lock();
        while !state.body_ended && state.failure.is_none() && self.now() < limit {
            self.changed.wait_for(&mut state, limit.saturating_sub(self.now()));
        }
        if !state.body_ended && state.failure.is_none() {
            drop(state);
            let what = format!("the test was still running after {limit:?}");
            self.fail(FailureKind::TimeLimit, what, None);
            state = self.state.lock();
        }
        let deadline = self.now() + REAL_CLEAN_UP;
        while !state.body_ended && self.now() < deadline {
            self.changed.wait_for(&mut state, deadline.saturating_sub(self.now()));
        }
        if state.body_ended {
            drop(state);
            let _ = handle.join();
        }
    }
}

impl Sched {
    /// Runs `body` as the first task. Returns when every task has ended, or when a task can't be stopped.
    pub(super) fn drive(&self, world: &Arc<World>, group: Group, body: Box<dyn FnOnce() + Send>) {
        let here = world.clone();
        let ended = move || {
            body();
            if let Some(sched) = &here.sched {
                sched.end_all();
            }
        };
        if self.carrier.is_none() {
            self.begin(cpu::claim());
        }
        world.spawn(&group, Some("main"), None, Box::new(ended));
        self.start();
        if let Some(carrier) = self.carrier.clone() {
            self.carry(world, carrier);
        }
        while !self.wait_for_end(WATCHDOG_TICK) {
            let Some(culprit) = self.stalled_for(WATCHDOG_TICKS) else {
                continue;
            };
            if !world.failed() {
                let note = PanicNote { place: None, backtrace: None };
                let message = report::stall(&culprit, WATCHDOG_TICK * WATCHDOG_TICKS);
                world.record(world.failure(FailureKind::Stall, message, culprit, note));
            }
            // A thread that is only slow ends at its next step. A thread that never takes another step is lost, and so are the
            // threads that wait for it.
            if !self.wait_for_end(WATCHDOG_TICK) && self.stalled_for(WATCHDOG_TICKS).is_some() {
                return;
            }
        }
        self.clean_up();
    }
}

impl Sched {
    /// Starts the thread that carries the tasks.
    fn carry(&self, world: &Arc<World>, carrier: Arc<Carrier>) {
        let world = world.clone();
        let carries = move || {
            let carried = carrier.carry();
            let Some(sched) = &world.sched else { return };
            match carried {
                Carried::ToTheEnd => {}
                Carried::Unfit => {
                    let text = "a thread waits while it unwinds, which only OS threads can do";
                    world.fail(FailureKind::Unfit, text.into(), None);
                    sched.give_up_all();
                }
                Carried::Overflow(task) => {
                    let thread = sched.title_of(task);
                    let text = format!("{thread} has overflowed its stack");
                    world.fail(FailureKind::Overflow, text, None);
                    sched.give_up_all();
                }
            }
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "this is where the simulation's threads are made"
        )]
        let thread = std::thread::Builder::new().name("labrpc carrier".into()).spawn(carries);
        self.add_os_thread(thread.expect("the system could not start another thread"));
    }
}

/// The watchdog looks this often. It counts its looks, not seconds. So it does not report a stall after the machine was suspended.
const WATCHDOG_TICK: Duration = Duration::from_millis(500);
const WATCHDOG_TICKS: u32 = 20;
