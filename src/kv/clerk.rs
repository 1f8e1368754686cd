//! The client of the store: it finds the leader, remembers it, and asks until it is answered.

use super::server::{NoAnswer, Reply};
use super::store::{Op, Output, Stamp, Write};
use labrpc::ClientEnd;
use labrpc::api::kv::{self, PutError};
use labrpc::time::sleep;
use std::time::Duration;

/// How long a server may take. A leader that has lost its followers doesn't know, and never answers.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long to wait when every server has been asked in vain: about as long as an election takes.
const PAUSE: Duration = Duration::from_millis(50);

/// A client, which does one thing at a time.
pub struct Clerk {
    servers: Vec<ClientEnd>,
    /// Who is asked first: the last to have answered.
    leader: usize,
    /// Who is asked for the next read, if that isn't the leader.
    reader: Option<usize>,
    /// The number of our session, once there is one, and of our last write in it.
    session: Option<Stamp>,
}

/// The last answer to a request.
struct Answer {
    output: Output,
    /// Whether an earlier one was perhaps lost: then the request may have been carried out before.
    again: bool,
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
    fn ask(&mut self, op: &Op) -> Answer {
        let mut again = false;
        for tries in 1.. {
            let reply: Option<Reply> =
                self.servers[self.leader].call_timeout("Kv.Request", op, PATIENCE);
            let hint = match reply {
                Some(Ok(output)) => return Answer { output, again },
                Some(Err(NoAnswer::NotLeader { leader })) => leader,
                Some(Err(NoAnswer::Unknown)) | None => {
                    again = true;
                    None
                }
            };
            let next = (self.leader + 1) % self.servers.len();
            self.leader = hint.filter(|&leader| leader < self.servers.len()).unwrap_or(next);
            if tries % self.servers.len() == 0 {
                sleep(PAUSE);
            }
        }
        unreachable!("it tries for ever")
    }

    /// Writes, once.
    ///
    /// # Panics
    /// If the session was forgotten between two tries: other clients have written a million times meanwhile. Then nobody knows
    /// whether this was done, and to go on as if one did would be wrong.
    fn write(&mut self, key: &str, value: &str, how: Write) {
        loop {
            let mut stamp = self.session.unwrap_or_else(|| self.open_session());
            stamp.number += 1;
            self.session = Some(stamp);
            let op = Op::Write { stamp, key: key.into(), value: value.into(), how };
            let Answer { output, again } = self.ask(&op);
            match output {
                Output::SessionExpired if !again => self.session = None, // and it was not done: once more
                Output::SessionExpired => panic!("the session {} has expired", stamp.session),
                _ => return,
            }
        }
    }

    fn open_session(&mut self) -> Stamp {
        match self.ask(&Op::OpenSession).output {
            Output::Session(session) => Stamp { session, number: 0 },
            other => unreachable!("{other:?} answers no request for a session"),
        }
    }

    fn read(&mut self, key: &str) -> Option<(String, u64)> {
        let leader = self.leader;
        if let Some(reader) = self.reader {
            self.leader = reader;
        }
        let answer = self.ask(&Op::Get { key: key.into() });
        if let Some(reader) = &mut self.reader {
            *reader = (self.leader + 1) % self.servers.len();
            self.leader = leader;
        }
        match answer.output {
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
        self.write(key, value, Write::Put);
    }

    fn append(&mut self, key: &str, value: &str) {
        self.write(key, value, Write::Append);
    }
}

impl kv::VersionedClerk for Clerk {
    fn get(&mut self, key: &str) -> Option<(String, u64)> {
        self.read(key)
    }

    fn put(&mut self, key: &str, value: &str, version: u64) -> Result<(), PutError> {
        let op = Op::PutVersion { key: key.into(), value: value.into(), version };
        let Answer { output, again } = self.ask(&op);
        match output {
            Output::OtherVersion if again => Err(PutError::Maybe),
            Output::OtherVersion => Err(PutError::Version),
            Output::NoKey => Err(PutError::NoKey),
            _ => Ok(()),
        }
    }
}
