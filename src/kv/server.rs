//! A server of the store: it has every request carried out by the [`Rsm`], and says what came of it.

use super::rsm::Rsm;
use super::store::{Op, Output, Store};
use labrpc::api::kv::{Replica, Replicated, Served};
use labrpc::api::{Make, Raft, Refused};
use labrpc::sync::Arc;
use labrpc::{ClientEnd, Persister, Service};
use serde::{Deserialize, Serialize};

/// One server of the store.
pub struct KvServer {
    rsm: Arc<Rsm<Store>>,
}

/// The answer to a request, or why there is none.
pub type Reply = Result<Output, NoAnswer>;

/// Why a request was not answered. The client tries another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoAnswer {
    /// This server doesn't lead, and has done nothing.
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
        make_raft: &Make,
        peers: Vec<ClientEnd>,
        me: usize,
        persister: Persister,
        max_raft_state: Option<usize>,
    ) -> Served<KvServer> {
        let store = Store::default();
        let (rsm, mut services) = Rsm::make(make_raft, peers, me, persister, max_raft_state, store);
        let server = Arc::new(KvServer { rsm });
        let asked = server.clone();
        services.push(Service::new("Kv").method("Request", move |op| asked.request(op)));
        (server, services)
    }

    /// [`KvServer::make`] on this Raft, as the lab wants it.
    pub fn on(
        make_raft: Make,
    ) -> impl Fn(Vec<ClientEnd>, usize, Persister, Option<usize>) -> Served<KvServer> {
        move |peers, me, persister, max| KvServer::make(&make_raft, peers, me, persister, max)
    }

    fn request(&self, op: Op) -> Reply {
        Ok(self.rsm.submit(op)?)
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
