//! A server of the store: it passes every request to the [`Rsm`], and answers with the result.

use super::rsm::Rsm;
use super::store::{Op, Output, Store};
use labrpc::api::kv::{Replica, Served};
use labrpc::api::{Make, MakeMember, Raft, Refused};
use labrpc::sync::Arc;
use labrpc::{ClientEnd, Persister, Service};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a client waits for an answer, and so how long a server tries to get one. A leader that is cut off from its followers
/// does not know that. Without this limit, every request of every client would leave a thread waiting there.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

/// One server of the store.
pub struct KvServer {
    rsm: Arc<Rsm<Store>>,
    reads: Reads,
}

/// How a server reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Like a write: a read is a log entry, and only a leader answers.
    ThroughTheLog,
    /// It asks its Raft for an index to read at (thesis §6.4). Any server that knows its leader can answer.
    ByIndex,
}

/// The answer to a request, or why there is none.
pub type Reply = Result<Output, NoAnswer>;

/// Why a request was not answered. The client tries another server, and concludes nothing else: if the network duplicated the
/// request, the server may have accepted the first copy while it led, and refused the second copy when it no longer led.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoAnswer {
    /// This server does not lead, and has done nothing with this copy of the request.
    NotLeader {
        /// The leader, as far as this server knows.
        leader: Option<usize>,
    },
    /// The request may have been carried out, or may still be carried out.
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
    /// Makes a server and starts it. For the arguments, see [`Rsm::make`].
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

    /// A constructor that calls [`KvServer::make`] on this Raft, in the form that the lab's tests want. Reads go through the log.
    pub fn on(
        make_raft: Make,
    ) -> impl Fn(Vec<ClientEnd>, usize, Persister, Option<usize>) -> Served<KvServer> {
        KvServer::reading(Reads::ThroughTheLog, make_raft)
    }

    /// Like [`KvServer::on`], with other reads.
    pub fn reading(
        reads: Reads,
        make_raft: Make,
    ) -> impl Fn(Vec<ClientEnd>, usize, Persister, Option<usize>) -> Served<KvServer> {
        move |peers, me, persister, max| {
            KvServer::make(reads, &make_raft, peers, me, persister, max)
        }
    }

    /// Like [`KvServer::reading`], on a Raft that changes its members.
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
