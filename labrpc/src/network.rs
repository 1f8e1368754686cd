//! The lab's network: which servers may talk to each other, and which messages are lost, delayed or reordered.
//!
//! The loss rates and delays are the Go lab's, exact to the millisecond. The simulation adds [`LATENCY`] to every message.
//!
//! The network also has features that the Go lab does not have, all off by default: a [rule](Network::intercept) for single
//! messages, and switches that [duplicate](Network::duplicate) messages, [delay](Network::delays) them, or lose them in
//! [one direction](Network::lose_requests) only.

mod caller;
mod delivery;
mod letter;
mod message;
mod rules;
mod switches;

pub use letter::{Fate, Leg, Letter};
pub use switches::Duplication;

use crate::context;
use crate::end::{ClientEnd, ReplyTo, Request, Transport};
use crate::rand::{self, Stream};
use crate::run;
use crate::server::Server;
use crate::thread::{Group, crashed_here};
use crate::trace::{self, What};
use caller::Caller;
use delivery::Delivery;
use message::Message;
use parking_lot::Mutex;
use rules::Rules;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;
use switches::{Link, Switches};

/// The longest time that a message takes in a simulation, each way. The Go lab has no such delay. Without it, a busy client moves
/// virtual time by only 1 us per step, and a crash hardly ever happens between a send and its delivery.
pub const LATENCY: Duration = Duration::from_millis(2);

/// If the network is unreliable, a request takes this many milliseconds.
const SHORT_DELAY_MS: Range<u64> = 0..27;
/// If the network is unreliable, this share of requests, and this share of replies, is lost.
const LOSS: (u64, u64) = (1, 10);
/// With long reordering, this share of replies is late: by [`LATE_BY_MS`] and less than [`LATE_BY_UP_TO_MS`] more.
const LATE: (u64, u64) = (2, 3);
const LATE_BY_MS: u64 = 200;
const LATE_BY_UP_TO_MS: u64 = 2000;
/// A call that can't reach its server ends after this many milliseconds.
const CUT_OFF_MS: Range<u64> = 0..100;
/// The same if long delays are on.
const CUT_OFF_LONG_MS: Range<u64> = 0..7000;

/// A network. Clones refer to the same network.
///
/// ```
/// use labrpc::{Network, Server, Service};
/// let network = Network::new();
/// let service = Service::new("Greeter").method("Greet", |name: String| format!("hello, {name}"));
/// network.add_server("server", Server::new([service]));
/// let end = network.make_end("end");
/// network.connect("end", "server");
/// network.enable("end", true);
/// assert_eq!(end.call("Greeter.Greet", "you"), Some("hello, you".to_string()));
/// ```
#[derive(Clone)]
pub struct Network(Arc<Net>);

struct Net {
    unreliable: AtomicBool,
    long_delays: AtomicBool,
    long_reordering: AtomicBool,
    calls: AtomicU64,
    bytes: AtomicU64,
    largest: AtomicU64,
    draws: Arc<Stream>,
    tables: Mutex<Tables>,
    delivery: Delivery,
    rules: Rules,
    switches: Switches,
}

#[derive(Default)]
struct Tables {
    ends: BTreeMap<Arc<str>, Arc<End>>,
    hosts: BTreeMap<Arc<str>, Arc<Host>>,
}

/// One incarnation of a server.
struct Host {
    name: Arc<str>,
    server: Server,
    group: Group,
    gone: AtomicBool,
    calls: AtomicU64,
}

impl Host {
    fn is_up(&self) -> bool {
        !self.gone.load(Relaxed) && !self.group.has_crashed()
    }
}

struct End {
    name: Arc<str>,
    net: Weak<Net>,
    route: Mutex<Route>,
    /// Calls whose handler is running, by number and copy.
    with_handler: Mutex<BTreeMap<(u64, u8), Caller>>,
    link: Mutex<Link>,
}

