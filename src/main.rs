//! The `raftlab` command on the reference Raft and what is built on it, with the gallery of bugs.

use gallery::lesson::bugs;
use labtests::cli::Program;
use labtests::lab::{Ability, Lab};
use raftlab::kv::{Clerk, KvServer, Rsm};
use raftlab::raft::{Options, Raft};
use std::process::ExitCode;

fn main() -> ExitCode {
    let raft = labtests::make(Raft::make);
    let more = Options::beyond_the_lab();
    let by_asking = Options { lease: None, ..more.clone() };
    let lab = Lab::new()
        .raft(Raft::make)
        .kv(KvServer::on(raft.clone()), Clerk::new)
        .rsm(Rsm::on(raft.clone()))
        .versioned(KvServer::on(raft), Clerk::new)
        .beyond(Ability::PreVote, Raft::with(more.clone()))
        .beyond(Ability::Transfer, Raft::with(more.clone()))
        .beyond(Ability::Reads, Raft::with(by_asking))
        .beyond(Ability::Lease, Raft::with(more.clone()))
        .beyond(Ability::Flow, Raft::with(more.clone()))
        .members(Raft::with_members(more));
    Program::new(lab).command("bugs", "List the classic bugs of Raft, or tell of one", bugs).main()
}
