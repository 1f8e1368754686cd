//! Channels in both worlds, with the interface of crossbeam-channel: `select!`, [`after`] and [`tick`] too.
//!
//! Outside a simulation these are crossbeam's channels. Inside a simulation, a channel is a queue, and the threads that wait on it
//! park. If several arms of a `select!` are ready, the seed chooses one.

mod clock;
mod queue;
mod select;

pub use crate::__select as select;
pub use crossbeam_channel::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
#[doc(hidden)]
pub use select::{Mode, RecvArm, SendArm, choose};
pub use select::{Receive, Registrar, Ripe};

use crate::context;
use crate::time::Instant;
use queue::Queue;
use std::sync::Arc;
use std::time::Duration;

/// The sending half. Clones send to the same channel.
pub struct Sender<T>(Sending<T>);

/// The receiving half. Clones share the messages.
pub struct Receiver<T>(Receiving<T>);

enum Sending<T> {
    Real(crossbeam_channel::Sender<T>),
    Simulated(Arc<Queue<T>>),
}

enum Receiving<T> {
    Real(crossbeam_channel::Receiver<T>),
    /// For `after` and `tick`: crossbeam's channels give std's instants, which this converts.
    Clock(crossbeam_channel::Receiver<std::time::Instant>, fn(std::time::Instant) -> T),
    Simulated(Arc<Queue<T>>),
}

/// A channel that holds at most `capacity` messages. With a capacity of 0, a send waits until its message is received, as in Go.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    channel(Some(capacity))
}

/// A channel whose sends never wait.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    channel(None)
}

#[expect(clippy::disallowed_methods, reason = "crossbeam's channels are used outside a simulation")]
fn channel<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    if context::in_simulation() {
        let queue = Arc::new(Queue::new(capacity));
        return (Sender(Sending::Simulated(queue.clone())), Receiver(Receiving::Simulated(queue)));
    }
    let (sender, receiver) = match capacity {
        Some(capacity) => crossbeam_channel::bounded(capacity),
        None => crossbeam_channel::unbounded(),
    };
    (Sender(Sending::Real(sender)), Receiver(Receiving::Real(receiver)))
}

/// A channel that gives one message, the current time, after `duration`.
pub fn after(duration: Duration) -> Receiver<Instant> {
    if let Some(here) = context::simulated() {
        here.note_clock();
        return Receiver(Receiving::Simulated(Queue::clock(duration, None)));
    }
    Receiver(Receiving::Clock(crossbeam_channel::after(duration), Instant::from_std))
}

/// A channel that gives the current time every `duration`. While a tick has not been received, no further tick is added.
pub fn tick(duration: Duration) -> Receiver<Instant> {
    if let Some(here) = context::simulated() {
        here.note_clock();
        return Receiver(Receiving::Simulated(Queue::clock(duration, Some(duration))));
    }
    Receiver(Receiving::Clock(crossbeam_channel::tick(duration), Instant::from_std))
}

/// A channel that never gives anything.
pub fn never<T>() -> Receiver<T> {
    if context::in_simulation() {
        let queue = Arc::new(Queue::new(None));
        queue.add_sender(); // this sender is never dropped
        return Receiver(Receiving::Simulated(queue));
    }
    Receiver(Receiving::Real(crossbeam_channel::never()))
}