#[derive(Clone, Default)]
struct Route {
    enabled: bool,
    server: Option<Arc<str>>,
    host: Weak<Host>,
    /// Whether the end was deleted because its owner has crashed.
    deleted: bool,
}

impl Default for Network {
    fn default() -> Self {
        Network::new()
    }
}

impl Network {
    /// A reliable network without servers.
    pub fn new() -> Network {
        Network(Arc::new(Net {
            unreliable: AtomicBool::new(false),
            long_delays: AtomicBool::new(false),
            long_reordering: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            largest: AtomicU64::new(0),
            draws: rand::network(),
            tables: Mutex::default(),
            delivery: Delivery::new(),
            rules: Rules::default(),
            switches: Switches::default(),
        }))
    }

    /// Makes the network reliable or unreliable. On an unreliable network, a request takes 0-26 ms, and 10 % of requests and 10 %
    /// of replies are lost. The caller of a lost message gets `None` at once.
    pub fn reliable(&self, yes: bool) {
        self.0.unreliable.store(!yes, Relaxed);
    }

    /// Sets whether a call on an end that is cut off waits 0-7000 ms for its `None`, instead of 0-100 ms.
    pub fn long_delays(&self, yes: bool) {
        self.0.long_delays.store(yes, Relaxed);
    }

    /// Sets whether two thirds of replies arrive 200-2200 ms late.
    pub fn long_reordering(&self, yes: bool) {
        if yes {
            run::excuse_for_good();
        }
        self.0.long_reordering.store(yes, Relaxed);
    }

    /// Makes an end, which is not connected to a server yet. Traces show its name.
    ///
    /// # Panics
    /// If there already is an end of that name.
    pub fn make_end(&self, name: impl Into<Arc<str>>) -> ClientEnd {
        let name = name.into();
        let end = Arc::new(End {
            name: name.clone(),
            net: Arc::downgrade(&self.0),
            route: Mutex::default(),
            with_handler: Mutex::default(),
            link: Mutex::default(),
        });
        let before = self.0.tables.lock().ends.insert(name.clone(), end.clone());
        assert!(before.is_none(), "there already is an end {name:?}");
        ClientEnd::new(LabEnd(end))
    }

    /// Removes an end whose owner has crashed. Messages that are still sent on it are lost.
    pub fn delete_end(&self, name: &str) {
        let end = self.0.tables.lock().ends.remove(name);
        if let Some(end) = end {
            *end.route.lock() = Route { deleted: true, ..Route::default() };
            end.give_up();
            self.0.rules.forget_callers(&end);
        }
    }

    /// Connects an end to a server, now or as soon as the server is added. A new end is disabled.
    ///
    /// # Panics
    /// If there is no such end.
    pub fn connect(&self, end: &str, server: &str) {
        let tables = self.0.tables.lock();
        let mut route = tables.end(end).route.lock();
        route.server = Some(server.into());
        route.host = tables.hosts.get(server).map_or_else(Weak::new, Arc::downgrade);
    }

    /// Enables an end, or cuts it off. If it is cut off, callers whose request is with a handler get `None`.
    ///
    /// # Panics
    /// If there is no such end.
    pub fn enable(&self, end: &str, yes: bool) {
        let end = self.0.tables.lock().end(end).clone();
        end.route.lock().enabled = yes;
        if !yes {
            end.give_up();
        }
    }

    /// Adds a server, or replaces it by its next incarnation. Its handlers run in the [`Group`] of the thread that calls
    /// `add_server`.
    pub fn add_server(&self, name: impl Into<Arc<str>>, server: Server) {
        let name = name.into();
        let group =
            context::here().map_or_else(|| Group::new(name.clone()), |here| here.group.clone());
        let host = Arc::new(Host {
            name: name.clone(),
            server,
            group,
            gone: AtomicBool::new(false),
            calls: AtomicU64::new(0),
        });
        self.set_host(&name, Some(host));
    }

    /// Takes a server off the network. Callers whose request is with one of its handlers get `None`.
    pub fn delete_server(&self, name: &str) {
        self.set_host(name, None);
    }

