//! The Go lab's tests of a Raft, in the Go lab's order.

pub mod election_2a;
pub mod log_2b;
pub mod persistence_2c;
pub mod snapshots_2d;

use super::LabTest;

/// All of these tests.
pub const LISTS: [&[LabTest]; 4] =
    [election_2a::TESTS, log_2b::TESTS, persistence_2c::TESTS, snapshots_2d::TESTS];
