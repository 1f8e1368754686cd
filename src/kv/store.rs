//! The state machine of the store: values with versions, and what each client was told last.
//!
//! A write that arrives twice must be done once: its client sends it again if the first answer was lost, and the network may double
//! it. So a client opens a *session* and numbers what it writes; the session remembers the last number and the answer to it
//! (thesis §6.3). It is part of the state, hence of snapshots, and every server forgets it at the same entry of the log. Reads
//! change nothing and are simply done again.
//!
//! Versioned puts have sessions, too, though the 2025 lab does without. The version alone keeps a put from being done twice, but
//! it doesn't tell the copy of a put from another client's: the copy would be answered "another version", and this answer may be
//! the first to arrive. And the copy of a put that was refused may find its version later.

use labrpc::api::kv::StateMachine;
use labrpc::codec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An operation of the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Op {
    /// Reads a key.
    Get {
        /// Which.
        key: String,
    },
    /// Writes a key once, whoever says it how often.
    Write {
        /// Who says it, and for the how manieth time it says anything.
        stamp: Stamp,
        /// The key.
        key: String,
        /// Its new value, or what is added to it.
        value: String,
        /// Which of the two.
        how: Write,
    },
    /// Opens a session.
    OpenSession {
        /// The client's last one. If it is still there, it goes on, and no other is opened.
        last: Option<u64>,
    },
}

/// What an [`Op::Write`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// Replaces the value.
    Put,
    /// Adds to it.
    Append,
    /// Replaces the value if it has this version; 0 if there is none.
    IfVersion(u64),
}

/// Which write of which session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The session.
    pub session: u64,
    /// From 1, one more for every write.
    pub number: u64,
}

/// The store's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// The value and its version, if there is one.
    Value(Option<(String, u64)>),
    /// It is written.
    Done,
    /// Nothing is written, for the key has another version.
    OtherVersion,
    /// Nothing is written, for the key has no value and so no version but 0.
    NoKey,
    /// A session with this number is open.
    Session(u64),
    /// Nothing is written now, for there is no such session any more. Nobody knows whether it had been written before: this may be a
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
    /// The answer to it. A client waits for no older one: it does one thing at a time.
    answer: Output,
    /// When that was, by the store's clock.
    used: u64,
}

/// Sessions are looked through for idle ones this many times in the life of one.
const SWEEPS: u64 = 8;

impl Default for Store {
    /// An empty store, whose sessions live for a million writes of others.
    fn default() -> Store {
        Store::new(1_000_000)
    }
}

impl Store {
    /// An empty store whose sessions live for so many writes of others (an eighth more, at most).
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

    /// A new session's number is the clock's, so no number is ever given to two.
    fn open_session(&mut self, last: Option<u64>) -> Output {
        let clock = self.tick();
        let number = last.filter(|last| self.sessions.contains_key(last)).unwrap_or(clock);
        let new = Session { number: 0, answer: Output::Done, used: clock };
        self.sessions.entry(number).or_insert(new).used = clock;
        Output::Session(number)
    }

    /// Moves the clock, and now and then forgets the sessions that have been idle for too long.
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        if self.clock.is_multiple_of((self.session_life / SWEEPS).max(1)) {
            let oldest = self.clock.saturating_sub(self.session_life);
            self.sessions.retain(|_, session| session.used >= oldest);
        }
        self.clock
    }
}

/// Writes, unless the key has another version than asked for.
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
            .unwrap_or_else(|error| panic!("the snapshot is none of a store: {error}"));
    }
}
