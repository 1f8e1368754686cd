//! A message as a test sees it, and what the test may do with it.

use crate::describe::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A message on the network, as a [rule](crate::Network::intercept) sees it.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Which call it is part of, as in the [trace](crate::trace::What).
    pub call: u64,
    /// The caller's end, such as `S0->S1`. The reply has the same end, though it goes from `S1` to `S0`.
    pub end: Arc<str>,
    /// `Service.Method`.
    pub method: &'static str,
    /// Whether this is the request or the reply.
    pub leg: Leg,
    /// The arguments. They are unknown, and shown as `()`, if the call was made before there was a rule, or outside a [run](crate::run).
    pub args: Arc<Value>,
    /// The reply, if this message is a reply. It is `None` if there was no rule when the server replied, or outside a [run](crate::run).
    pub reply: Option<Arc<Value>>,
}

/// The two directions of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leg {
    /// To the server.
    Request,
    /// Back to the caller.
    Reply,
}

/// What the network does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The network treats the message as it would without a rule.
    Deliver,
    /// The message is lost. Its caller gets `None` after the time that the message would have taken to arrive.
    Drop,
    /// The same as without a rule, but later by this time.
    Delay(Duration),
    /// The message stays on its way until it is [released](crate::Network::release).
    Hold,
    /// A request arrives twice, the second time later than the first by this time. The handler runs twice. The first reply that
    /// arrives counts. For a reply this means `Deliver`, because nobody would receive a second copy.
    Duplicate(Duration),
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{} {} {}", self.end, self.call, self.method, self.args)?;
        self.reply.as_ref().map_or(Ok(()), |reply| write!(f, " is answered {reply}"))
    }
}

/// What a message carries, encoded.
pub(super) enum Cargo {
    Request { args: Vec<u8>, server: Arc<str> },
    Reply(Vec<u8>),
}
