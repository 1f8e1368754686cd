//! A channel inside the simulation.

use super::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};
use crate::context::{self, Here, World};
use crate::realm::Realm;
use crate::sched::{Key, RECEIVE, SEND, Wait};
use crate::time::Instant;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

pub(super) struct Queue<T> {
    realm: Realm,
    id: u64,
    world: Option<Weak<World>>,
    /// `None`: unbounded. `Some(0)`: a message in the queue still belongs to its sender, which waits for a receiver.
    capacity: Option<usize>,
    state: Mutex<State<T>>,
}

struct State<T> {
    messages: VecDeque<(u64, T)>,
    /// The number of the next message.
    next: u64,
    senders: usize,
    receivers: usize,
    /// Parked receivers. Each of them can receive one message, also without a buffer.
    waiting: Vec<Arc<Waiter>>,
    /// Messages that were sent to one of the parked receivers, with the receiver's number.
    handed: Vec<(u64, T)>,
}

/// A thread that is parked in a receive, or in a `select!` with several.
pub(super) struct Waiter {
    id: u64,
    /// Whether a message was handed to this thread. Then it accepts no other.
    taken: AtomicBool,
}

impl Waiter {
    pub fn new(here: &Here) -> Arc<Waiter> {
        Arc::new(Waiter { id: here.task_id(), taken: AtomicBool::new(false) })
    }

    fn is_free(&self) -> bool {
        !self.taken.load(Ordering::Relaxed)
    }
}

impl<T> Queue<T> {
    /// A queue with one sender and one receiver.
    pub fn new(capacity: Option<usize>) -> Queue<T> {
        let here = context::simulated();
        let sched = here.as_ref().and_then(|here| here.world.sched.as_ref());
        Queue {
            realm: Realm::current(),
            id: sched.map_or(0, |sched| sched.fresh_id()),
            world: here.as_ref().map(|here| Arc::downgrade(&here.world)),
            capacity,
            state: Mutex::new(State {
                messages: VecDeque::new(),
                next: 0,
                senders: 1,
                receivers: 1,
                waiting: Vec::new(),
                handed: Vec::new(),
            }),
        }
    }

    pub fn key(&self) -> Key {
        Key::Channel(self.id)
    }

    /// The key for a `select!` that wants to send without a buffer: it waits for a receiver that waits.
    pub fn receiver_key(&self) -> Key {
        Key::Receiver(self.id)
    }

    pub fn len(&self) -> usize {
        // Without a buffer, a message in the queue still belongs to its sender.
        if self.capacity == Some(0) { 0 } else { self.state.lock().messages.len() }
    }

    #[track_caller]
    pub fn send(&self, message: T, deadline: Option<Instant>) -> Result<(), SendTimeoutError<T>> {
        let Some(here) = self.enter() else {
            return Err(SendTimeoutError::Disconnected(message));
        };
        let wait = Wait::new(SEND);
        let mut message = message;
        loop {
            match self.push(message, true) {
                Ok(number) if self.capacity == Some(0) => {
                    return self.hold_out(&here, number, deadline, wait);
                }
                Ok(_) => return Ok(()),
                Err(TrySendError::Disconnected(m)) => {
                    return Err(SendTimeoutError::Disconnected(m));
                }
                Err(TrySendError::Full(m)) => message = m,
            }
            if self.park(&here, deadline, wait) {
                return Err(SendTimeoutError::Timeout(message));
            }
        }
    }

