//! Tests of what a Raft may offer beyond the lab, a suite for each [`Ability`](crate::suites::Ability), and of what a store may
//! offer.

mod change;
pub mod flow;
pub mod learners;
pub mod lease;
pub mod members;
pub mod members_crashes;
mod members_scripts;
mod members_storms;
pub mod members_votes;
pub mod once;
pub mod prevote;
pub mod reads;
pub mod replaced;
mod steady;
pub mod transfer;

use crate::suites::LabTest;

/// All of these tests.
pub const LISTS: [&[LabTest]; 14] = [
    prevote::TESTS,
    transfer::TESTS,
    reads::READS,
    reads::STORE_READS,
    lease::TESTS,
    lease::STORE_TESTS,
    members::TESTS,
    members_scripts::TESTS,
    members_votes::TESTS,
    learners::TESTS,
    replaced::TESTS,
    members_storms::STORE_TESTS,
    flow::TESTS,
    once::TESTS,
];
