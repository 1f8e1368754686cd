//! Threads that a server leaves behind when it is killed.

use super::lifecycle::PATIENCE;
use labrpc::run;
use labrpc::thread::{Group, Straggler};
use labrpc::time::{Duration, Instant, sleep};
use std::collections::BTreeMap;

/// In real mode, how long the CPU time of the threads is measured.
const MEASURED: Duration = Duration::from_millis(500);

/// A description of the threads that still run after `kill()`; `None` if there are none. `handlers` are RPC handlers that still
/// run: only their names are known.
pub(super) fn describe(groups: &[Group], handlers: &[String]) -> Option<String> {
    let left = stragglers(groups);
    let all = left.len() + handlers.len();
    if all == 0 {
        return None;
    }
    let threads =
        if all == 1 { "1 thread still runs" } else { &format!("{all} threads still run") };
    let mut text = format!("{PATIENCE:?} after kill() {threads}:");
    for ((stands, spawned, _), names) in by_kind(&left) {
        text.push_str(&format!("\n  {}: {stands}, spawned at {spawned}", some_of(&names)));
    }
    if !handlers.is_empty() {
        text.push_str(&format!("\n  {}: an RPC handler", handlers.join(", ")));
    }
    text.push_str(
        "\n  kill() must wake every thread of a server: those that wait for a condition variable, for a reply, for the \
         clock, or for the service to read the apply channel",
    );
    text.push_str(&consequences(groups));
    Some(text)
}

fn stragglers(groups: &[Group]) -> Vec<Straggler> {
    groups.iter().flat_map(Group::stragglers).collect()
}

/// Threads with the same name that stand at the same place are of one kind, even if they belong to different servers.
fn by_kind(left: &[Straggler]) -> BTreeMap<(&str, &str, &str), Vec<&str>> {
    let mut kinds: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for thread in left {
        let stands = thread.stands.as_deref().unwrap_or("where it stands is not known");
        let spawned = thread.spawned.as_deref().unwrap_or("a place that is not known");
        let name = thread.thread.rsplit('/').next().unwrap_or_default();
        kinds.entry((stands, spawned, name)).or_default().push(&thread.thread[..]);
    }
    kinds
}

/// The names; if there are many, the first ones.
fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// What the threads cost later tests. In a simulation they cost nothing, because the run unwinds them when it ends.
fn consequences(groups: &[Group]) -> String {
    if run::in_simulation() {
        return String::new();
    }
    let load = match load(groups) {
        Some(load) => format!("take {:.0} % of a CPU", load * 100.0),
        None => "take an unknown share of the CPU".into(),
    };
    format!(
        "\n  In real mode the tester can't end these threads. They run on during later tests, and {load}. This may distort \
         what later tests measure by the clock: speed, the time until a leader is elected or a command is agreed on"
    )
}

/// How many CPUs the threads keep busy, if the system reports it.
fn load(groups: &[Group]) -> Option<f64> {
    let cpu = || stragglers(groups).iter().map(|thread| thread.cpu).sum::<Option<Duration>>();
    let (before, began) = (cpu()?, Instant::now());
    sleep(MEASURED);
    Some(cpu()?.saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64())
}
