//! The lab on a Raft of a very different shape from the reference.

#[path = "../examples/go_shape.rs"]
#[allow(dead_code, reason = "its main is for the example")]
mod go_shape;

labtests::raft_suite!(go_shape::Raft::make);
