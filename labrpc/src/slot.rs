//! A place where one thread leaves a value for another, in real mode.
//!
//! Before the receiving thread sleeps, it checks a few times and yields in between. The reason: waking a sleeping thread costs
//! more than a small call does, and on a busy machine the yield lets the thread run that makes the value.

use crate::channel::Sender;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub(crate) struct Slot<T> {
    state: Mutex<State<T>>,
    /// Whether there is a value. This is read without the lock.
    full: AtomicBool,
    filled: Condvar,
}

enum State<T> {
    Empty,
    Full(T),
    /// The value goes on to this channel.
    Forward(Sender<T>),
}

/// How often to check before sleeping; this takes a few microseconds. With 64 callers on two CPUs, four times as many checks
/// reduced the number of calls by a third.
const LOOKS: usize = 10;

impl<T> Slot<T> {
    pub fn new() -> Slot<T> {
        let state = Mutex::new(State::Empty);
        Slot { state, full: AtomicBool::new(false), filled: Condvar::new() }
    }

    /// Leaves `value`. The slot must be empty.
    pub fn put(&self, value: T) {
        let mut state = self.state.lock();
        if let State::Forward(sender) = &*state {
            sender.deliver(value);
            return;
        }
        *state = State::Full(value);
        self.full.store(true, Ordering::Release);
        drop(state);
        self.filled.notify_one();
    }

    /// Waits for a value and takes it. Returns `None` if the deadline has passed.
    pub fn take(&self, deadline: Option<Instant>) -> Option<T> {
        self.look_for_a_while();
        let mut state = self.state.lock();
        loop {
            if matches!(*state, State::Full(_)) {
                self.full.store(false, Ordering::Relaxed);
                let State::Full(value) = std::mem::replace(&mut *state, State::Empty) else {
                    return None;
                };
                return Some(value);
            }
            match deadline {
                None => self.filled.wait(&mut state),
                Some(at) => {
                    let late = self.filled.wait_until(&mut state, at).timed_out();
                    if late && !matches!(*state, State::Full(_)) {
                        return None;
                    }
                }
            }
        }
    }

    /// Sends the value to `sender`, now or when there is one.
    pub fn forward(&self, sender: Sender<T>) {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Empty) {
            State::Full(value) => sender.deliver(value),
            State::Empty | State::Forward(_) => *state = State::Forward(sender),
        }
    }

    fn look_for_a_while(&self) {
        for _ in 0..LOOKS {
            if self.full.load(Ordering::Acquire) {
                return;
            }
            (0..16).for_each(|_| std::hint::spin_loop());
            std::thread::yield_now();
        }
    }
}
