//! A server of the store: it has every request carried out by the [`Rsm`], and says what came of it.

use super::rsm::Rsm;
use super::store::{Op, Output, Store};
use labrpc::api::kv::{Replica, Served};
use labrpc::api::{Make, MakeMember, Raft, Refused};
use labrpc::sync::Arc;
use labrpc::{ClientEnd, Persister, Service};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a client waits for an answer, and so how long a server tries to have one. A leader that has lost its followers doesn't
/// know, and would keep a thread for each time that each client asks.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

/// One server of the store.
pub struct KvServer {
    rsm: Arc<Rsm<Store>>,
    reads: Reads,
}

/// How a server reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// As it writes: a read is an entry of the log, and only a leader answers.
    ThroughTheLog,
    /// It asks its Raft for an index to read at (thesis §6.4). Any server answers that knows its leader.
    ByIndex,
}

/// The answer to a request, or why there is none.
pub type Reply = Result<Output, NoAnswer>;

/// Why a request was not answered. The client tries another server, and concludes nothing more: if the network doubled the request,
/// the server may have taken the one when it led, and refused the other when it no longer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoAnswer {
    /// This server doesn't lead, and has done nothing when this came.
    NotLeader {
        /// Who does, as far as it knows.
        leader: Option<usize>,
    },
    /// The request may have been carried out, or may yet be.
    Unknown,
}

impl From<Refused> for NoAnswer {
    fn from(refused: Refused) -> NoAnswer {
        match refused {
            Refused::NotLeader { leader } => NoAnswer::NotLeader { leader },
            Refused::Busy => NoAnswer::NotLeader { leader: None },
            _ => NoAnswer::Unknown,
        }
    }
}

impl KvServer {
    /// Makes a server on a Raft that `make_raft` makes, and starts it; for the rest see [`Rsm::make`].
    pub fn make(
        reads: Reads,
        make_raft: &Make,
        peers: Vec<ClientEnd>,
        me: usize,
        persister: Persister,
        max_raft_state: Option<usize>,
    ) -> Served<KvServer> {
        let store = Store::default();
        let (rsm, mut services) = Rsm::make(make_raft, peers, me, persister, max_raft_state, store);
        let server = Arc::new(KvServer { rsm, reads });
        let asked = server.clone();
        services.push(Service::new("Kv").method("Request", move |op| asked.request(op)));
        (server, services)
    }

    /// [`KvServer::make`] on this Raft, as the lab wants it, with reads through the log.
    pub fn on(
        make_raft: Make,
    ) -> impl Fn(Vec<ClientEnd>, usize, Persister, Option<usize>) -> Served<KvServer> {
        KvServer::reading(Reads::ThroughTheLog, make_raft)
    }

    /// The same with other reads.
    pub fn reading(
        reads: Reads,
        make_raft: Make,
    ) -> impl Fn(Vec<ClientEnd>, usize, Persister, Option<usize>) -> Served<KvServer> {
        move |peers, me, persister, max| {
            KvServer::make(reads, &make_raft, peers, me, persister, max)
        }
    }

    /// The same on a Raft that changes its members.
    pub fn of_members(
        reads: Reads,
        make_raft: MakeMember,
    ) -> impl Fn(Vec<ClientEnd>, usize, Persister, Option<usize>, BTreeSet<usize>) -> Served<KvServer>
    {
        move |peers, me, persister, max, members| {
            let make_raft = make_raft.clone();
            let make: Make = Arc::new(move |peers, me, persister, apply_ch| {
                make_raft(peers, me, persister, apply_ch, members.clone())
            });
            KvServer::make(reads, &make, peers, me, persister, max)
        }
    }

    fn request(&self, op: Op) -> Reply {
        Ok(match (op, self.reads) {
            (Op::Get { key }, Reads::ByIndex) => self.rsm.read(|store| store.get(&key))?,
            (op, _) => self.rsm.submit_within(op, PATIENCE)?,
        })
    }
}

impl Replica for KvServer {
    fn raft(&self) -> Arc<dyn Raft> {
        self.rsm.raft()
    }

    fn kill(&self) {
        self.rsm.kill();
    }
}
