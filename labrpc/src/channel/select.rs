//! `select!`: waits for the first of several sends and receives.

use super::queue::{Queue, Waiter, wrong_world};
use super::{Receiver, Receiving, RecvError, SendError, Sender, Sending};
use crate::context::{self, Here};
use crate::sched::{Key, SELECT, Wait};
use crossbeam_channel::{Select, SelectedOperation};
use smallvec::SmallVec;
use std::cell::RefCell;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// Waits until one of several channel operations is ready, and does it. If several are ready, the seed chooses one. The syntax is
/// crossbeam's:
///
/// ```
/// use labrpc::channel::{self, select};
/// use std::time::Duration;
///
/// let (sender, receiver) = channel::bounded(1);
/// sender.send("hello").unwrap();
/// let got = select! {
///     recv(receiver) -> message => message.unwrap(),
///     recv(channel::after(Duration::from_secs(5))) -> _ => "nothing came",
/// };
/// assert_eq!(got, "hello");
///
/// select! {
///     send(sender, "again") -> sent => sent.unwrap(),
///     default => panic!("there was room"),
/// }
/// ```
///
/// `default => ..` runs if no other arm is ready now, `default(timeout) => ..` if no other arm becomes ready in that time.
/// In Go, an arm on a nil channel is never ready. For the same effect, receive from [`never`](crate::channel::never), or write two
/// `select!`s.
/// A receiving arm accepts a [`Receiver`] or anything else that implements [`Receive`], such as a
/// [`Pending`](crate::Pending) reply. There can be at most eight arms.
#[macro_export]
#[doc(hidden)]
macro_rules! __select {
    // An arm. Its body is a block, or is followed by a comma.
    (@arms [$id:ident $($ids:ident)*] [$($done:tt)*] recv($r:expr) -> $p:pat => $body:block $($rest:tt)*) => {
        $crate::__select!(@arms [$($ids)*] [$($done)* ($id, $crate::channel::RecvArm::new(&$r), $p, $body)] $($rest)*)
    };
    (@arms [$id:ident $($ids:ident)*] [$($done:tt)*] recv($r:expr) -> $p:pat => $body:expr $(, $($rest:tt)*)?) => {
        $crate::__select!(@arms [$($ids)*] [$($done)* ($id, $crate::channel::RecvArm::new(&$r), $p, $body)] $($($rest)*)?)
    };
    (@arms [$id:ident $($ids:ident)*] [$($done:tt)*] send($s:expr, $m:expr) -> $p:pat => $body:block $($rest:tt)*) => {
        $crate::__select!(@arms [$($ids)*] [$($done)* ($id, $crate::channel::SendArm::new(&$s, $m), $p, $body)] $($rest)*)
    };
    (@arms [$id:ident $($ids:ident)*] [$($done:tt)*] send($s:expr, $m:expr) -> $p:pat => $body:expr $(, $($rest:tt)*)?) => {
        $crate::__select!(@arms [$($ids)*] [$($done)* ($id, $crate::channel::SendArm::new(&$s, $m), $p, $body)] $($($rest)*)?)
    };
    // The comma after a block.
    (@arms [$($ids:ident)*] [$($done:tt)+] , $($rest:tt)*) => {
        $crate::__select!(@arms [$($ids)*] [$($done)+] $($rest)*)
    };
    // What to do if no arm is ready.
    (@arms [$($ids:ident)*] [$($done:tt)*] default => $body:expr $(,)?) => {
        $crate::__select!(@run [$($done)*] $crate::channel::Mode::Now, $body)
    };
    (@arms [$($ids:ident)*] [$($done:tt)*] default($timeout:expr) => $body:expr $(,)?) => {
        $crate::__select!(@run [$($done)*] $crate::channel::Mode::For($timeout), $body)
    };
    (@arms [$($ids:ident)*] [$($done:tt)*]) => {
        $crate::__select!(@run [$($done)*] $crate::channel::Mode::Forever, unreachable!("an arm was chosen"))
    };
    (@run [$(($id:ident, $arm:expr, $p:pat, $body:expr))*] $mode:expr, $default:expr) => {
        // A match keeps the values alive that the arms borrow.
        match ($($arm,)*) {
            ($($id,)*) => {
                $crate::channel::choose(&[$(&$id),*], $mode);
                $(if let Some($p) = $id.take() { $body } else)* { $default }
            }
        }
    };
    ($($arms:tt)*) => {
        $crate::__select!(@arms [a b c d e f g h] [] $($arms)*)
    };
}

/// Something that `select!` can receive from.
pub trait Receive {
    /// The type of a received value.
    type Output;

