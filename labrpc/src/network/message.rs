//! The steps of a call on the network.

use super::caller::Caller;
use super::letter::{Cargo, Fate, Leg, Letter};
use super::{
    CUT_OFF_LONG_MS, CUT_OFF_MS, End, Host, LATE, LATE_BY_MS, LATE_BY_UP_TO_MS, LOSS, Net,
    SHORT_DELAY_MS,
};
use crate::context::{self, stream::Draws};
use crate::describe::Value;
use crate::run;
use crate::server::Reply;
use crate::thread::crashed_here;
use crate::trace::{self, What};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A call that is on its way. Its steps happen one after the other; each step may run on another of the network's threads.
///
/// A message keeps neither the network nor the server alive. Otherwise a step could drop them in a place where their destructors
/// can't wait.
#[derive(Clone)]
pub(super) struct Message {
    pub call: u64,
    /// The number of this copy of the request; the original is 0.
    pub copy: u8,
    pub method: &'static str,
    pub end: Arc<End>,
    /// The arguments as a rule sees them, if there was a rule when the call was made.
    pub args: Option<Arc<Value>>,
}

/// The receiver of a request.
pub(super) enum To {
    /// The incarnation that the request was sent to.
    Incarnation(Weak<Host>),
    /// The server that has this name when the request arrives.
    Server(Arc<str>),
}

impl To {
    fn host(&self, net: &Net) -> Option<Arc<Host>> {
        match self {
            To::Incarnation(host) => host.upgrade(),
            To::Server(name) => net.tables.lock().hosts.get(name).cloned(),
        }
    }
}

/// A message that waits for its release.
pub(super) struct Held {
    pub letter: Letter,
    pub message: Message,
    /// `None` if the caller has crashed.
    pub caller: Option<Caller>,
    pub cargo: Cargo,
}

impl Message {
    /// Loses this copy: it will not bring its caller a reply.
    pub fn lose(&self, caller: Option<Caller>, why: &'static str) {
        if let Some(reply_to) = caller.and_then(Caller::give_up) {
            trace::emit(|| self.end.lost(self.call, why));
            drop(reply_to);
        }
    }

    fn letter(&self, leg: Leg, reply: Option<Arc<Value>>) -> Letter {
        let unknown = || Arc::new(Value::Unit("()"));
        Letter {
            call: self.call,
            end: self.end.name.clone(),
            method: self.method,
            leg,
            args: self.args.clone().unwrap_or_else(unknown),
            reply,
        }
    }