    fn set_host(&self, name: &str, host: Option<Arc<Host>>) {
        let mut tables = self.0.tables.lock();
        let before = match &host {
            Some(host) => {
                let counted = tables.hosts.get(name).map_or(0, |before| before.calls.load(Relaxed));
                host.calls.store(counted, Relaxed);
                tables.hosts.insert(name.into(), host.clone())
            }
            None => tables.hosts.remove(name),
        };
        let ends: Vec<_> = tables.ends.values().cloned().collect();
        drop(tables);
        if let Some(before) = before {
            before.gone.store(true, Relaxed);
        }
        for end in ends {
            let mut route = end.route.lock();
            if route.server.as_deref() == Some(name) {
                route.host = host.as_ref().map_or_else(Weak::new, Arc::downgrade);
                drop(route);
                end.give_up();
            }
        }
    }

    /// How many calls have reached this server, over all incarnations that replaced one another under this name.
    pub fn count(&self, server: &str) -> u64 {
        self.0.tables.lock().hosts.get(server).map_or(0, |host| host.calls.load(Relaxed))
    }

    /// How many calls were made.
    pub fn total_count(&self) -> u64 {
        self.0.calls.load(Relaxed)
    }

    /// The size in bytes of the largest arguments that any call has sent.
    pub fn largest_call(&self) -> u64 {
        self.0.largest.load(Relaxed)
    }

    /// How many bytes went over the network. Arguments count when they are sent, replies when they are delivered.
    pub fn total_bytes(&self) -> u64 {
        self.0.bytes.load(Relaxed)
    }

    /// Ends the network: every unfinished call returns `None`, and the network's threads end. Returns the names of the handlers
    /// that were still running after `patience`. (In a simulation the network has no threads.)
    pub fn shutdown(&self, patience: Duration) -> Vec<String> {
        self.no_intercept();
        let tables = std::mem::take(&mut *self.0.tables.lock());
        for host in tables.hosts.values() {
            host.gone.store(true, Relaxed);
        }
        for end in tables.ends.values() {
            *end.route.lock() = Route { deleted: true, ..Route::default() };
            end.give_up();
        }
        self.0.rules.clear();
        self.0.delivery.shutdown(patience)
    }
}

impl Tables {
    #[track_caller]
    fn end(&self, name: &str) -> &Arc<End> {
        self.ends.get(name).unwrap_or_else(|| panic!("there is no end {name:?}"))
    }
}

/// The transport of an end, for its owner.
struct LabEnd(Arc<End>);

impl Transport for LabEnd {
    fn send(&self, request: Request, reply_to: ReplyTo) {
        let end = &self.0;
        let Some(net) = end.net.upgrade() else { return }; // the network was dropped
        let call = net.calls.fetch_add(1, Relaxed) + 1;
        net.bytes.fetch_add(request.args.len() as u64, Relaxed);
        net.largest.fetch_max(request.args.len() as u64, Relaxed);
        let Request { method, args, described } = request;
        let seen = if net.rules.on() { described.clone() } else { None };
        // In real mode the threads of a crashed server still run, and may send state that was never saved.
        if let Some(args) = described.filter(|_| !crashed_here()) {
            trace::emit(|| What::Called { call, end: end.name.clone(), method, args });
        }
        let message = Message { call, copy: 0, method, end: end.clone(), args: seen };
        message.set_out(&net, args, Caller::Alone(reply_to));
    }
}

impl End {
    /// Ends the calls whose handler is running; their callers get `None`.
    fn give_up(&self) {
        let given_up = std::mem::take(&mut *self.with_handler.lock());
        for ((call, _), caller) in given_up {
            if let Some(reply_to) = caller.give_up() {
                trace::emit(|| self.lost(call, "cut off while the handler ran"));
                drop(reply_to);
            }
        }
    }

    fn lost(&self, call: u64, why: &'static str) -> What {
        What::Lost { call, end: self.name.clone(), why }
    }
}
