//! The caller's side of an RPC.

use crate::channel::{self, Receive, Receiver, Registrar, Ripe, Sender};
use crate::codec;
use crate::context;
use crate::describe::Value;
use crate::realm::Realm;
use crate::slot::Slot;
use crate::trace;
use serde::{Serialize, de::DeserializeOwned};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

/// The client's end of a connection to a server. Calls go out on it, and replies may come back.
///
/// A call that returns `None` got no reply: a message was lost or late, or the server was dead or cut off. The caller can't tell
/// which of these it was. The server may or may not have handled the request.
#[derive(Clone)]
pub struct ClientEnd {
    realm: Realm,
    transport: Arc<dyn Transport>,
}

/// Carries the bytes of a call. The lab's network is one implementation.
pub trait Transport: Send + Sync + 'static {
    /// Sends a request, and later passes its reply to `reply_to`. This method must not wait.
    fn send(&self, request: Request, reply_to: ReplyTo);
}

/// A call on its way to the server.
pub struct Request {
    /// `Service.Method`.
    pub method: &'static str,
    /// The encoded arguments.
    pub args: Vec<u8>,
    /// The arguments in readable form, if a trace or a rule of the network reads them.
    pub described: Option<Arc<Value>>,
}

/// Where the reply to a call goes. If it is dropped, the call gets no reply.
pub struct ReplyTo(Option<Destination>);

enum Destination {
    Simulated(Sender<Answer>),
    Real(Arc<Slot<Answer>>),
}

enum Answer {
    Reply(Vec<u8>),
    Lost,
    /// The program calls a method that does not exist, or calls a method with arguments of the wrong type. A retry would not help.
    Mistake(String),
}

impl ReplyTo {
    /// Passes the encoded reply to the caller.
    pub fn reply(mut self, reply: Vec<u8>) {
        self.answer(Answer::Reply(reply));
    }

    /// Tells the caller that the program has a mistake. The caller panics with this text.
    pub fn mistake(mut self, text: String) {
        self.answer(Answer::Mistake(text));
    }

    fn answer(&mut self, answer: Answer) {
        match self.0.take() {
            Some(Destination::Simulated(sender)) => sender.deliver(answer),
            Some(Destination::Real(slot)) => slot.put(answer),
            None => {}
        }
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        self.answer(Answer::Lost);
    }
}

impl ClientEnd {
    /// An end over `transport`.
    pub fn new(transport: impl Transport) -> ClientEnd {
        ClientEnd { realm: Realm::current(), transport: Arc::new(transport) }
    }

    /// Calls `method` (written `Service.Method`) and waits for the reply, on the lab's network for up to 7 s.
    ///
    /// # Panics
    /// If the server has no such method, or if the method's types differ from the caller's.
    #[track_caller]
    pub fn call<A, R>(&self, method: &'static str, args: &A) -> Option<R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.send(method, args).wait()
    }

    /// Like [`call`](ClientEnd::call), but waits at most for `timeout`.
    ///
    /// # Panics
    /// Like [`call`](ClientEnd::call).
    #[track_caller]
    pub fn call_timeout<A, R>(&self, method: &'static str, args: &A, timeout: Duration) -> Option<R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.send(method, args).wait_timeout(timeout)
    }

    /// Sends the request and returns at once. If the [`Pending`] is dropped, the reply is ignored.
    #[track_caller]
    pub fn send<A, R>(&self, method: &'static str, args: &A) -> Pending<R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.realm.enter("network");
        let bytes = codec::encode(args);
        let described = trace::describe(args, &bytes);
        let request = Request { method, args: bytes, described };
        let (to, answer) = if context::in_simulation() {
            let (sender, receiver) = channel::bounded(1);
            (Destination::Simulated(sender), Source { slot: None, receiver: receiver.into() })
        } else {
            let slot = Arc::new(Slot::new());
            (
                Destination::Real(slot.clone()),
                Source { slot: Some(slot), receiver: OnceLock::new() },
            )
        };
        self.transport.send(request, ReplyTo(Some(to)));
        Pending { answer, method, reply: PhantomData }
    }
}

/// A reply that may arrive. Wait for it, use it in a [`select!`](crate::channel::select), or drop it.
pub struct Pending<R> {
    answer: Source,
    method: &'static str,
    reply: PhantomData<fn() -> R>,
}

/// Where the reply comes from. In a simulation this is a channel. In real mode it is a slot, until a `select!` needs a channel.
struct Source {
    slot: Option<Arc<Slot<Answer>>>,
    receiver: OnceLock<Receiver<Answer>>,
}

impl Source {
    fn receiver(&self) -> &Receiver<Answer> {
        self.receiver.get_or_init(|| {
            let (sender, receiver) = channel::bounded(1);
            if let Some(slot) = &self.slot {
                slot.forward(sender);
            }
            receiver
        })
    }

    /// Waits for the reply, at most for `timeout`.
    #[track_caller]
    fn wait(&self, timeout: Option<Duration>) -> Option<Answer> {
        match (&self.slot, self.receiver.get(), timeout) {
            (Some(slot), None, None) => slot.take(None),
            (Some(slot), None, Some(timeout)) => {
                // A timeout too long for the clock counts as no timeout.
                slot.take(std_now().checked_add(timeout))
            }
            (_, _, None) => self.receiver().recv().ok(),
            (_, _, Some(timeout)) => self.receiver().recv_timeout(timeout).ok(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "real mode waits on the wall clock")]
fn std_now() -> std::time::Instant {
    std::time::Instant::now()
}

impl<R: DeserializeOwned> Pending<R> {
    /// Waits until the reply arrives, or until the network gives it up.
    #[track_caller]
    pub fn wait(self) -> Option<R> {
        let answer = self.answer.wait(None);
        self.decode(answer)
    }

    /// Waits at most for `timeout`.
    #[track_caller]
    pub fn wait_timeout(self, timeout: Duration) -> Option<R> {
        let answer = self.answer.wait(Some(timeout));
        self.decode(answer)
    }

    #[track_caller]
    fn decode(&self, answer: Option<Answer>) -> Option<R> {
        match answer.unwrap_or(Answer::Lost) {
            Answer::Lost => None,
            Answer::Mistake(text) => panic!("{text}"),
            Answer::Reply(bytes) => match codec::decode(&bytes) {
                Ok(reply) => Some(reply),
                Err(error) => panic!(
                    "the reply to {} has another type than the caller expects: {error}",
                    self.method
                ),
            },
        }
    }
}

impl<R: DeserializeOwned> Receive for Pending<R> {
    type Output = Option<R>;

    fn register<'a>(&'a self, registrar: &mut Registrar<'a>) {
        self.answer.receiver().register(registrar);
    }

    fn complete(&self, ripe: Ripe<'_>) -> Option<R> {
        let answer = self.answer.receiver().complete(ripe);
        self.decode(answer.ok())
    }
}