    /// Adds this receive to the operations that the `select!` waits for.
    #[doc(hidden)]
    fn register<'a>(&'a self, registrar: &mut Registrar<'a>);

    /// Does the receive, which is ready now.
    #[doc(hidden)]
    fn complete(&self, ripe: Ripe<'_>) -> Self::Output;
}

/// Collects the operations that the arms of a `select!` wait for.
pub struct Registrar<'a>(Registry<'a>, &'static Location<'static>);

enum Registry<'a> {
    Real(Select<'a>),
    Simulated(SmallVec<[Box<dyn Watched + 'a>; 4]>),
}

/// One arm in a simulation.
trait Watched {
    fn keys(&self) -> [Key; 2];
    fn ready(&self) -> bool;
    /// Called before the arm's thread parks.
    fn begin_wait(&self, _waiter: &Arc<Waiter>) {}
    /// Called after the arm's thread has parked.
    fn end_wait(&self, _waiter: &Waiter) {}
    /// Returns whether a message was handed to exactly this thread. Then the arm is ready.
    fn accept(&self, _waiter: &Waiter) -> bool {
        false
    }
}

struct ToReceive<'a, T>(&'a Queue<T>);

impl<T> Watched for ToReceive<'_, T> {
    fn keys(&self) -> [Key; 2] {
        [self.0.key(); 2]
    }

    fn ready(&self) -> bool {
        self.0.can_receive()
    }

    fn begin_wait(&self, waiter: &Arc<Waiter>) {
        self.0.begin_wait(waiter);
    }

    fn end_wait(&self, waiter: &Waiter) {
        self.0.end_wait(waiter);
    }

    fn accept(&self, waiter: &Waiter) -> bool {
        self.0.accept(waiter)
    }
}

struct ToSend<'a, T>(&'a Queue<T>);

impl<T> Watched for ToSend<'_, T> {
    fn keys(&self) -> [Key; 2] {
        [self.0.key(), self.0.receiver_key()]
    }

    fn ready(&self) -> bool {
        self.0.can_send()
    }
}

/// The arms of a `select!` whose thread is parked.
struct Waiting<'a, 'b>(&'a [Box<dyn Watched + 'b>], Arc<Waiter>);

impl<'a, 'b> Waiting<'a, 'b> {
    fn new(arms: &'a [Box<dyn Watched + 'b>], here: &Here) -> Self {
        let waiter = Waiter::new(here);
        arms.iter().for_each(|arm| arm.begin_wait(&waiter));
        Waiting(arms, waiter)
    }
}

impl Drop for Waiting<'_, '_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|arm| arm.end_wait(&self.1));
    }
}

/// The right to complete the chosen arm.
pub struct Ripe<'a>(Option<SelectedOperation<'a>>);

impl<T> Receive for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn register<'a>(&'a self, registrar: &mut Registrar<'a>) {
        match (&self.0, &mut registrar.0) {
            (Receiving::Real(receiver), Registry::Real(select)) => _ = select.recv(receiver),
            (Receiving::Clock(receiver, _), Registry::Real(select)) => _ = select.recv(receiver),
            (Receiving::Simulated(queue), Registry::Simulated(watched)) => {
                watched.push(Box::new(ToReceive(queue)));
            }
            (Receiving::Simulated(queue), _) => queue.refuse_stranger(registrar.1),
            _ => wrong_world(),
        }
    }

    fn complete(&self, ripe: Ripe<'_>) -> Result<T, RecvError> {
        match (&self.0, ripe.0) {
            (Receiving::Real(receiver), Some(operation)) => operation.recv(receiver),
            (Receiving::Clock(receiver, convert), Some(operation)) => {
                operation.recv(receiver).map(convert)
            }
            (Receiving::Simulated(queue), None) => queue.pop().map_err(|_| RecvError),
            _ => wrong_world(),
        }
    }
}

impl<R: Receive + ?Sized> Receive for &R {
    type Output = R::Output;

    fn register<'a>(&'a self, registrar: &mut Registrar<'a>) {
        (**self).register(registrar);
    }

    fn complete(&self, ripe: Ripe<'_>) -> R::Output {
        (**self).complete(ripe)
    }
}

/// An arm of a `select!`, as [`choose`] sees it.
#[doc(hidden)]
pub trait Arm {
    fn register<'a>(&'a self, registrar: &mut Registrar<'a>);
    fn complete(&self, ripe: Ripe<'_>);
}

/// A receiving arm.
#[doc(hidden)]
pub struct RecvArm<'a, R: Receive + ?Sized> {
    from: &'a R,
    got: RefCell<Option<R::Output>>,
}

impl<'a, R: Receive + ?Sized> RecvArm<'a, R> {
    pub fn new(from: &'a R) -> Self {
        RecvArm { from, got: RefCell::new(None) }
    }

