//! The record of which task waits for what, and where.

use smallvec::SmallVec;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// What a parked task waits for. Keys are never shown and never iterated over, so addresses do not make runs differ here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    /// A lock or condition variable, identified by its address.
    Address(usize),
    /// A channel, identified by its number.
    Channel(u64),
    /// A waiting receiver of a channel, identified by the channel's number.
    Receiver(u64),
    /// The end of a task.
    Task(u64),
    /// The end of a task of a group, or a crash of the group.
    Group(u64),
}

/// The keys that one task waits for: usually one, in a `select!` a few.
pub(crate) type Keys = SmallVec<[Key; 3]>;

/// The tasks that wait for each key, in the order in which they came.
#[expect(clippy::disallowed_types, reason = "it is never iterated over")]
pub(super) type Waiters =
    std::collections::HashMap<Key, SmallVec<[u64; 4]>, rustc_hash::FxBuildHasher>;

/// Why and where a task parks, for reports.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    pub what: &'static str,
    pub place: &'static Location<'static>,
    pub lock: Option<usize>,
}

impl Wait {
    #[track_caller]
    pub fn new(what: &'static str) -> Wait {
        Wait::at(what, Location::caller())
    }

    pub fn at(what: &'static str, place: &'static Location<'static>) -> Wait {
        Wait { what, place, lock: None }
    }

    /// A wait for the lock at this address.
    #[track_caller]
    pub fn lock(address: usize) -> Wait {
        Wait::lock_at(address, Location::caller())
    }

    pub fn lock_at(address: usize, place: &'static Location<'static>) -> Wait {
        Wait { what: "lock", place, lock: Some(address) }
    }

    pub fn place(&self) -> &'static Location<'static> {
        self.place
    }

    pub fn is_receiving(&self) -> bool {
        matches!(self.what, RECEIVE | SELECT)
    }
}

/// The name of a wait for a message, in reports.
pub(crate) const RECEIVE: &str = "receive";
/// The name of a wait in a `select!`.
pub(crate) const SELECT: &str = "select!";
/// The name of a wait until a message is received, or until there is room for it.
pub(crate) const SEND: &str = "send";

/// The task that holds a lock.
#[derive(Clone, Copy)]
pub(super) struct Holder {
    pub task: u64,
    pub taken_at: Option<&'static Location<'static>>,
}

/// A line of a report: which thread waits for what.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub thread: String,
    pub what: &'static str,
    pub place: &'static Location<'static>,
    pub since: Duration,
    /// The holder of the lock that the thread waits for.
    pub holder: Option<String>,
    /// Where the holder took the lock.
    pub taken_at: Option<&'static Location<'static>>,
    /// Where the thread was started, if it has no name.
    pub spawned: Option<&'static Location<'static>>,
}

impl Waiting {
    /// Whether the waits of two threads with the same name differ only in when they began.
    pub fn is_like(&self, other: &Waiting) -> bool {
        let of = |w: &Waiting| (w.thread.clone(), w.what, w.place, w.holder.clone(), w.spawned);
        of(self) == of(other)
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.as_secs_f64();
        write!(
            f,
            "{} has waited since {since:.6} s: {} at {}",
            self.thread, self.what, self.place
        )?;
        if let Some(holder) = &self.holder {
            write!(f, ", held by {holder}")?;
        }
        if let Some(place) = self.taken_at {
            write!(f, ", which took it at {place}")?;
        }
        match self.spawned {
            Some(place) => write!(f, " (a thread without a name, spawned at {place})"),
            None => Ok(()),
        }
    }
}

pub(super) struct Parked {
    pub keys: Keys,
    pub wait: Wait,
    pub since: Duration,
    /// Whether the wait has a deadline, so that it ends by itself.
    pub has_deadline: bool,
}

impl Parked {
    /// The lock that the task waits for, if it waits for one.
    pub(super) fn lock(&self) -> Option<usize> {
        self.wait.lock
    }

    pub(super) fn is_sending(&self) -> bool {
        self.wait.what == SEND
    }

    /// The wait and its place for reports: `sleep at src/raft.rs:7`.
    pub(super) fn describe(&self) -> String {
        format!("{} at {}", self.wait.what, self.wait.place)
    }

    pub(super) fn is_for_lock(&self) -> bool {
        self.wait.lock.is_some()
    }
}

/// A thread of a group that has not ended, for a report.
#[derive(Clone, Debug)]
pub struct Straggler {
    /// The names of its group and of the thread: `S1/ticker`.
    pub thread: String,
    /// What the thread waits for, and where. Known only in a simulation.
    pub stands: Option<String>,
    /// Where the thread was started, if user code started it.
    pub spawned: Option<String>,
    /// How much CPU time the thread has used so far. Known only on Linux in real mode.
    pub cpu: Option<Duration>,
}