impl<T> Sender<T> {
    /// Sends a message. Waits while there is no room.
    ///
    /// # Errors
    /// All receivers were dropped. The error holds the message.
    #[track_caller]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        match &self.0 {
            Sending::Real(sender) => {
                refuse_to_block("send");
                sender.send(message)
            }
            Sending::Simulated(queue) => queue.send(message, None).map_err(|error| match error {
                SendTimeoutError::Timeout(m) | SendTimeoutError::Disconnected(m) => SendError(m),
            }),
        }
    }

    /// Sends a message. While there is no room, waits at most for `timeout`.
    ///
    /// # Errors
    /// The time is up, or all receivers were dropped. The error holds the message.
    #[track_caller]
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        match &self.0 {
            Sending::Real(sender) => {
                refuse_to_block("send_timeout");
                sender.send_timeout(message, timeout)
            }
            Sending::Simulated(queue) => queue.send(message, Some(Instant::now() + timeout)),
        }
    }

    /// Sends a message if there is room.
    ///
    /// # Errors
    /// There is no room, or all receivers were dropped. The error holds the message.
    #[track_caller]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match &self.0 {
            Sending::Real(sender) => sender.try_send(message),
            Sending::Simulated(queue) => queue.try_send(message),
        }
    }

    /// Like [`try_send`](Sender::try_send), but may be called between two steps of the simulation: it is no yield point.
    pub(crate) fn deliver(&self, message: T) {
        match &self.0 {
            Sending::Real(sender) => _ = sender.try_send(message),
            Sending::Simulated(queue) => _ = queue.deliver(message),
        }
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        match &self.0 {
            Sending::Real(sender) => sender.len(),
            Sending::Simulated(queue) => queue.len(),
        }
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Receiver<T> {
    /// Waits for a message.
    ///
    /// # Errors
    /// The channel is empty and all senders were dropped.
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        match &self.0 {
            Receiving::Real(receiver) => {
                refuse_to_block("recv");
                receiver.recv()
            }
            Receiving::Clock(receiver, convert) => receiver.recv().map(convert),
            Receiving::Simulated(queue) => queue.recv(None).map_err(|_| RecvError),
        }
    }

    /// Waits for a message, at most for `timeout`.
    ///
    /// # Errors
    /// The time is up, or the channel is empty and all senders were dropped.
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        match &self.0 {
            Receiving::Real(receiver) => {
                refuse_to_block("recv_timeout");
                receiver.recv_timeout(timeout)
            }
            Receiving::Clock(receiver, convert) => receiver.recv_timeout(timeout).map(convert),
            Receiving::Simulated(queue) => queue.recv(Some(Instant::now() + timeout)),
        }
    }

    /// Receives a message if there is one.
    ///
    /// # Errors
    /// The channel is empty. The error tells whether all senders were dropped.
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match &self.0 {
            Receiving::Real(receiver) => receiver.try_recv(),
            Receiving::Clock(receiver, convert) => receiver.try_recv().map(convert),
            Receiving::Simulated(queue) => queue.try_recv(),
        }
    }

    /// Iterates over the messages. Waits for each one, until all senders were dropped.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.recv().ok())
    }

    /// Iterates over the messages that are in the channel now.
    pub fn try_iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        match &self.0 {
            Receiving::Real(receiver) => receiver.len(),
            Receiving::Clock(receiver, _) => receiver.len(),
            Receiving::Simulated(queue) => queue.len(),
        }
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Panics in a simulation: a simulated thread that blocks in a channel made outside would stop the whole simulation.
#[track_caller]
fn refuse_to_block(what: &str) {
    assert!(
        !context::in_simulation(),
        "{what}() on a channel that was made outside the simulation: make the channel inside it"
    );
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender(match &self.0 {
            Sending::Real(sender) => Sending::Real(sender.clone()),
            Sending::Simulated(queue) => {
                queue.add_sender();
                Sending::Simulated(queue.clone())
            }
        })
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver(match &self.0 {
            Receiving::Real(receiver) => Receiving::Real(receiver.clone()),
            Receiving::Clock(receiver, convert) => Receiving::Clock(receiver.clone(), *convert),
            Receiving::Simulated(queue) => {
                queue.add_receiver();
                Receiving::Simulated(queue.clone())
            }
        })
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if let Sending::Simulated(queue) = &self.0 {
            queue.drop_sender();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if let Receiving::Simulated(queue) = &self.0 {
            queue.drop_receiver();
        }
    }
}

impl<T> std::fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sender({} waiting)", self.len())
    }
}

impl<T> std::fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receiver({} waiting)", self.len())
    }
}
