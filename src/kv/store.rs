//! The state machine of the store: values with versions, and the last answer to each client.
//!
//! A write that arrives twice must be done only once: the client sends it again if the answer was lost, and the network may
//! duplicate it. So a client opens a *session* and numbers its writes. The session remembers the last number and the answer to that
//! write (thesis §6.3). Sessions are part of the state, and so of snapshots, and every server forgets a session at the same log
//! entry. Reads change nothing, so they are simply done again.
//!
//! Versioned puts have sessions, too, though the 2025 lab has none. The version alone keeps a put from being done twice. But it
//! does not tell the copy of a put from a put of another client. So the server would answer the copy with "another version", and
//! this answer may be the first to arrive. And a copy of a put that was refused may arrive when the key has the right version.

use labrpc::api::kv::StateMachine;
use labrpc::codec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An operation of the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Op {
    /// Reads a key.
    Get {
        /// The key.
        key: String,
    },
    /// Writes a key once, however often this operation arrives.
    Write {
        /// The session of the client, and the number of this write in it.
        stamp: Stamp,
        /// The key.
        key: String,
        /// The new value, or what is appended to the value.
        value: String,
        /// What the write does.
        how: Write,
    },
    /// Opens a session.
    OpenSession {
        /// The client's last session. If it still exists, it goes on, and no other session is opened.
        last: Option<u64>,
    },
}

/// What an [`Op::Write`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// Replaces the value.
    Put,
    /// Appends to the value.
    Append,
    /// Replaces the value if it has this version. With 0, the key must have no value.
    IfVersion(u64),
}

/// Identifies a write of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The session.
    pub session: u64,
    /// The number of the write in its session, from 1.
    pub number: u64,
}

/// The store's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// The value and its version, if the key has a value.
    Value(Option<(String, u64)>),
    /// The write is done.
    Done,
    /// Nothing is written, because the key has another version.
    OtherVersion,
    /// Nothing is written, because the key has no value, and so its version is 0.
    NoKey,
    /// A session with this number is open.
    Session(u64),
    /// Nothing is written now, because the session no longer exists. Nobody knows whether the write was done before: this may be a
    /// copy of the request, or a second try.
    SessionExpired,
}

/// Values with their versions, by key.
type Values = BTreeMap<String, (String, u64)>;

/// The store's state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Store {
    values: Values,
    sessions: BTreeMap<u64, Session>,
    /// The number of writes and new sessions so far: the clock of the sessions, which is the same on every server.
    clock: u64,
    /// How many ticks of the clock an idle session is kept.
    session_life: u64,
}

/// What is known of a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Session {
    /// The number of the last write.
    number: u64,
    /// The answer to that write. A client waits for no older answer, because it does one thing at a time.
    answer: Output,
    /// When the session was last used, by the store's clock.
    used: u64,
}

/// How many times the store looks for idle sessions during the time for which it keeps one.
const SWEEPS: u64 = 8;

impl Default for Store {
    /// An empty store that keeps an idle session for a million writes of other clients.
    fn default() -> Store {
        Store::new(1_000_000)
    }
}

impl Store {
    /// An empty store that keeps an idle session for `session_life` writes of other clients, or at most an eighth longer.
    pub fn new(session_life: u64) -> Store {
        let (values, sessions) = (BTreeMap::new(), BTreeMap::new());
        Store { values, sessions, clock: 0, session_life }
    }

    /// The value of a key and its version, if there is one.
    pub fn get(&self, key: &str) -> Output {
        Output::Value(self.values.get(key).cloned())
    }

    fn write(&mut self, stamp: Stamp, key: String, value: String, how: Write) -> Output {
        let clock = self.tick();
        let Some(session) = self.sessions.get_mut(&stamp.session) else {
            return Output::SessionExpired;
        };
        session.used = clock;
        if stamp.number > session.number {
            session.number = stamp.number;
            session.answer = set(&mut self.values, key, value, how);
        }
        session.answer.clone()
    }

    /// The number of a new session is the clock's value, so no two sessions ever have the same number.
    fn open_session(&mut self, last: Option<u64>) -> Output {
        let clock = self.tick();
        let number = last.filter(|last| self.sessions.contains_key(last)).unwrap_or(clock);
        let new = Session { number: 0, answer: Output::Done, used: clock };
        self.sessions.entry(number).or_insert(new).used = clock;
        Output::Session(number)
    }

    /// Advances the clock by 1. Now and then, forgets the sessions that have been idle for too long.
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        if self.clock.is_multiple_of((self.session_life / SWEEPS).max(1)) {
            let oldest = self.clock.saturating_sub(self.session_life);
            self.sessions.retain(|_, session| session.used >= oldest);
        }
        self.clock
    }
}

/// Writes a value, unless a version is asked for and the key has another one.
fn set(values: &mut Values, key: String, value: String, how: Write) -> Output {
    let at = values.get(&key).map(|(_, version)| *version);
    match (how, at) {
        (Write::IfVersion(version), None) if version != 0 => return Output::NoKey,
        (Write::IfVersion(version), Some(at)) if version != at => return Output::OtherVersion,
        _ => {}
    }
    let (now, version) = values.entry(key).or_default();
    match how {
        Write::Append => now.push_str(&value),
        Write::Put | Write::IfVersion(_) => *now = value,
    }
    *version += 1;
    Output::Done
}

impl StateMachine for Store {
    type Op = Op;
    type Output = Output;

    fn apply(&mut self, op: Op) -> Output {
        match op {
            Op::Get { key } => self.get(&key),
            Op::Write { stamp, key, value, how } => self.write(stamp, key, value, how),
            Op::OpenSession { last } => self.open_session(last),
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        codec::encode(self)
    }

    fn restore(&mut self, snapshot: &[u8]) {
        *self = codec::decode(snapshot)
            .unwrap_or_else(|error| panic!("the snapshot is not one of a store: {error}"));
    }
}
