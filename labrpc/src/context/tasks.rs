//! How a run's threads begin and end in a simulation.

use super::unwind::Crash;
use super::{Group, Here, World, set_here};
use crate::sched::NewTask;
use crate::sched::baton::{Job, Worker};
use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::Arc;

impl World {
    /// Starts a thread in `group`, if this is a simulation. On OS threads, a thread without a name uses one of a pool. Returns the
    /// number of its task.
    pub fn spawn(
        self: &Arc<World>,
        group: &Group,
        name: Option<&str>,
        spawned: Option<&'static Location<'static>>,
        body: Job,
    ) -> Option<u64> {
        self.spawn_as(group, name.unwrap_or("unnamed"), name.is_none(), spawned, body)
    }

    /// Like [`spawn`](World::spawn), but on a pooled thread; `name` is only for reports.
    pub fn spawn_pooled(self: &Arc<World>, group: &Group, name: &str, body: Job) -> Option<u64> {
        self.spawn_as(group, name, true, None, body)
    }

    fn spawn_as(
        self: &Arc<World>,
        group: &Group,
        name: &str,
        pooled: bool,
        spawned: Option<&'static Location<'static>>,
        body: Job,
    ) -> Option<u64> {
        let here =
            Here { world: self.clone(), group: group.clone(), name: name.into(), task: None };
        let new = NewTask { name, title: here.title(), group: group.id(), pooled, spawned };
        let job = |task, back| -> Job {
            let here = Arc::new(Here { task: Some(task), ..here });
            Box::new(move || run_task(&here, body, back))
        };
        self.sched.as_ref().map(|sched| sched.spawn(new, job))
    }
}

/// Runs a task from its begin to its end. If its OS thread is from the pool, it goes back to the pool.
fn run_task(here: &Arc<Here>, body: Job, pool: Option<Arc<Worker>>) {
    let Some((sched, task)) = here.sched() else {
        return;
    };
    set_here(Some(here.clone()));
    let crashed_unborn = task.is_crashed();
    let result = panic::catch_unwind(AssertUnwindSafe(move || {
        if crashed_unborn {
            return drop(body);
        }
        here.started();
        body();
    }));
    if let Err(payload) = result {
        here.world.caught(here, &*payload);
        if !payload.is::<Crash>() {
            // The payload comes from user code, so its destructor may panic.
            let _ = panic::catch_unwind(AssertUnwindSafe(move || drop(payload)));
        }
    }
    sched.exit(task.id, here.group.id(), pool);
    set_here(None);
}
