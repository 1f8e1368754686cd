//! The `raftlab` command on the reference Raft and what is built on it, with the gallery of bugs.

use gallery::lesson::bugs;
use labtests::cli::Program;
use labtests::lab::Lab;
use raftlab::kv::{Clerk, KvServer, Rsm};
use raftlab::raft::Raft;
use std::process::ExitCode;

fn main() -> ExitCode {
    let raft = labtests::make(Raft::make);
    let lab = Lab::new()
        .raft(Raft::make)
        .kv(KvServer::on(raft.clone()), Clerk::new)
        .rsm(Rsm::on(raft.clone()))
        .versioned(KvServer::on(raft), Clerk::new);
    Program::new(lab).command("bugs", "List the classic bugs of Raft, or tell of one", bugs).main()
}
