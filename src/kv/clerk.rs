//! The client of the store: it finds the leader, remembers it, and asks until it is answered.

use super::server::{NoAnswer, PATIENCE, Reply};
use super::store::{Op, Output, Stamp, Write};
use labrpc::ClientEnd;
use labrpc::api::kv::{self, PutError};
use labrpc::time::{Instant, sleep};
use std::time::Duration;

/// How long to wait when every server has been asked in vain: about as long as an election takes.
const PAUSE: Duration = Duration::from_millis(50);
/// Who has written nothing for so long asks first whether its session is still there: an idle session is forgotten after a million
/// writes of others, and a write that finds none has nobody who knows what became of it.
const IDLE: Duration = Duration::from_secs(10);

/// A client, which does one thing at a time.
pub struct Clerk {
    servers: Vec<ClientEnd>,
    /// Who is asked first: the last to have answered.
    leader: usize,
    /// Who is asked for the next read, if that isn't the leader.
    reader: Option<usize>,
    /// Our session, once there is one.
    session: Option<Session>,
}

/// What a client knows of its session.
#[derive(Clone, Copy)]
struct Session {
    /// Its number, and that of our last write in it.
    stamp: Stamp,
    /// When that write was begun.
    used: Instant,
}

impl Clerk {
    /// A client of these servers; `servers[i]` leads to server `i`.
    pub fn new(servers: Vec<ClientEnd>) -> Clerk {
        assert!(!servers.is_empty(), "a clerk needs a server");
        Clerk { servers, leader: 0, reader: None, session: None }
    }

    /// The same, whose reads go to each server in turn. The servers should be able to read without being the leader; if one is not,
    /// others are asked.
    pub fn spreading_reads(servers: Vec<ClientEnd>) -> Clerk {
        Clerk { reader: Some(0), ..Clerk::new(servers) }
    }

    /// Asks one server after the other, until one answers.
    fn ask(&mut self, op: &Op) -> Output {
        for tries in 1.. {
            let reply: Option<Reply> =
                self.servers[self.leader].call_timeout("Kv.Request", op, PATIENCE);
            let hint = match reply {
                Some(Ok(output)) => return output,
                Some(Err(NoAnswer::NotLeader { leader })) => leader,
                Some(Err(NoAnswer::Unknown)) | None => None,
            };
            let next = (self.leader + 1) % self.servers.len();
            self.leader = hint.filter(|&leader| leader < self.servers.len()).unwrap_or(next);
            if tries % self.servers.len() == 0 {
                sleep(PAUSE);
            }
        }
        unreachable!("it tries for ever")
    }

    /// Writes, once: each try has the same stamp. `None`: nobody knows whether it is done, for the session was forgotten between two
    /// tries. Other clients have written a million times meanwhile.
    fn write(&mut self, key: &str, value: &str, how: Write) -> Option<Output> {
        let stamp = self.next_stamp();
        match self.ask(&Op::Write { stamp, key: key.into(), value: value.into(), how }) {
            Output::SessionExpired => {
                self.session = None;
                None
            }
            output => Some(output),
        }
    }

    fn next_stamp(&mut self) -> Stamp {
        let now = Instant::now();
        let fresh = |session: &Session| now.saturating_duration_since(session.used) < IDLE;
        let mut stamp = match self.session.filter(fresh) {
            Some(session) => session.stamp,
            None => self.open_session(),
        };
        stamp.number += 1;
        self.session = Some(Session { stamp, used: now });
        stamp
    }

    /// Goes on with our last session, if it is still there.
    fn open_session(&mut self) -> Stamp {
        let last = self.session.map(|session| session.stamp);
        match self.ask(&Op::OpenSession { last: last.map(|last| last.session) }) {
            Output::Session(session) => {
                last.filter(|last| last.session == session).unwrap_or(Stamp { session, number: 0 })
            }
            other => unreachable!("{other:?} answers no request for a session"),
        }
    }

    /// # Panics
    /// If nobody knows whether it is done: to go on as if one did would be wrong, and this API has no word for it.
    fn write_for_sure(&mut self, key: &str, value: &str, how: Write) {
        let done = self.write(key, value, how);
        assert!(
            done.is_some(),
            "the session has expired, and nobody knows whether {key:?} is written"
        );
    }

    fn read(&mut self, key: &str) -> Option<(String, u64)> {
        let leader = self.leader;
        if let Some(reader) = self.reader {
            self.leader = reader;
        }
        let output = self.ask(&Op::Get { key: key.into() });
        if let Some(reader) = &mut self.reader {
            *reader = (self.leader + 1) % self.servers.len();
            self.leader = leader;
        }
        match output {
            Output::Value(value) => value,
            other => unreachable!("{other:?} answers no get"),
        }
    }
}

impl kv::Clerk for Clerk {
    fn get(&mut self, key: &str) -> String {
        self.read(key).map(|(value, _)| value).unwrap_or_default()
    }

    fn put(&mut self, key: &str, value: &str) {
        self.write_for_sure(key, value, Write::Put);
    }

    fn append(&mut self, key: &str, value: &str) {
        self.write_for_sure(key, value, Write::Append);
    }
}

impl kv::VersionedClerk for Clerk {
    fn get(&mut self, key: &str) -> Option<(String, u64)> {
        self.read(key)
    }

    fn put(&mut self, key: &str, value: &str, version: u64) -> Result<(), PutError> {
        match self.write(key, value, Write::IfVersion(version)) {
            None => Err(PutError::Maybe),
            Some(Output::OtherVersion) => Err(PutError::Version),
            Some(Output::NoKey) => Err(PutError::NoKey),
            Some(_) => Ok(()),
        }
    }
}
