//! Where the reply to a call goes, also when the network delivers its request twice.

use crate::end::ReplyTo;
use parking_lot::Mutex;
use std::sync::Arc;

/// The caller of a call. When the last share of it is dropped, there will be no reply.
pub(super) enum Caller {
    Alone(ReplyTo),
    /// Copies of the request share the caller. The first reply that arrives counts.
    Shared(Arc<Mutex<Option<ReplyTo>>>),
}

impl Caller {
    /// Splits the caller into two shares, one for each of two copies of the request.
    pub fn share(self) -> (Caller, Caller) {
        let shared = match self {
            Caller::Alone(reply_to) => Arc::new(Mutex::new(Some(reply_to))),
            Caller::Shared(shared) => shared,
        };
        (Caller::Shared(shared.clone()), Caller::Shared(shared))
    }

    /// Returns the right to reply, or `None` if the reply to another copy was first.
    pub fn answer(self) -> Option<ReplyTo> {
        match self {
            Caller::Alone(reply_to) => Some(reply_to),
            Caller::Shared(shared) => shared.lock().take(),
        }
    }

    /// Gives up this share. Returns the caller if no other share can still reply.
    pub fn give_up(self) -> Option<ReplyTo> {
        match self {
            Caller::Alone(reply_to) => Some(reply_to),
            Caller::Shared(shared) => Arc::into_inner(shared)?.into_inner(),
        }
    }
}
