//! The `raftlab` command on the reference Raft, with the gallery of bugs.

use labtests::cli::Program;
use raftlab::raft::Raft;
use std::process::ExitCode;

fn main() -> ExitCode {
    Program::new(labtests::make(Raft::make))
        .command("bugs", "List the classic bugs of Raft, or tell of one", gallery::lesson::bugs)
        .main()
}
