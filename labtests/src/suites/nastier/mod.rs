//! Nastier tests of what the lab asks of a Raft: the parts with a plus. Most of them play a schedule on a
//! [stage](super::worlds::stage) or run a [storm](super::worlds::storm).

pub mod candidates;
pub mod election;
pub mod leaders;
pub mod leaderships;
pub mod log;
pub mod log_scripts;
pub mod persistence;
pub mod saves;
pub mod snapshot_installs;
pub mod snapshot_saves;
pub mod snapshot_scripts;
pub mod snapshots;

use super::LabTest;

/// All of these tests.
pub const LISTS: [&[LabTest]; 12] = [
    election::TESTS,
    leaders::TESTS,
    candidates::TESTS,
    log::TESTS,
    log_scripts::TESTS,
    leaderships::TESTS,
    persistence::TESTS,
    saves::TESTS,
    snapshots::TESTS,
    snapshot_scripts::TESTS,
    snapshot_saves::TESTS,
    snapshot_installs::TESTS,
];
