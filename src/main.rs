//! The `raftlab` command for the reference Raft and the services on it, with the gallery of bugs, the experiments and the fuzz.

// The print macros panic if they can't write.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod experiment;
mod fuzz;

use experiment::experiment;
use gallery::lesson::bugs;
use labtests::cli::Program;
use labtests::lab::{Ability, Lab};
use raftlab::kv::{Clerk, KvServer, Reads, Rsm};
use raftlab::raft::{Options, Raft};
use std::process::ExitCode;

fn main() -> ExitCode {
    let raft = labtests::make(Raft::make);
    let more = Options::beyond_the_lab();
    let asking = Raft::with(Options { lease: None, ..more.clone() });
    let (leasing, changing) = (Raft::with(more.clone()), Raft::with_members(more));
    let store = |raft| KvServer::reading(Reads::ByIndex, raft);
    let members_store =
        KvServer::of_members(Reads::ByIndex, labtests::make_member(changing.clone()));
    let lab = Lab::new()
        .raft(Raft::make)
        .kv(KvServer::on(raft.clone()), Clerk::new)
        .rsm(Rsm::on(raft.clone()))
        .versioned(KvServer::on(raft.clone()), Clerk::new)
        .once(KvServer::on(raft), Clerk::new)
        .beyond(Ability::PreVote, leasing.clone())
        .beyond(Ability::Transfer, leasing.clone())
        .beyond(Ability::Reads, asking.clone())
        .store(Ability::Reads, store(labtests::make(asking)), Clerk::spreading_reads)
        .beyond(Ability::Lease, leasing.clone())
        .store(Ability::Lease, store(labtests::make(leasing.clone())), Clerk::new)
        .beyond(Ability::Flow, leasing)
        .members(changing)
        .members_store(members_store, Clerk::spreading_reads);
    Program::new(lab)
        .command("bugs", "List the classic bugs of Raft, or explain one", bugs)
        .command("experiment", "Repeat a measurement of a paper, in the simulation", experiment)
        .command(
            "fuzz",
            "Test the decisions of the reference, without its threads, in random worlds",
            fuzz::fuzz,
        )
        .main()
}
