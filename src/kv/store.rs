//! The state machine of the store: values with versions, and what each client was told last.
//!
//! A put or append that is asked for twice, because the first answer was lost, must be done once. So a client opens a *session*
//! and numbers what it writes; the session remembers the last number (thesis §6.3). It is part of the state, hence
//! of snapshots, and every server forgets it at the same entry of the log. Reads change nothing and are simply done again; so
//! are versioned puts, which can only be done once: the 2025 lab has no sessions.

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
    /// Sets a key if it has this version.
    PutVersion {
        /// The key.
        key: String,
        /// Its new value.
        value: String,
        /// The version of the present one; 0 if there is none.
        version: u64,
    },
    /// Opens a session.
    OpenSession,
}

/// What an [`Op::Write`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// Replaces the value.
    Put,
    /// Adds to it.
    Append,
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
    /// Nothing is written, for there is no such session any more. If it wasn't the first time that the client asked, nobody knows
    /// whether it had been written before.
    SessionExpired,
}

/// The store's state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Store {
    values: BTreeMap<String, (String, u64)>,
    sessions: BTreeMap<u64, Session>,
    /// The number of writes and new sessions so far: the clock of the sessions, which is the same on every server.
    clock: u64,
    /// How many ticks of the clock an idle session is kept.
    session_life: u64,
}

/// What is known of a client. Its last answer need not be kept: it can only have been "done".
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Session {
    /// The number of the last write.
    number: u64,
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

    fn write(&mut self, stamp: Stamp, key: String, value: &str, how: Write) -> Output {
        let clock = self.tick();
        let Some(session) = self.sessions.get_mut(&stamp.session) else {
            return Output::SessionExpired;
        };
        session.used = clock;
        if stamp.number > session.number {
            session.number = stamp.number;
            let (now, version) = self.values.entry(key).or_default();
            if how == Write::Put {
                now.clear();
            }
            now.push_str(value);
            *version += 1;
        }
        Output::Done
    }

    fn put_version(&mut self, key: String, value: String, version: u64) -> Output {
        match self.values.get_mut(&key) {
            None if version == 0 => _ = self.values.insert(key, (value, 1)),
            None => return Output::NoKey,
            Some((now, at)) if *at == version => (*now, *at) = (value, version + 1),
            Some(_) => return Output::OtherVersion,
        }
        Output::Done
    }

    /// The session's number is the clock's, so no number is ever given twice.
    fn open_session(&mut self) -> Output {
        let clock = self.tick();
        self.sessions.insert(clock, Session { number: 0, used: clock });
        Output::Session(clock)
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

impl StateMachine for Store {
    type Op = Op;
    type Output = Output;

    fn apply(&mut self, op: Op) -> Output {
        match op {
            Op::Get { key } => self.get(&key),
            Op::Write { stamp, key, value, how } => self.write(stamp, key, &value, how),
            Op::PutVersion { key, value, version } => self.put_version(key, value, version),
            Op::OpenSession => self.open_session(),
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
