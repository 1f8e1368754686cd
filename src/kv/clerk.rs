//! The client of the store: it finds the leader, remembers it, and repeats each request until a server answers.

use super::server::{NoAnswer, PATIENCE, Reply};
use super::store::{Op, Output, Stamp, Write};
use labrpc::ClientEnd;
use labrpc::api::kv::{self, PutError};
use labrpc::time::{Instant, sleep};
use std::time::Duration;

/// How long to wait when no server has answered: about as long as an election takes.
const PAUSE: Duration = Duration::from_millis(50);
/// A client that has written nothing for this long first asks whether its session still exists. The servers forget an idle session
/// after a million writes of other clients. If a write finds no session, nobody knows whether that write was done before.
const IDLE: Duration = Duration::from_secs(10);

/// A client. It does one thing at a time.
pub struct Clerk {
    servers: Vec<ClientEnd>,
    /// The server that is asked first: the one that answered last.
    leader: usize,
    /// The server that is asked for the next read, if reads do not go to the leader.
    reader: Option<usize>,
    /// Our session, once there is one.
    session: Option<Session>,
}

/// What a client knows of its session.
#[derive(Clone, Copy)]
struct Session {
    /// The number of the session, and the number of our last write in it.
    stamp: Stamp,
    /// When that write began.
    used: Instant,
}

impl Clerk {
    /// A client of these servers; `servers[i]` is the end for server `i`.
    pub fn new(servers: Vec<ClientEnd>) -> Clerk {
        assert!(!servers.is_empty(), "a clerk needs a server");
        Clerk { servers, leader: 0, reader: None, session: None }
    }

    /// A client whose reads go to each server in turn. The servers should be able to answer reads without being the leader. If a
    /// server cannot, the client asks the others.
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

    /// Writes once: each try has the same stamp. Returns `None` if nobody knows whether the write is done, because the servers have
    /// forgotten the session between two tries. Other clients have written a million times in between.
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

    /// Goes on with our last session if it still exists, or opens another one.
    fn open_session(&mut self) -> Stamp {
        let last = self.session.map(|session| session.stamp);
        match self.ask(&Op::OpenSession { last: last.map(|last| last.session) }) {
            Output::Session(session) => {
                last.filter(|last| last.session == session).unwrap_or(Stamp { session, number: 0 })
            }
            other => unreachable!("{other:?} is not an answer to OpenSession"),
        }
    }

    /// # Panics
    /// If nobody knows whether the write is done. It would be wrong to go on as if it were known, and this API cannot report it.
    fn write_for_sure(&mut self, key: &str, value: &str, how: Write) {
        let done = self.write(key, value, how);
        assert!(
            done.is_some(),
            "the session has expired, so nobody knows whether the write to {key:?} is done"
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
            other => unreachable!("{other:?} is not an answer to Get"),
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
