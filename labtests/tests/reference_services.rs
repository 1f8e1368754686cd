//! The lab on the reference's services, with the reference Raft.

use labrpc::api::Make;
use raftlab::kv::{Clerk, KvServer, Rsm};
use raftlab::raft::Raft;

fn raft() -> Make {
    labtests::make(Raft::make)
}

labtests::kv_suite!(KvServer::on(raft()), Clerk::new);
labtests::rsm_suite!(Rsm::on(raft()));
labtests::versioned_suite!(KvServer::on(raft()), Clerk::new);
labtests::once_suite!(KvServer::on(raft()), Clerk::new);
