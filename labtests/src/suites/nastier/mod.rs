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

/// The tests that are a storm and nothing else. They need no certain number of servers.
pub const ONLY_STORMS: &[&str] = &[
    "duplicated_vote_requests",
    "elections_over_one_way_links",
    "two_servers_commit_together",
    "duplicated_append_entries",
    "reordered_append_entries",
    "delayed_append_entries_replies",
    "replication_over_one_way_links",
    "seven_servers_under_all_faults",
    "replication_with_paused_threads",
    "vote_survives_crash",
    "crashes_between_any_two_steps",
    "crashes_around_saves",
    "all_servers_crash_together",
    "messages_from_before_a_crash",
    "persistence_under_all_faults",
    "service_snapshots_late_and_twice",
    "duplicated_install_snapshots",
    "reordered_install_snapshots",
    "crashes_around_snapshots",
    "snapshots_under_all_faults",
    "snapshots_with_paused_threads",
];

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
