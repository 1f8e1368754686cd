//! What a Raft may offer beyond the lab: a suite for each [`Ability`](crate::lab::Ability); and what a store may.

pub mod flow;
pub mod members;
pub mod members_scripts;
pub mod once;
pub mod prevote;
pub mod reads;
mod steady;
pub mod transfer;

use super::LabTest;

/// All of these tests.
pub const LISTS: [&[LabTest]; 11] = [
    prevote::TESTS,
    transfer::TESTS,
    reads::READS,
    reads::STORE_READS,
    reads::LEASE,
    reads::STORE_LEASE,
    members::TESTS,
    members_scripts::TESTS,
    members::STORE_TESTS,
    flow::TESTS,
    once::TESTS,
];