    /// Waits until message `number` is received. If that does not happen, removes the message again, also when this thread is
    /// unwound.
    #[track_caller]
    fn hold_out(
        &self,
        here: &Here,
        number: u64,
        deadline: Option<Instant>,
        wait: Wait,
    ) -> Result<(), SendTimeoutError<T>> {
        struct TakeBack<'a, T>(&'a Queue<T>, u64);
        impl<T> Drop for TakeBack<'_, T> {
            fn drop(&mut self) {
                drop(self.0.take_back(self.1));
            }
        }
        let held = TakeBack(self, number);
        loop {
            let disconnected = self.state.lock().receivers == 0;
            if disconnected && let Some(message) = self.take_back(number) {
                return Err(SendTimeoutError::Disconnected(message));
            }
            if !self.state.lock().messages.iter().any(|(n, _)| *n == number) {
                std::mem::forget(held);
                return Ok(());
            }
            if self.park(here, deadline, wait)
                && let Some(message) = self.take_back(number)
            {
                return Err(SendTimeoutError::Timeout(message));
            }
        }
    }

    fn take_back(&self, number: u64) -> Option<T> {
        let mut state = self.state.lock();
        let position = state.messages.iter().position(|(n, _)| *n == number)?;
        state.messages.remove(position).map(|(_, message)| message)
    }

    #[track_caller]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.enter() {
            Some(_) => self.push(message, false).map(drop),
            None => Err(TrySendError::Disconnected(message)),
        }
    }

    pub fn deliver(&self, message: T) -> Result<(), TrySendError<T>> {
        self.push(message, false).map(drop)
    }

    /// Whether a send would not wait.
    pub fn can_send(&self) -> bool {
        let state = self.state.lock();
        state.receivers == 0 || self.has_room(&state, false)
    }

    fn has_room(&self, state: &State<T>, will_wait: bool) -> bool {
        match self.capacity {
            None => true,
            Some(0) if will_wait => state.messages.is_empty(),
            Some(0) => {
                let free = state.waiting.iter().filter(|waiter| waiter.is_free()).count();
                free > state.messages.len()
            }
            Some(capacity) => state.messages.len() < capacity,
        }
    }

    fn push(&self, message: T, will_wait: bool) -> Result<u64, TrySendError<T>> {
        let mut state = self.state.lock();
        if state.receivers == 0 {
            return Err(TrySendError::Disconnected(message));
        }
        if !self.has_room(&state, will_wait) {
            return Err(TrySendError::Full(message));
        }
        let number = state.next;
        state.next += 1;
        let handed_to = (self.capacity == Some(0) && !will_wait)
            .then(|| state.waiting.iter().find(|waiter| waiter.is_free()).cloned());
        match handed_to.flatten() {
            Some(waiter) => {
                waiter.taken.store(true, Ordering::Relaxed);
                state.handed.push((waiter.id, message));
            }
            None => state.messages.push_back((number, message)),
        }
        drop(state);
        self.wake_all();
        Ok(number)
    }

    #[track_caller]
    pub fn recv(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        let Some(here) = self.enter() else {
            return Err(RecvTimeoutError::Disconnected);
        };
        let wait = Wait::new(RECEIVE);
        loop {
            match self.pop() {
                Ok(message) => return Ok(message),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) => {}
            }
            let waiting = Waiting::new(self, &here);
            let time_is_up = self.park(&here, deadline, wait);
            self.accept(&waiting.1);
            if time_is_up {
                return self.pop().map_err(|_| RecvTimeoutError::Timeout);
            }
        }
    }

    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.enter() {
            Some(_) => self.pop(),
            None => Err(TryRecvError::Disconnected),
        }
    }

    /// Whether a receive would not wait.
    pub fn can_receive(&self) -> bool {
        let state = self.state.lock();
        state.senders == 0 || !state.messages.is_empty()
    }

    pub fn pop(&self) -> Result<T, TryRecvError> {
        let mut state = self.state.lock();
        let Some((_, message)) = state.messages.pop_front() else {
            let gone = state.senders == 0;
            return Err(if gone { TryRecvError::Disconnected } else { TryRecvError::Empty });
        };
        drop(state);
        if self.capacity.is_some() {
            self.wake_all();
        }
        Ok(message)
    }

    /// Notes that the caller is about to wait for a message. So a `select!` that wants to send can now go on.
    pub fn begin_wait(&self, waiter: &Arc<Waiter>) {
        self.state.lock().waiting.push(waiter.clone());
        if self.capacity == Some(0) {
            self.wake(self.receiver_key());
        }
    }

    /// If a message was handed to the waiter, puts it at the front of the queue, where the waiter's next receive finds it. Returns
    /// whether there was such a message.
    pub fn accept(&self, waiter: &Waiter) -> bool {
        let mut state = self.state.lock();
        let position = state.handed.iter().position(|(id, _)| *id == waiter.id);
        let Some((_, message)) = position.map(|position| state.handed.remove(position)) else {
            return false;
        };
        let number = state.next;
        state.next += 1;
        state.messages.push_front((number, message));
        true
    }

    /// Ends the wait. If the waiter is being unwound, a message that was handed to it is lost.
    pub fn end_wait(&self, waiter: &Waiter) {
        let mut state = self.state.lock();
        state.waiting.retain(|other| other.id != waiter.id);
        let position = state.handed.iter().position(|(id, _)| *id == waiter.id);
        let lost = position.map(|position| state.handed.remove(position));
        drop(state);
        drop(lost);
    }

    /// Panics, for a `select!` outside the simulation.
    pub fn refuse_stranger(&self, place: &Location<'_>) -> ! {
        self.realm.enter_at("channel", place);
        wrong_world()
    }

    /// Checks that the caller belongs to this simulation. This is a yield point: another thread may run next.
    #[track_caller]
    fn enter(&self) -> Option<Arc<Here>> {
        let here = self.realm.enter("channel")?;
        here.point();
        Some(here)
    }

    /// Returns true if the time is up, or if the run is over and a destructor waits here.
    fn park(&self, here: &Here, deadline: Option<Instant>, wait: Wait) -> bool {
        here.park(&[self.key()], deadline.map(Instant::since_start), wait)
    }

    /// Wakes all waiters. Waking only one is not enough, because it may choose another arm of its `select!`.
    fn wake_all(&self) {
        self.wake(self.key());
    }

    fn wake(&self, key: Key) {
        let world = self.world.as_ref().and_then(Weak::upgrade);
        if let Some(sched) = world.as_ref().and_then(|world| world.sched.as_ref()) {
            sched.unpark_all(key);
        }
    }

    pub fn add_sender(&self) {
        self.state.lock().senders += 1;
    }

    pub fn add_receiver(&self) {
        self.state.lock().receivers += 1;
        let world = self.world.as_ref().and_then(Weak::upgrade);
        if let Some(sched) = world.as_ref().and_then(|world| world.sched.as_ref()) {
            sched.note_shared(self.key());
        }
    }

    pub fn drop_sender(&self) {
        let mut state = self.state.lock();
        state.senders -= 1;
        let last = state.senders == 0;
        drop(state);
        if last {
            self.wake_all();
        }
    }

    pub fn drop_receiver(&self) {
        let mut state = self.state.lock();
        state.receivers -= 1;
        let last = state.receivers == 0;
        // Nobody will receive these messages. Without a buffer, each waiting sender removes its own message.
        let unread = if last && self.capacity != Some(0) {
            std::mem::take(&mut state.messages)
        } else {
            VecDeque::new()
        };
        drop(state);
        drop(unread);
        if last {
            self.wake_all();
        }
    }
}

/// A receiver that waits.
struct Waiting<'a, T>(&'a Queue<T>, Arc<Waiter>);

impl<T> Waiting<'_, T> {
    fn new<'a>(queue: &'a Queue<T>, here: &Here) -> Waiting<'a, T> {
        let waiter = Waiter::new(here);
        queue.begin_wait(&waiter);
        Waiting(queue, waiter)
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.0.end_wait(&self.1);
    }
}

#[track_caller]
pub(super) fn wrong_world() -> ! {
    panic!("a select! mixes channels that were made inside and outside a simulation")
}