    pub fn take(&self) -> Option<R::Output> {
        self.got.take()
    }
}

impl<R: Receive + ?Sized> Arm for RecvArm<'_, R> {
    fn register<'a>(&'a self, registrar: &mut Registrar<'a>) {
        self.from.register(registrar);
    }

    fn complete(&self, ripe: Ripe<'_>) {
        *self.got.borrow_mut() = Some(self.from.complete(ripe));
    }
}

/// A sending arm.
#[doc(hidden)]
pub struct SendArm<'a, T> {
    to: &'a Sender<T>,
    message: RefCell<Option<T>>,
    sent: RefCell<Option<Result<(), SendError<T>>>>,
}

impl<'a, T> SendArm<'a, T> {
    pub fn new(to: &'a Sender<T>, message: T) -> Self {
        SendArm { to, message: RefCell::new(Some(message)), sent: RefCell::new(None) }
    }

    pub fn take(&self) -> Option<Result<(), SendError<T>>> {
        self.sent.take()
    }
}

impl<T> Arm for SendArm<'_, T> {
    fn register<'a>(&'a self, registrar: &mut Registrar<'a>) {
        match (&self.to.0, &mut registrar.0) {
            (Sending::Real(sender), Registry::Real(select)) => _ = select.send(sender),
            (Sending::Simulated(queue), Registry::Simulated(watched)) => {
                watched.push(Box::new(ToSend(queue)));
            }
            (Sending::Simulated(queue), _) => queue.refuse_stranger(registrar.1),
            _ => wrong_world(),
        }
    }

    fn complete(&self, ripe: Ripe<'_>) {
        let Some(message) = self.message.take() else {
            return;
        };
        let sent = match (&self.to.0, ripe.0) {
            (Sending::Real(sender), Some(operation)) => operation.send(sender, message),
            (Sending::Simulated(queue), None) => {
                queue.deliver(message).map_err(|error| SendError(error.into_inner()))
            }
            _ => wrong_world(),
        };
        *self.sent.borrow_mut() = Some(sent);
    }
}

/// How long a `select!` waits.
#[doc(hidden)]
pub enum Mode {
    Now,
    For(Duration),
    Forever,
}

/// Waits for the first arm that is ready and completes it. If no arm is ready in time, completes none.
#[doc(hidden)]
#[track_caller]
pub fn choose(arms: &[&dyn Arm], mode: Mode) {
    let simulated = context::in_simulation();
    let registry = if simulated {
        Registry::Simulated(SmallVec::new())
    } else {
        Registry::Real(Select::new())
    };
    let mut registrar = Registrar(registry, Location::caller());
    for arm in arms {
        arm.register(&mut registrar);
    }
    match registrar.0 {
        Registry::Real(select) => choose_real(select, arms, mode),
        Registry::Simulated(watched) => {
            if let Some(index) = choose_simulated(&watched, mode) {
                arms[index].complete(Ripe(None));
            }
        }
    }
}

fn choose_real(mut select: Select<'_>, arms: &[&dyn Arm], mode: Mode) {
    let operation = match mode {
        Mode::Now => select.try_select().ok(),
        Mode::For(timeout) => select.select_timeout(timeout).ok(),
        Mode::Forever => Some(select.select()),
    };
    if let Some(operation) = operation {
        let index = operation.index();
        arms[index].complete(Ripe(Some(operation)));
    }
}

#[track_caller]
fn choose_simulated(arms: &[Box<dyn Watched + '_>], mode: Mode) -> Option<usize> {
    let here = context::simulated()?;
    here.point();
    let deadline = match mode {
        Mode::For(timeout) => {
            here.note_clock();
            Some(here.world.now().saturating_add(timeout))
        }
        Mode::Now | Mode::Forever => None,
    };
    let mut keys: SmallVec<[Key; 8]> = arms.iter().flat_map(|arm| arm.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut time_is_up = matches!(mode, Mode::Now);
    loop {
        let ready: SmallVec<[usize; 4]> = (0..arms.len()).filter(|&i| arms[i].ready()).collect();
        match ready[..] {
            // A destructor that would wait for ever must go on: its first arm fails, as a receive would.
            [] if time_is_up && matches!(mode, Mode::Forever) => return Some(0),
            [] if time_is_up => return None,
            [] => {}
            [only] => return Some(only),
            _ => return Some(ready[here.choose(ready.len())]),
        }
        let waiting = Waiting::new(arms, &here);
        time_is_up = here.park(&keys, deadline, Wait::new(SELECT));
        if let Some(chosen) = arms.iter().position(|arm| arm.accept(&waiting.1)) {
            return Some(chosen);
        }
    }
}
