//! Tests of services on a Raft: stores and state machines. The tests of the labs come first, then ours.

mod deposed;
pub mod kv;
pub mod kv_3a;
pub mod kv_3b;
pub mod kv_plus;
pub mod rsm_4a;
pub mod rsm_plus;
pub mod versioned;
pub mod versioned_4b;
pub mod versioned_4c;
pub mod versioned_plus;

use super::LabTest;

/// All of these tests.
pub const LISTS: [&[LabTest]; 9] = [
    kv_3a::TESTS,
    kv_3b::TESTS,
    rsm_4a::TESTS,
    versioned_4b::TESTS,
    versioned_4c::TESTS,
    kv_plus::TESTS,
    rsm_plus::TESTS,
    versioned_plus::TESTS,
    versioned_plus::SNAPSHOTS,
];