    /// The network's random numbers for this message. On a tape, every link and method has its own, in each direction.
    fn draws<'a>(&self, net: &'a Net, leg: Leg) -> Draws<'a> {
        net.draws.about(|| {
            let (caller, server) = self.end.name.split_once("->").unwrap_or((&self.end.name, ""));
            // A restarted server has ends of its own (`S0.2->S1`), but its links are the same.
            let caller = caller.split('.').next().unwrap_or(caller);
            let way = if leg == Leg::Request { "->" } else { "<-" };
            format!("{caller}{way}{server} {}", self.method)
        })
    }

    /// Step 1, at the caller. Decides whether the request can reach the server, how long it takes, and whether it gets lost.
    pub fn set_out(self, net: &Net, args: Vec<u8>, caller: Caller) {
        let route = self.end.route.lock().clone();
        let reached = route.enabled && route.host.strong_count() > 0 && !crashed_here();
        let server = match route.server {
            Some(server) if reached && !net.switches.cut(&self.end, Leg::Request) => server,
            _ => return self.reach_nobody(net, caller, route.deleted),
        };
        let fate = net.rules.fate(|| self.letter(Leg::Request, None));
        if fate == Fate::Hold {
            let letter = self.letter(Leg::Request, None);
            let cargo = Cargo::Request { args, server };
            return net.rules.hold(Held { letter, message: self, caller: Some(caller), cargo });
        }
        let draws = &self.draws(net, Leg::Request);
        let mut delay = net.delivery.latency(draws);
        if fate == Fate::Drop {
            return net.delivery.after(delay, move || self.lose(Some(caller), "a rule loses it"));
        }
        if net.unreliable.load(Relaxed) {
            delay += draws.millis("request delay", SHORT_DELAY_MS);
            if draws.chance("request lost", LOSS.0, LOSS.1) {
                return net.delivery.after(delay, move || {
                    self.lose(Some(caller), "the network dropped the request")
                });
            }
        }
        let late = fate.delay() + net.switches.delay(draws, &self.end, Leg::Request);
        let copy = fate.copy().or_else(|| net.switches.copy(draws));
        // If the request is neither delayed nor copied, it reaches only the incarnation that it was sent to. So a restart of the
        // server ends the call, as in the Go lab.
        let usual = late.is_zero() && copy.is_none();
        let to = if usual { To::Incarnation(route.host) } else { To::Server(server.clone()) };
        let caller = match copy {
            None => caller,
            Some(after) => self.travel_again(net, &args, caller, delay + late + after, server),
        };
        net.delivery.after(delay + late, move || self.arrive(args, Some(caller), &to));
    }

    /// The message reaches nobody, and the caller gets no notice of that. The caller waits for a while and then gets `None`.
    fn reach_nobody(self, net: &Net, caller: Caller, deleted: bool) {
        let long = net.long_delays.load(Relaxed) && !deleted;
        let range = if long { CUT_OFF_LONG_MS } else { CUT_OFF_MS };
        let delay = self.draws(net, Leg::Request).any_millis("cut off", range);
        net.delivery
            .after(delay, move || self.lose(Some(caller), "it could not reach its receiver"));
    }

    /// Sends a copy of the request. Returns the original request's share of the caller.
    fn travel_again(
        &self,
        net: &Net,
        args: &[u8],
        caller: Caller,
        delay: Duration,
        server: Arc<str>,
    ) -> Caller {
        let (first, second) = caller.share();
        let copy = Message { copy: self.copy + 1, ..self.clone() };
        let args = args.to_vec();
        let to = To::Server(server);
        net.delivery.after(delay, move || copy.arrive(args, Some(second), &to));
        first
    }

    /// Step 2, at the server. Starts the handler in a thread of its own.
    pub fn arrive(self, args: Vec<u8>, caller: Option<Caller>, to: &To) {
        let Some(net) = self.end.net.upgrade() else {
            return self.lose(caller, "the server is dead");
        };
        let Some(host) = to.host(&net).filter(|host| host.is_up()) else {
            return self.lose(caller, "the server is dead");
        };
        host.calls.fetch_add(1, Relaxed);
        trace::emit(|| What::Delivered {
            call: self.call,
            end: self.end.name.clone(),
            method: self.method,
        });
        if let Some(caller) = caller {
            self.end.with_handler.lock().insert((self.call, self.copy), caller);
        }
        // If the end was cut off while the request was on its way, the handler runs, but the caller gets no reply. This check
        // comes after the insertion above: whoever cuts the end off later finds the call in `with_handler`.
        if !self.end.route.lock().enabled || !host.is_up() {
            let given_up = self.end.with_handler.lock().remove(&(self.call, self.copy));
            self.lose(given_up, "the end was cut off meanwhile");
        }
        let group = host.group.clone();
        net.delivery.handle(&group, self.method, move || self.handle(&args, &host));
    }

    /// Step 3, in the handler's thread.
    fn handle(self, args: &[u8], host: &Host) {
        let unanswered = Unanswered(&self);
        let result = host.server.dispatch(self.method, args);
        let caller = unanswered.take(); // `None` if the call was cut off meanwhile
        drop(unanswered);
        if !host.is_up() {
            return self.lose(caller, "the server is dead");
        }
        match result {
            Ok(reply) => self.return_with(reply, caller),
            Err(text) => {
                let Some(reply_to) = caller.and_then(Caller::answer) else { return };
                let text = format!("{}: {text}", host.name);
                if let Some(here) = context::here() {
                    here.world.fail(run::FailureKind::Panic, text.clone(), Some(&here));
                }
                reply_to.mistake(text);
            }
        }
    }

    /// Step 4, the way back. The trace shows the server's answer even if no caller waits for it any more.
    fn return_with(self, reply: Reply, caller: Option<Caller>) {
        let Reply { bytes, described } = reply;
        let net = self.end.net.upgrade();
        let ruled = net.as_ref().is_some_and(|net| net.rules.on());
        let seen = if ruled { described.clone() } else { None };
        if let Some(reply) = described {
            let end = self.end.name.clone();
            trace::emit(|| What::Answered { call: self.call, end, reply });
        }
        let (Some(net), Some(caller)) = (net, caller) else { return };
        if net.switches.cut(&self.end, Leg::Reply) {
            return self.reach_nobody(&net, caller, false);
        }
        let fate = net.rules.fate(|| self.letter(Leg::Reply, seen.clone()));
        if fate == Fate::Hold {
            let letter = self.letter(Leg::Reply, seen);
            let cargo = Cargo::Reply(bytes);
            return net.rules.hold(Held { letter, message: self, caller: Some(caller), cargo });
        }
        let draws = &self.draws(&net, Leg::Reply);
        if fate == Fate::Drop {
            let delay = net.delivery.latency(draws);
            return net.delivery.after(delay, move || self.lose(Some(caller), "a rule loses it"));
        }
        if net.unreliable.load(Relaxed) && draws.chance("reply lost", LOSS.0, LOSS.1) {
            return self.lose(Some(caller), "the network dropped the reply");
        }
        let mut delay = net.delivery.latency(draws);
        if net.long_reordering.load(Relaxed) && draws.chance("reply late", LATE.0, LATE.1) {
            let most = 1 + draws.below("reply late by, at most", LATE_BY_UP_TO_MS);
            delay += Duration::from_millis(LATE_BY_MS + draws.below("reply late by", most));
        }
        delay += fate.delay() + net.switches.delay(draws, &self.end, Leg::Reply);
        net.delivery.after(delay, move || self.come_back(bytes, caller));
    }

    /// Step 5, at the caller.
    pub fn come_back(self, bytes: Vec<u8>, caller: Caller) {
        let Some(reply_to) = caller.answer() else { return }; // the reply to another copy was faster
        if let Some(net) = self.end.net.upgrade() {
            net.bytes.fetch_add(bytes.len() as u64, Relaxed);
        }
        trace::emit(|| What::Returned { call: self.call, end: self.end.name.clone() });
        reply_to.reply(bytes);
    }
}

impl Fate {
    fn delay(self) -> Duration {
        if let Fate::Delay(delay) = self { delay } else { Duration::ZERO }
    }

    fn copy(self) -> Option<Duration> {
        if let Fate::Duplicate(after) = self { Some(after) } else { None }
    }
}

/// A call whose handler is running. If the handler's thread is unwound, the caller gets `None`.
struct Unanswered<'a>(&'a Message);

impl Unanswered<'_> {
    fn take(&self) -> Option<Caller> {
        self.0.end.with_handler.lock().remove(&(self.0.call, self.0.copy))
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        drop(self.take());
    }
}
