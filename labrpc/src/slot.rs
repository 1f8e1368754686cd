//! A place where one thread leaves something for another, in real mode.
//!
//! The other looks again a few times, giving way in between, before it sleeps: waking a thread that sleeps costs more
//! than a small call does, and on a busy machine giving way is what brings the answer about.

use crate::channel::Sender;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub(crate) struct Slot<T> {
    state: Mutex<State<T>>,
    /// Whether something is there; looked at without the lock.
    full: AtomicBool,
    filled: Condvar,
}

enum State<T> {
    Empty,
    Full(T),
    /// What comes goes on to this channel.
    Forward(Sender<T>),
}

/// How often to look before sleeping: some microseconds. With 64 callers on two CPUs, four times as often cost a third
/// of the calls.
const LOOKS: usize = 10;

impl<T> Slot<T> {
    pub fn new() -> Slot<T> {
        let state = Mutex::new(State::Empty);
        Slot { state, full: AtomicBool::new(false), filled: Condvar::new() }
    }

    /// Leaves `value`, for which there must be room.
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

    /// Waits for a value and takes it. `None`: the deadline has passed.
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

    /// Sends on what is there, or what will come.
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
