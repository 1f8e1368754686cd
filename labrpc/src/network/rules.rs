//! Rules: what a test decides about single messages, on anybody's Raft.
//!
//! A script of the paper's kind ("S1 sends its entry to S2 only") is a rule that holds or loses letters, and
//! [`Network::release`].

use super::caller::Caller;
use super::message::{Message, To};
use super::{End, Net, Network};
use crate::describe::Value;
use crate::run;
use crate::trace;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// A message on the network, as a [rule](Network::intercept) sees it.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Which call it is part of, as in the [trace](crate::trace::What).
    pub call: u64,
    /// The caller's end, such as `S0->S1`: a reply travels on it backwards.
    pub end: Arc<str>,
    /// `Service.Method`.
    pub method: &'static str,
    /// Which way it goes.
    pub leg: Leg,
    /// The arguments. Not known, and so `()`, if the call was made before there was a rule, or outside a
    /// [run].
    pub args: Arc<Value>,
    /// The reply, if this is one; described under the same conditions.
    pub reply: Option<Arc<Value>>,
}

/// The two ways of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leg {
    /// To the server.
    Request,
    /// Back to the caller.
    Reply,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// What would become of it without a rule.
    Deliver,
    /// It is lost, and its caller gets `None` as soon as a message takes to arrive.
    Lose,
    /// The same as without a rule, but so much later.
    Delay(Duration),
    /// It stays on its way until it is [released](Network::release).
    Hold,
    /// A request arrives twice, the second time so much after the first. The handler runs twice; the first answer
    /// to arrive counts. A second copy of a reply would be heard by nobody, so for a reply this is `Deliver`.
    Copy(Duration),
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{} {} {}", self.end, self.call, self.method, self.args)?;
        self.reply.as_ref().map_or(Ok(()), |reply| write!(f, " is answered {reply}"))
    }
}

type Rule = Arc<dyn Fn(&Letter) -> Fate + Send + Sync>;

/// The rule of a network, and what it holds.
#[derive(Default)]
pub(super) struct Rules {
    /// Whether there is a rule: asked for every message, so it is no lock.
    on: AtomicBool,
    rule: Mutex<Option<Rule>>,
    held: Mutex<Vec<Held>>,
}

/// A message that waits for its release.
pub(super) struct Held {
    pub letter: Letter,
    pub message: Message,
    /// `None`: its owner has crashed.
    pub caller: Option<Caller>,
    pub cargo: Cargo,
}

pub(super) enum Cargo {
    Request { args: Vec<u8>, server: Arc<str> },
    Reply(Vec<u8>),
}

impl Network {
    /// Asks `rule` about every message that the network would carry, as it sets out: a request that finds its way
    /// open, a reply whose caller still waits. Replaces the rule before.
    ///
    /// The rule is called in the thread that sends or answers, with no lock of the network held. It may look at
    /// things, but it must not wait, nor take a lock that the sender may hold. Inside a [run], arguments
    /// and replies are described for it.
    pub fn intercept(&self, rule: impl Fn(&Letter) -> Fate + Send + Sync + 'static) {
        run::excuse_for_good();
        let before = self.0.rules.rule.lock().replace(Arc::new(rule));
        self.0.rules.on.store(true, Relaxed);
        if before.is_none() {
            trace::describe_for_rules(true);
        }
    }

    /// Asks no rule any more. What is held stays held.
    pub fn no_intercept(&self) {
        let before = self.0.rules.rule.lock().take();
        self.0.rules.on.store(false, Relaxed);
        if before.is_some() {
            trace::describe_for_rules(false);
        }
    }

    /// What is held, the oldest first.
    pub fn held(&self) -> Vec<Letter> {
        self.0.rules.held.lock().iter().map(|held| held.letter.clone()).collect()
    }

