//! Where the answer to a call goes, also when its request is on its way twice.

use crate::end::ReplyTo;
use parking_lot::Mutex;
use std::sync::Arc;

/// The caller of a call. Dropping the last share of it means that there will be no answer.
pub(super) enum Caller {
    Alone(ReplyTo),
    /// Copies of the request share the caller: the first answer to arrive counts.
    Shared(Arc<Mutex<Option<ReplyTo>>>),
}

impl Caller {
    /// One for each of two copies.
    pub fn share(self) -> (Caller, Caller) {
        let shared = match self {
            Caller::Alone(reply_to) => Arc::new(Mutex::new(Some(reply_to))),
            Caller::Shared(shared) => shared,
        };
        (Caller::Shared(shared.clone()), Caller::Shared(shared))
    }

    /// The right to answer; `None` if another copy's answer was there before.
    pub fn answer(self) -> Option<ReplyTo> {
        match self {
            Caller::Alone(reply_to) => Some(reply_to),
            Caller::Shared(shared) => shared.lock().take(),
        }
    }

    /// Gives up this share; the caller itself, if that was its last hope.
    pub fn give_up(self) -> Option<ReplyTo> {
        match self {
            Caller::Alone(reply_to) => Some(reply_to),
            Caller::Shared(shared) => Arc::into_inner(shared)?.into_inner(),
        }
    }
}
