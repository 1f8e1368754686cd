//! The lab on services of quite another shape than the reference's.

#[path = "../examples/go_kv.rs"]
#[allow(dead_code, reason = "its main is for the example")]
mod go_kv;

use go_kv::{kvraft, kvraft1};

labtests::kv_suite!(kvraft::KvServer::make, kvraft::Clerk::make);
labtests::rsm_suite!(kvraft1::Rsm::make);
labtests::versioned_suite!(kvraft1::KvServer::make, kvraft1::Clerk::make);