    /// Lets those held messages go that `which` names; gives back how many. They have been on their way for long
    /// enough: they arrive now, in the order in which they were held, and nothing delays or loses them any more.
    /// (Whose handler gets on fastest is the scheduler's affair: where that matters, release one at a time.)
    ///
    /// A message outlives its sender: a request of an end that is [deleted](Network::delete_end) is handled, and its
    /// reply goes nowhere. It also outlives the server that it was sent to: whoever bears its name by now receives
    /// it; if nobody does, it is lost. If the end is cut off just now, the request is handled and its caller gets `None`.
    pub fn release(&self, which: impl FnMut(&Letter) -> bool) -> usize {
        let released = self.0.rules.take(which);
        let count = released.len();
        released.into_iter().for_each(|held| held.go_on(&self.0));
        count
    }

    /// Lets a copy of each held request go that `which` names, and holds on to the request itself; gives back how many.
    /// Nobody gets the copies' answers.
    pub fn repeat(&self, mut which: impl FnMut(&Letter) -> bool) -> usize {
        let held = self.0.rules.held.lock();
        let copies: Vec<_> =
            held.iter().filter(|held| which(&held.letter)).filter_map(Held::copy).collect();
        drop(held);
        let count = copies.len();
        copies.into_iter().for_each(|held| held.go_on(&self.0));
        count
    }

    /// Loses those held messages that `which` names; gives back how many. Their callers get `None`.
    pub fn discard(&self, which: impl FnMut(&Letter) -> bool) -> usize {
        let discarded = self.0.rules.take(which);
        let count = discarded.len();
        discarded.into_iter().for_each(|held| held.message.lose(held.caller, "discarded"));
        count
    }
}

impl Rules {
    pub fn on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// What the rule says.
    pub fn fate(&self, letter: impl FnOnce() -> Letter) -> Fate {
        if !self.on() {
            return Fate::Deliver;
        }
        let rule = self.rule.lock().clone();
        rule.map_or(Fate::Deliver, |rule| rule(&letter()))
    }

    pub fn hold(&self, held: Held) {
        let end = held.message.end.clone();
        self.held.lock().push(held);
        if end.route.lock().deleted {
            self.forget_callers(&end); // in real mode it may have been deleted just now
        }
    }

    fn take(&self, mut which: impl FnMut(&Letter) -> bool) -> Vec<Held> {
        let all = std::mem::take(&mut *self.held.lock());
        let (taken, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|held| which(&held.letter));
        self.held.lock().splice(0..0, kept); // before what has come meanwhile
        taken
    }

    /// The owner of `end` has crashed: nobody waits for these answers.
    pub fn forget_callers(&self, end: &Arc<End>) {
        let mut held = self.held.lock();
        let of_end = held.iter_mut().filter(|held| Arc::ptr_eq(&held.message.end, end));
        let left: Vec<_> = of_end.map(|held| (held.message.clone(), held.caller.take())).collect();
        drop(held);
        left.into_iter().for_each(|(message, caller)| message.lose(caller, "its caller is gone"));
    }

    /// Drops what is held.
    pub fn clear(&self) {
        let held = std::mem::take(&mut *self.held.lock());
        drop(held);
    }
}

impl Held {
    /// The same request without anybody who waits for its answer.
    fn copy(&self) -> Option<Held> {
        let Cargo::Request { args, server } = &self.cargo else { return None };
        Some(Held {
            letter: self.letter.clone(),
            message: Message { copy: u8::MAX, ..self.message.clone() },
            caller: None,
            cargo: Cargo::Request { args: args.clone(), server: server.clone() },
        })
    }

    fn go_on(self, net: &Net) {
        let Held { message, caller, cargo, .. } = self;
        let now = Duration::ZERO;
        match (cargo, caller) {
            (Cargo::Request { args, server }, caller) => {
                let to = To::Server(server);
                net.delivery.after(now, move || message.arrive(args, caller, &to));
            }
            (Cargo::Reply(bytes), Some(caller)) => {
                net.delivery.after(now, move || message.come_back(bytes, caller));
            }
            (Cargo::Reply(_), None) => {}
        }
    }
}
