//! The failure messages about threads that wait for each other.

use super::waiting::Waiting;
use std::fmt::Write;
use std::time::Duration;

/// No thread is ready and no timer is left.
pub(crate) fn deadlock(waits: &[Waiting]) -> String {
    format!("every thread waits, and nothing is left that could wake one{}", lines(waits))
}

/// The same, if some of the threads wait for each other; `circle` names these.
pub(crate) fn deadlock_around(circle: &str, waits: &[Waiting]) -> String {
    let others: Vec<_> =
        waits.iter().filter(|wait| !circle.contains(&wait.to_string())).cloned().collect();
    match others[..] {
        [] => circle.to_string(),
        _ => {
            format!("{circle}\n  because of these, every other thread waits too:{}", lines(&others))
        }
    }
}

/// A line for each wait. Threads with the same name that wait for the same thing at the same place share one line.
fn lines(waits: &[Waiting]) -> String {
    let mut kinds: Vec<(&Waiting, usize)> = Vec::new();
    for wait in waits {
        match kinds.iter_mut().find(|(other, _)| other.is_like(wait)) {
            Some((_, count)) => *count += 1,
            None => kinds.push((wait, 1)),
        }
    }
    let mut text = String::new();
    for (first, count) in kinds {
        let _ = write!(text, "\n  {first}");
        if count > 1 {
            let _ = write!(text, " (and {} more threads like it)", count - 1);
        }
    }
    text
}

/// Threads wait for each other's locks. `circle` starts with the thread that closed the circle.
pub(crate) fn lock_circle(circle: &[Waiting]) -> String {
    let mut text = match circle {
        [alone] => format!("{} takes a lock that it already holds", alone.thread),
        _ => "threads wait for each other's locks in a circle".to_string(),
    };
    text.push_str(&lines(circle));
    text
}

/// The clock passed the limit.
pub(crate) fn time_limit(limit: Duration, waits: &[Waiting]) -> String {
    format!("the run was still going after {limit:?} of virtual time{}", lines(waits))
}

/// Threads wait for each other, but not only for locks.
pub(crate) fn circle(circle: &[Waiting], since: Duration) -> String {
    format!(
        "threads have waited for each other in a circle since {:.6} s. Release a lock before you wait for another thread \
         to receive a message, to send one, or to end{}",
        since.as_secs_f64(),
        lines(circle)
    )
}

/// A thread of the test is inside a call that should return soon.
pub(crate) fn no_return(thread: &str, what: &str, patience: Duration, waits: &[Waiting]) -> String {
    format!(
        "{what}, called by {thread}, has not returned for {patience:?} of virtual time. The lab expects this call to \
         return soon: it may wait for a lock, but for nothing else{}",
        lines(waits)
    )
}

/// A lock is not released for too long.
pub(crate) fn long_lock(longest: &Waiting, patience: Duration, waits: &[Waiting]) -> String {
    let holders = waits.iter().filter(|wait| Some(&wait.thread) == longest.holder.as_ref());
    let told: Vec<_> = std::iter::once(longest).chain(holders).cloned().collect();
    format!(
        "{} has waited for a lock for {patience:?} of virtual time, and the lock's holder does not release it{}",
        longest.thread,
        lines(&told)
    )
}

/// The test waits, and nothing happens.
pub(crate) fn nothing_happens(
    calm: Duration,
    patience: Duration,
    waits: &[Waiting],
    suspicion: Option<String>,
) -> String {
    let suspicion = suspicion.map_or(String::new(), |text| format!("\n  {text}"));
    format!(
        "nothing has happened for {patience:?} of virtual time, from {:.6} s on: no command was accepted or applied, no term or \
         role changed, and nothing was saved. The test did not cause this, because it held no server or message \
         back{suspicion}{}",
        calm.as_secs_f64(),
        lines(waits)
    )
}

/// A thread that never lets virtual time jump.
pub(crate) fn spin(thread: &str, steps: u64) -> String {
    format!(
        "{thread} spins: for {steps} steps some thread was always ready to run, and mostly it was this thread. Virtual time \
         jumps ahead only while all threads wait. So wait with a Condvar, a channel or a sleep, and not in a loop that checks \
         again and again"
    )
}

/// A thread that never comes back to the scheduler.
pub(crate) fn stall(thread: &str, wall: Duration) -> String {
    format!(
        "in {wall:?} of real time, {thread} hardly ever reached a lock, a channel, a sleep or an RPC of labrpc. \
         Either it loops without end, or it blocks in something that the simulation can't see: \
         std::thread::sleep, a std Mutex, Condvar, Barrier or channel, the join of a std thread, real I/O. A loop \
         that waits for an atomic, or for a std Instant, is also endless here"
    )
}

/// A wait for a lock that has lasted this long gets a line in every failure.
const LONG: Duration = Duration::from_secs(1);

/// Lines about the threads that have waited long for a lock. They are often the cause of a test's failure. Lines that are already
/// in `text` are left out.
pub(crate) fn long_waits(text: &str, waits: &[Waiting], now: Duration) -> String {
    let long = waits.iter().filter(|w| w.holder.is_some() && now.saturating_sub(w.since) >= LONG);
    let mut told = Vec::new();
    for wait in long {
        told.push(wait.clone());
        told.extend(waits.iter().find(|w| Some(&w.thread) == wait.holder.as_ref()).cloned());
    }
    told.retain(|wait| !text.contains(&wait.to_string()));
    if told.is_empty() { String::new() } else { format!("\n  at that time:{}", lines(&told)) }
}
