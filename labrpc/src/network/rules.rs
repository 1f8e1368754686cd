//! Rules: a test decides what happens to single messages. Rules work with any Raft.
//!
//! To play a scenario like those in the paper ("S1 sends its entry to S2 only"), a test sets a rule that holds or loses letters,
//! and calls [`Network::release`].

use super::letter::{Cargo, Fate, Letter};
use super::message::{Held, Message, To};
use super::{End, Net, Network};
use crate::run;
use crate::trace::{self, What};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

type Rule = Arc<dyn Fn(&Letter) -> Fate + Send + Sync>;

/// The rule of a network, and the messages that it holds.
#[derive(Default)]
pub(super) struct Rules {
    /// Whether there is a rule. This is read for every message, so it is an atomic and not a lock.
    on: AtomicBool,
    rule: Mutex<Option<Rule>>,
    held: Mutex<Vec<Held>>,
}

impl Network {
    /// Asks `rule` about every message that the network would carry, at the moment when it is sent: every request whose end is not
    /// cut off, and every reply whose caller still waits. Replaces any earlier rule.
    ///
    /// The rule is called in the thread that sends the request or the reply, while no lock of the network is held. It may read
    /// things, but it must not wait, and must not take a lock that the sender may hold. Inside a [run], it gets the arguments and
    /// replies in readable form.
    pub fn intercept(&self, rule: impl Fn(&Letter) -> Fate + Send + Sync + 'static) {
        run::excuse_for_good();
        let before = self.0.rules.rule.lock().replace(Arc::new(rule));
        self.0.rules.on.store(true, Relaxed);
        if before.is_none() {
            trace::describe_for_rules(true);
        }
    }

    /// Removes the rule. Messages that are held stay held.
    pub fn no_intercept(&self) {
        let before = self.0.rules.rule.lock().take();
        self.0.rules.on.store(false, Relaxed);
        if before.is_some() {
            trace::describe_for_rules(false);
        }
    }

    /// The messages that are held, the oldest first.
    pub fn held(&self) -> Vec<Letter> {
        self.0.rules.held.lock().iter().map(|held| held.letter.clone()).collect()
    }

    /// Releases the held messages for which `which` returns true; returns how many. They arrive now, in the order in which they
    /// were held, and nothing delays or loses them any more. (But their handlers run at the same time, and the scheduler decides
    /// which one is fastest. If that order matters, release one message at a time.)
    ///
    /// A message outlives its sender: the request of an end that was [deleted](Network::delete_end) is handled, and its reply is
    /// lost. A message also outlives the server that it was sent to: the server that has the same name now receives it. If there
    /// is no such server, the message is lost. If the end is cut off at this moment, the request is handled and its caller gets
    /// `None`.
    pub fn release(&self, which: impl FnMut(&Letter) -> bool) -> usize {
        let released = self.0.rules.take(which);
        let count = released.len();
        released.into_iter().for_each(|held| held.go_on(&self.0));
        count
    }

    /// Releases a copy of each held request for which `which` returns true, and keeps holding the request itself. Returns how many
    /// copies it released. The replies to the copies are lost.
    pub fn repeat(&self, mut which: impl FnMut(&Letter) -> bool) -> usize {
        let held = self.0.rules.held.lock();
        let copies: Vec<_> =
            held.iter().filter(|held| which(&held.letter)).filter_map(Held::copy).collect();
        drop(held);
        let count = copies.len();
        copies.into_iter().for_each(|held| held.go_on(&self.0));
        count
    }

    /// Drops the held messages for which `which` returns true; returns how many. Their callers get `None`.
    pub fn discard(&self, which: impl FnMut(&Letter) -> bool) -> usize {
        let discarded = self.0.rules.take(which);
        let count = discarded.len();
        discarded
            .into_iter()
            .for_each(|held| held.message.lose(held.caller, "the test discarded it"));
        count
    }
}

impl Rules {
    pub fn on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// What the rule decides about a message.
    pub fn fate(&self, letter: impl FnOnce() -> Letter) -> Fate {
        if !self.on() {
            return Fate::Deliver;
        }
        let rule = self.rule.lock().clone();
        rule.map_or(Fate::Deliver, |rule| rule(&letter()))
    }

    pub fn hold(&self, held: Held) {
        let end = held.message.end.clone();
        trace::emit(|| What::Held { call: held.message.call, end: end.name.clone() });
        self.held.lock().push(held);
        if end.route.lock().deleted {
            self.forget_callers(&end); // in real mode the end may have been deleted just now
        }
    }

    fn take(&self, mut which: impl FnMut(&Letter) -> bool) -> Vec<Held> {
        let all = std::mem::take(&mut *self.held.lock());
        let (taken, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|held| which(&held.letter));
        self.held.lock().splice(0..0, kept); // before the messages that were held meanwhile
        taken
    }

    /// The owner of `end` has crashed, so nobody waits for the replies to its calls.
    pub fn forget_callers(&self, end: &Arc<End>) {
        let mut held = self.held.lock();
        let of_end = held.iter_mut().filter(|held| Arc::ptr_eq(&held.message.end, end));
        let left: Vec<_> = of_end.map(|held| (held.message.clone(), held.caller.take())).collect();
        drop(held);
        left.into_iter()
            .for_each(|(message, caller)| message.lose(caller, "its caller has crashed"));
    }

    /// Drops all held messages.
    pub fn clear(&self) {
        let held = std::mem::take(&mut *self.held.lock());
        drop(held);
    }
}

impl Held {
    /// A copy of the request. Nobody waits for the reply to the copy. `None` if this is a reply.
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
