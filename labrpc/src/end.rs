//! The caller's side of an RPC.

use crate::channel::{self, Receive, Receiver, Registrar, Ripe, Sender};
use crate::codec;
use crate::describe::Value;
use crate::realm::Realm;
use crate::run;
use crate::slot::Slot;
use crate::trace;
use serde::{Serialize, de::DeserializeOwned};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

/// One end of a connection to a server. Calls go out on it; replies come back, or don't.
///
/// `None` means "no reply": lost, late, dead or cut off, and nobody can tell which. The server may or may not
/// have done what it was asked.
#[derive(Clone)]
pub struct ClientEnd {
    realm: Realm,
    transport: Arc<dyn Transport>,
}

/// What carries the bytes of a call. The lab's network is one.
pub trait Transport: Send + Sync + 'static {
    /// Carries a request out, and its answer to `reply_to`, in its own time. Must not wait.
    fn send(&self, request: Request, reply_to: ReplyTo);
}

/// A call on its way to the server.
pub struct Request {
    /// `Service.Method`.
    pub method: &'static str,
    /// The encoded arguments.
    pub args: Vec<u8>,
    /// The arguments in readable form, if somebody listens to the trace.
    pub described: Option<Arc<Value>>,
}

/// Where the answer to a call goes. Dropping it means that there will be none.
pub struct ReplyTo(Option<Destination>);

enum Destination {
    Simulated(Sender<Answer>),
    Real(Arc<Slot<Answer>>),
}

enum Answer {
    Reply(Vec<u8>),
    Lost,
    /// The program calls what isn't there, or in another form: not a thing to retry.
    Mistake(String),
}

impl ReplyTo {
    /// Gives the caller its encoded reply.
    pub fn reply(mut self, reply: Vec<u8>) {
        self.answer(Answer::Reply(reply));
    }

    /// Tells the caller that the program is wrong; the caller panics with this text.
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
    /// An end over some transport.
    pub fn new(transport: impl Transport) -> ClientEnd {
        ClientEnd { realm: Realm::current(), transport: Arc::new(transport) }
    }

    /// Calls `method` (as `Service.Method`) and waits for the reply; on the lab's network for up to 7 s.
    ///
    /// # Panics
    /// If the server has no such method, or its types differ from the caller's.
    #[track_caller]
    pub fn call<A, R>(&self, method: &'static str, args: &A) -> Option<R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.send(method, args).wait()
    }

    /// As [`call`](ClientEnd::call), but waits at most for `timeout`.
    ///
    /// # Panics
    /// As [`call`](ClientEnd::call).
    #[track_caller]
    pub fn call_timeout<A, R>(&self, method: &'static str, args: &A, timeout: Duration) -> Option<R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.send(method, args).wait_timeout(timeout)
    }

    /// Sends the request and returns at once. Dropping the [`Pending`] gives the reply up.
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
        let (to, answer) = if run::in_simulation() {
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

/// A reply that may come. Wait for it, put it into a [`select!`](crate::channel::select), or drop it.
pub struct Pending<R> {
    answer: Source,
    method: &'static str,
    reply: PhantomData<fn() -> R>,
}

/// Where the answer comes from: in real mode a slot, or a channel once a `select!` asks for one.
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

    /// Waits, at most until the timeout.
    #[track_caller]
    fn wait(&self, timeout: Option<Duration>) -> Option<Answer> {
        match (&self.slot, self.receiver.get(), timeout) {
            (Some(slot), None, None) => slot.take(None),
            (Some(slot), None, Some(timeout)) => {
                // A timeout that is never over is none.
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
    /// Waits until the reply is there, or until the network gives it up.
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
                Err(error) => panic!("the reply to {} is of another type: {error}", self.method),
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
