//! The `raftlab` command on the reference Raft.

use raftlab::raft::Raft;
use std::process::ExitCode;

fn main() -> ExitCode {
    labtests::cli::main(Raft::make)
}
