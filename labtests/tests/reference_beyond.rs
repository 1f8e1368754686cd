//! What is beyond the lab, on the reference.

use raftlab::raft::{Options, Raft};

labtests::prevote_suite!(Raft::with(Options::beyond_the_lab()));
labtests::transfer_suite!(Raft::with(Options::beyond_the_lab()));
