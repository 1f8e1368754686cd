//! What to say when threads wait for each other.

use super::sched::Waiting;
use std::fmt::Write;
use std::time::Duration;

/// Nobody is ready and no timer is left.
pub(crate) fn deadlock(waits: &[Waiting]) -> String {
    let mut text = String::from("every thread waits, and nothing will wake one");
    for wait in waits {
        let _ = write!(text, "\n  {wait}");
    }
    text
}

/// Locks taken in a circle; `circle` starts with the thread that closed it.
pub(crate) fn lock_circle(circle: &[Waiting]) -> String {
    let mut text = match circle {
        [alone] => format!("{} takes a lock that it already holds", alone.thread),
        _ => "locks are taken in a circle".to_string(),
    };
    for wait in circle {
        let _ = write!(text, "\n  {wait}");
    }
    text
}

/// The clock passed the limit.
pub(crate) fn time_limit(limit: Duration, waits: &[Waiting]) -> String {
    let mut text = format!("the run was still going after {limit:?} of virtual time");
    for wait in waits {
        let _ = write!(text, "\n  {wait}");
    }
    text
}

/// A thread that never comes back to the scheduler.
pub(crate) fn stall(thread: &str, wall: Duration) -> String {
    format!(
        "{thread} has run for {wall:?} without reaching a lock, a channel, a sleep or an RPC of labrpc. \
         Either it loops without end, or it blocks in something that the simulation can't see: \
         std::thread::sleep, std::sync::Mutex, a std channel, real I/O"
    )
}

/// How long a wait for a lock must last to be worth a line in every failure.
const LONG: Duration = Duration::from_secs(1);

/// Threads that have waited long for a lock are often the cause of what a test complains of.
pub(crate) fn long_waits(waits: &[Waiting], now: Duration) -> String {
    let long = waits.iter().filter(|w| w.holder.is_some() && now.saturating_sub(w.since) >= LONG);
    let mut text = String::new();
    for wait in long {
        if text.is_empty() {
            text.push_str("\n  meanwhile:");
        }
        let _ = write!(text, "\n  {wait}");
        if let Some(holder) = waits.iter().find(|w| Some(&w.thread) == wait.holder.as_ref()) {
            let _ = write!(text, "\n  {holder}");
        }
    }
    text
}
