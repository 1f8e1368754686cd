//! The `raftlab` command on the reference with everything on that goes beyond the lab, but for the no-op: pre-vote, check-quorum,
//! several messages in flight, snapshots in pieces, a limit on what is uncommitted, leases.
//!
//! `cargo run --release --example every_option -- 2A 2B 2C 2D --seeds 100`

use labtests::cli::Program;
use labtests::lab::Lab;
use raftlab::kv::{Clerk, KvServer, Rsm};
use raftlab::raft::{Options, Raft};
use std::process::ExitCode;

fn main() -> ExitCode {
    let every = Raft::with(Options::beyond_the_lab());
    let raft = labtests::make(every.clone());
    let lab = Lab::new()
        .raft(every)
        .kv(KvServer::on(raft.clone()), Clerk::new)
        .rsm(Rsm::on(raft.clone()))
        .versioned(KvServer::on(raft), Clerk::new);
    Program::new(lab).main()
}
