//! A call under way, step by step.

use super::{
    CUT_OFF_LONG_MS, CUT_OFF_MS, End, Host, LATE, LATE_BY_MS, LATE_BY_UP_TO_MS, LOSS, Net,
    SHORT_DELAY_MS,
};
use crate::end::ReplyTo;
use crate::run;
use crate::server::Reply;
use crate::trace::{self, What};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A call under way. Its steps follow one another in time, each on whatever thread the network has.
///
/// It keeps neither the network nor the server alive: a step would drop them where their destructors can't wait.
pub(super) struct Message {
    pub call: u64,
    pub method: &'static str,
    pub end: Arc<End>,
}

impl Message {
    fn lose(&self, reply_to: ReplyTo, why: &'static str) {
        trace::emit(|| self.end.lost(self.call, why));
        drop(reply_to);
    }

    /// Step 1, at the caller: is there a way, how long does it take, does the request get lost on it?
    pub fn set_out(self, net: &Net, args: Vec<u8>, reply_to: ReplyTo) {
        let route = self.end.route.lock();
        let host = route.host.clone();
        let reached = route.enabled && host.strong_count() > 0;
        let deleted = route.deleted;
        drop(route);
        let draws = &net.draws;
        if !reached {
            let long = net.long_delays.load(Relaxed) && !deleted;
            let range = if long { CUT_OFF_LONG_MS } else { CUT_OFF_MS };
            let delay = draws.millis("cut off", range);
            return net.delivery.after(delay, move || self.lose(reply_to, "nobody reached"));
        }
        let mut delay = net.delivery.latency(draws);
        if net.unreliable.load(Relaxed) {
            delay += draws.millis("request delay", SHORT_DELAY_MS);
            if draws.chance("request lost", LOSS.0, LOSS.1) {
                return net.delivery.after(delay, move || self.lose(reply_to, "the request"));
            }
        }
        net.delivery.after(delay, move || self.arrive(args, reply_to, &host));
    }

    /// Step 2, at the server: a thread of its own for the handler.
    fn arrive(self, args: Vec<u8>, reply_to: ReplyTo, host: &Weak<Host>) {
        let (Some(net), Some(host)) = (self.end.net.upgrade(), host.upgrade()) else {
            return self.lose(reply_to, "the server is dead");
        };
        if host.gone.load(Relaxed) {
            return self.lose(reply_to, "the server is dead");
        }
        host.calls.fetch_add(1, Relaxed);
        trace::emit(|| What::Delivered {
            call: self.call,
            end: self.end.name.clone(),
            method: self.method,
        });
        self.end.with_handler.lock().insert(self.call, reply_to);
        // Cut off since it set out: the handler runs, but its caller gets no answer. Looked at only now that
        // whoever cuts it off later finds the call.
        if !self.end.route.lock().enabled || host.gone.load(Relaxed) {
            let given_up = self.end.with_handler.lock().remove(&self.call);
            if let Some(reply_to) = given_up {
                self.lose(reply_to, "cut off on its way");
            }
        }
        let group = host.group.clone();
        net.delivery.handle(&group, self.method, move || self.handle(&args, &host));
    }

    /// Step 3, in the handler's thread.
    fn handle(self, args: &[u8], host: &Host) {
        let unanswered = Unanswered(&self);
        let result = host.server.dispatch(self.method, args);
        let reply_to = unanswered.take(); // none: cut off meanwhile
        drop(unanswered);
        if host.gone.load(Relaxed) {
            return reply_to.into_iter().for_each(|to| self.lose(to, "the server is dead"));
        }
        match result {
            Ok(reply) => self.return_with(reply, reply_to),
            Err(text) => {
                let Some(reply_to) = reply_to else { return };
                let text = format!("{}: {text}", host.name);
                if let Some(here) = run::here() {
                    here.world.fail(run::FailureKind::Panic, text.clone(), Some(&here));
                }
                reply_to.mistake(text);
            }
        }
    }

    /// Step 4: the way back. What the server has answered counts, also if nobody is there to hear it.
    fn return_with(self, reply: Reply, reply_to: Option<ReplyTo>) {
        let Reply { bytes, described } = reply;
        if let Some(reply) = described {
            let end = self.end.name.clone();
            trace::emit(|| What::Answered { call: self.call, end, reply });
        }
        let (Some(net), Some(reply_to)) = (self.end.net.upgrade(), reply_to) else { return };
        let draws = &net.draws;
        if net.unreliable.load(Relaxed) && draws.chance("reply lost", LOSS.0, LOSS.1) {
            return self.lose(reply_to, "the reply");
        }
        let mut delay = net.delivery.latency(draws);
        if net.long_reordering.load(Relaxed) && draws.chance("reply late", LATE.0, LATE.1) {
            let most = 1 + draws.below("reply late by, at most", LATE_BY_UP_TO_MS);
            delay += Duration::from_millis(LATE_BY_MS + draws.below("reply late by", most));
        }
        net.delivery.after(delay, move || {
            if let Some(net) = self.end.net.upgrade() {
                net.bytes.fetch_add(bytes.len() as u64, Relaxed);
            }
            trace::emit(|| What::Returned { call: self.call, end: self.end.name.clone() });
            reply_to.reply(bytes);
        });
    }
}

/// A call that is with its handler. If the handler's thread is unwound, the caller gets its `None`.
struct Unanswered<'a>(&'a Message);

impl Unanswered<'_> {
    fn take(&self) -> Option<ReplyTo> {
        self.0.end.with_handler.lock().remove(&self.0.call)
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        drop(self.take());
    }
}
