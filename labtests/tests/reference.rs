//! The lab on the reference Raft.

use raftlab::raft::Raft;

labtests::raft_suite!(Raft::make);
