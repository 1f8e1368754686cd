//! The lab's test suites, for any Raft.
//!
//! The suites know a Raft only by [`labrpc::api::Raft`] and by its constructor: `make(peers, me, persister, apply_ch)`. Give
//! your own constructor to [`raft_suite!`], and `cargo test` runs the lab. Give it to [`cli::main`], and you have the `raftlab`
//! command for your Raft.
//!
//! ```no_run
//! # mod my_raft {
//! #     use labrpc::{api::*, *}; use labrpc::channel::Sender; use std::sync::Arc;
//! #     pub struct Raft;
//! #     impl labrpc::api::Raft for Raft {
//! #         fn start(&self, _: Command) -> Result<Started, Refused> { Err(Refused::Stopped) }
//! #         fn get_state(&self) -> (u64, bool) { (0, false) }
//! #         fn snapshot(&self, _: u64, _: Snapshot) {}
//! #         fn kill(&self) {}
//! #     }
//! #     impl Raft {
//! #         pub fn make(_: Vec<ClientEnd>, _: usize, _: Persister, _: Sender<ApplyMsg>) -> (Arc<Raft>, Vec<Service>) {
//! #             (Arc::new(Raft), Vec::new())
//! #         }
//! #     }
//! # }
//! // tests/lab.rs
//! labtests::raft_suite!(my_raft::Raft::make);
//!
//! // src/main.rs
//! fn main() -> std::process::ExitCode {
//!     labtests::cli::main(my_raft::Raft::make)
//! }
//! ```
//!
//! # The modules
//!
//! | what | module |
//! |---|---|
//! | the tests | [`suites`] |
//! | the checks that tests call: `one`, `check_one_leader`.. | [`checks`] |
//! | what is under test | [`lab`] |
//! | the servers under test | [`cluster`]; what they applied: [`ledger`]; the servers of a service: [`service`], with its [`clients`] and [`counters`] |
//! | the paper's properties, checked during all tests | [`invariants`] |
//! | reading the messages of an unknown Raft | [`reading`] |
//! | testing a Raft without threads in random worlds | [`mod@fuzz`] |
//! | whether a history is linearizable | [`linearizability`] |
//! | running tests | [`runner`], from the shell: [`cli`], from `cargo test`: [`raft_suite!`] |
//! | guessing what a misspelled word means | [`mod@nearest`] |
//! | stopping early: Ctrl-C | [`interrupt`] |
//! | reporting the results | [`report`] |

// `println!` and `eprintln!` panic if their output can't be written.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod checks;
pub mod cli;
pub mod clients;
pub mod cluster;
pub mod counters;
pub mod fuzz;
pub mod interrupt;
pub mod invariants;
pub mod lab;
pub mod ledger;
pub mod linearizability;
pub mod nearest;
pub mod reading;
pub mod report;
pub mod runner;
pub mod service;
pub mod suites;

use labrpc::api::kv::Served;
use labrpc::api::{ApplyMsg, Made, Make, MakeMember, Raft};
use labrpc::channel::Sender;
use labrpc::{ClientEnd, Persister, Service};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Converts the constructor of any Raft to the type that the suites need.
pub fn make<R, F>(make: F) -> Make
where
    R: Raft,
    F: Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>) -> (Arc<R>, Vec<Service>)
        + Send
        + Sync
        + 'static,
{
    Arc::new(move |peers, me, persister, apply_ch| -> Made {
        let (raft, services) = make(peers, me, persister, apply_ch);
        (raft, services)
    })
}

/// The same for a Raft that changes its members.
pub fn make_member<R, F>(make: F) -> MakeMember
where
    R: Raft,
    F: Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>, BTreeSet<usize>) -> Served<R>
        + Send
        + Sync
        + 'static,
{
    Arc::new(move |peers, me, persister, apply_ch, members| -> Made {
        let (raft, services) = make(peers, me, persister, apply_ch, members);
        (raft, services)
    })
}

/// Makes one `#[test]` for each test of a Raft, 2A to 2D. The tests run on the Raft that the constructor makes.
///
/// `cargo test 2A` runs only the lab's part 2A. `cargo test plus_A` runs the tests that the table of tests calls 2A+. The same
/// holds for the other parts: the name of each test of the lab contains `part_`, and the name of each additional test contains
/// `plus_`.
///
/// If messages use names other than the paper's, a second argument says what they mean: [`Names`](reading::Names).
///
/// `LAB_SEED`, `LAB_SEEDS`, `LAB_REAL`, `LAB_BACKEND` and `LAB_STRICT` control how the tests run; see [`runner::cargo_test`].
#[macro_export]
macro_rules! raft_suite {
    ($make:expr) => {
        $crate::raft_tests! { $crate::lab::Lab::new().raft($make) }
    };
    ($make:expr, $names:expr) => {
        $crate::raft_tests! { $crate::lab::Lab::new().raft($make).names($names) }
    };
}

/// The tests of [`raft_suite!`].
#[doc(hidden)]
#[macro_export]
macro_rules! raft_tests {
    ($lab:expr) => {
        $crate::suite! { the_raft_suite_is_complete, $lab;
            part_2A { initial_election re_election many_elections }
            part_2B {
                basic_agree rpc_bytes follower_failure leader_failure fail_agree fail_no_agree
                concurrent_starts rejoin backup count
            }
            part_2C {
                persist1 persist2 persist3 figure_8 unreliable_agree figure_8_unreliable
                reliable_churn unreliable_churn
            }
            part_2D {
                snapshot_basic snapshot_install snapshot_install_unreliable snapshot_install_crash
                snapshot_install_un_crash snapshot_all_crash snapshot_init
            }
            plus_A {
                one_server_elects_itself two_servers_elect_together four_servers_elect_with_three
                duplicated_vote_requests elections_over_one_way_links elections_with_delayed_votes
                lost_heartbeats_depose_no_leader votes_of_earlier_candidacy_do_not_count
                deaf_leader_steps_down_at_newer_term candidate_follows_leader_of_its_term
                granted_vote_resets_election_timer
            }
            plus_A_leaders {
                stale_leader_does_not_reset_election_timer new_leader_sends_heartbeats_at_once
                late_votes_do_not_elect_again calls_to_unreachable_server_are_bounded
            }
            plus_A_rivals {
                leader_refuses_vote_to_rival candidate_refuses_vote_to_rival
                elections_with_paused_threads
            }
            plus_B {
                one_server_commits_alone two_servers_commit_together four_servers_commit_with_three
                duplicated_append_entries reordered_append_entries delayed_append_entries_replies
                replication_over_one_way_links seven_servers_under_all_faults
                conflict_takes_one_rpc_per_term command_is_sent_once_per_follower
                command_is_replicated_at_once busy_leader_resets_election_timers
                replication_with_paused_threads
            }
            plus_B_scripts {
                acknowledgements_of_earlier_leadership_do_not_count
                refusals_of_earlier_leadership_do_not_count
                reordered_acknowledgements_do_not_lower_match_index
                late_refusal_does_not_lower_next_index conflict_hint_is_not_a_match
                repair_sends_only_what_differs refused_vote_does_not_reset_election_timer
                refused_vote_is_not_asked_again
            }
            plus_B_reigns {
                match_index_is_forgotten_between_leaderships start_while_leadership_changes
                refused_heartbeats_repair_the_log
            }
            plus_C {
                figure_8_as_drawn figure_8_with_entry_of_own_term vote_survives_crash
                crashes_between_any_two_steps crashes_around_saves all_servers_crash_together
                messages_from_before_a_crash persistence_under_all_faults
                refused_entries_reset_election_timer
            }
            plus_C_saves { overwritten_entries_do_not_return_after_crash }
            plus_D {
                service_snapshots_late_and_twice duplicated_install_snapshots
                reordered_install_snapshots crashes_around_snapshots snapshots_under_all_faults
                snapshots_with_paused_threads old_snapshot_does_not_roll_back
                entries_covered_by_a_snapshot_match install_snapshot_resets_election_timer
                late_install_reply_does_not_lower_match_index
                install_reply_of_earlier_leadership_does_not_count
                entries_after_a_snapshot_are_retained
                commands_and_snapshots_reach_a_slow_service_in_order
            }
            plus_D_scripts {
                stale_install_snapshot_does_not_reset_election_timer
                install_reply_with_newer_term_deposes_leader
                snapshot_is_applied_without_later_entries
            }
            plus_D_saves { crash_while_saving_a_snapshot crash_while_installing_a_snapshot }
            plus_D_installs {
                candidate_follows_leader_that_sends_a_snapshot
                stale_leader_follows_leader_that_sends_a_snapshot
                idle_leader_with_all_entries_in_a_snapshot
            }
        }
    };
}

/// The same for a store with get, put and append, 3A and 3B: `kv_suite!(server, clerk)`, with the arguments of
/// [`Lab::kv`](lab::Lab::kv).
#[macro_export]
macro_rules! kv_suite {
    ($server:expr, $clerk:expr) => {
        $crate::suite! { the_kv_suite_is_complete, $crate::lab::Lab::new().kv($server, $clerk);
            part_3A {
                kv_basic kv_speed kv_concurrent kv_unreliable kv_unreliable_one_key kv_one_partition
                kv_many_partitions_one_client kv_many_partitions_many_clients kv_persist_one_client
                kv_persist_concurrent kv_persist_concurrent_unreliable kv_persist_partition
                kv_persist_partition_unreliable kv_persist_partition_unreliable_linearizable
            }
            part_3B {
                kv_snapshot_rpc kv_snapshot_size kv_snapshot_speed kv_snapshot_recover
                kv_snapshot_recover_many_clients kv_snapshot_unreliable
                kv_snapshot_unreliable_recover kv_snapshot_unreliable_recover_concurrent_partition
                kv_snapshot_unreliable_recover_concurrent_partition_linearizable
            }
            plus_kv {
                kv_late_duplicate_requests kv_late_duplicate_requests_under_faults
                kv_delayed_requests kv_retry_after_installed_snapshot kv_snapshots_under_load
            }
        }
    };
}

/// The same for a replicated state machine, 4A: `rsm_suite!(make)`, with the argument of [`Lab::rsm`](lab::Lab::rsm).
#[macro_export]
macro_rules! rsm_suite {
    ($make:expr) => {
        $crate::suite! { the_rsm_suite_is_complete, $crate::lab::Lab::new().rsm($make);
            part_4A {
                rsm_basic rsm_concurrent rsm_leader_failure rsm_leader_partition rsm_restart_replay
                rsm_shutdown rsm_restart_submit rsm_snapshot
            }
            plus_rsm {
                rsm_two_leaders_use_the_same_index rsm_entry_is_committed_by_next_leader
                rsm_entry_arrives_in_a_snapshot rsm_snapshots_under_load
            }
        }
    };
}

/// The same for a store whose values have versions, 4B and 4C: `versioned_suite!(server, clerk)`, with the arguments of
/// [`Lab::versioned`](lab::Lab::versioned).
#[macro_export]
macro_rules! versioned_suite {
    ($server:expr, $clerk:expr) => {
        $crate::suite! { the_versioned_suite_is_complete, $crate::lab::Lab::new().versioned($server, $clerk);
            part_4B {
                versioned_basic versioned_speed versioned_concurrent versioned_unreliable
                versioned_one_partition versioned_many_partitions_one_client
                versioned_many_partitions_many_clients versioned_persist_one_client
                versioned_persist_concurrent versioned_persist_concurrent_unreliable
                versioned_persist_partition versioned_persist_partition_unreliable
                versioned_persist_partition_unreliable_linearizable
            }
            part_4C {
                versioned_snapshot_rpc versioned_snapshot_size versioned_snapshot_speed
                versioned_snapshot_recover versioned_snapshot_recover_many_clients
                versioned_snapshot_unreliable versioned_snapshot_unreliable_recover
                versioned_snapshot_unreliable_recover_concurrent_partition
                versioned_snapshot_unreliable_recover_concurrent_partition_linearizable
            }
            plus_versioned {
                versioned_every_answer versioned_put_is_committed_by_next_leader
                versioned_delayed_requests versioned_snapshots_under_load
            }
        }
    };
}

/// The same for a 2025 store that is correct even if the network duplicates requests: `once_suite!(server, clerk)`, with the
/// arguments of [`Lab::once`](lab::Lab::once).
#[macro_export]
macro_rules! once_suite {
    ($server:expr, $clerk:expr) => {
        $crate::suite! { the_once_suite_is_complete, $crate::lab::Lab::new().once($server, $clerk);
            once {
                once_duplicate_is_answered_first once_duplicate_reaches_a_deposed_leader
                once_duplicate_arrives_late once_under_faults once_under_faults_with_many_keys
            }
        }
    };
}

/// The same for a Raft with pre-vote and check-quorum: `prevote_suite!(make)`, with the constructor of
/// [`Lab::beyond`](lab::Lab::beyond).
#[macro_export]
macro_rules! prevote_suite {
    ($make:expr) => {
        $crate::suite! { the_prevote_suite_is_complete,
            $crate::lab::Lab::new().beyond($crate::lab::Ability::PreVote, $make);
            prevote {
                returning_server_does_not_disturb returning_minority_does_not_disturb
                returning_leader_does_not_disturb late_starter_does_not_disturb
                restarting_server_does_not_disturb flapping_follower_does_not_disturb
                flapping_follower_on_an_unreliable_network flapping_leader_costs_few_terms
                follower_and_leader_cannot_hear_each_other
                two_followers_and_leader_cannot_hear_each_other follower_cannot_hear_its_leader
                leader_cannot_hear_one_follower leader_that_hears_nobody_steps_down
                leader_without_quorum_steps_down leader_of_half_steps_down
                leader_of_two_without_the_other_steps_down leader_with_quorum_stays
                leader_of_three_of_four_stays crashed_leaders_are_replaced
                crashed_leaders_are_replaced_on_an_unreliable_network
                restarted_cluster_elects_a_leader only_server_with_committed_entries_is_elected
                pre_vote_is_refused_to_shorter_log pre_vote_does_not_bind pre_vote_is_not_saved
                pre_vote_does_not_change_the_vote refused_pre_vote_does_not_reset_election_timer
                followers_of_a_leader_ignore_vote_requests candidate_in_later_term_rejoins
                refused_pre_vote_tells_the_newer_term vote_while_a_snapshot_is_arriving
                pre_votes_with_broken_links pre_votes_with_delayed_messages pre_votes_with_crashes
                pre_votes_with_paused_threads pre_votes_under_all_faults
            }
        }
    };
}

/// The same for a Raft with leadership transfer: `transfer_suite!(make)`, with the constructor of
/// [`Lab::beyond`](lab::Lab::beyond).
#[macro_export]
macro_rules! transfer_suite {
    ($make:expr) => {
        $crate::suite! { the_transfer_suite_is_complete,
            $crate::lab::Lab::new().beyond($crate::lab::Ability::Transfer, $make);
            transfer {
                transfer_to_each_server transfer_in_a_cluster_of_two
                transfer_on_an_unreliable_network transfer_to_a_server_that_lags
                transfer_to_a_server_that_needs_a_snapshot transfer_under_load
                transfer_to_unreachable_server_times_out no_commands_during_a_transfer
                transfer_to_invalid_server_is_refused one_transfer_at_a_time
                transfer_ends_when_leader_crashes transfer_ends_when_leader_is_killed
                timeout_now_waits_until_successor_has_the_log late_timeout_now
                timeout_now_of_earlier_term_is_ignored duplicated_timeout_now lost_timeout_now
                successor_that_is_not_heard_follows_again transfers_with_crashes_of_either_server
                transfers_with_partitions transfers_with_delayed_messages transfers_with_crashes
                transfers_with_paused_threads transfers_under_all_faults
            }
        }
    };
}

/// The same for a Raft with reads without the log, confirmed by asking the other servers, and for a store on it:
/// `reads_suite!(make, server, clerk)`, with the constructors of [`Lab::beyond`](lab::Lab::beyond) and
/// [`Lab::store`](lab::Lab::store).
#[macro_export]
macro_rules! reads_suite {
    ($make:expr, $server:expr, $clerk:expr) => {
        $crate::suite! { the_reads_suite_is_complete,
            $crate::lab::Lab::new()
                .beyond($crate::lab::Ability::Reads, $make)
                .store($crate::lab::Ability::Reads, $server, $clerk);
            reads {
                reads_return_a_current_index reads_append_no_entries reads_on_a_cluster_of_one
                new_leader_commits_before_it_reads deposed_leader_answers_no_reads
                reads_in_a_minority_partition earlier_replies_confirm_no_reads
                reads_do_not_change_the_log reads_under_faults reads_under_all_faults store_reads
                store_reads_under_faults
            }
        }
    };
}

/// The same for a Raft that reads with a lease, and for a store on it: `lease_suite!(make, server, clerk)`.
#[macro_export]
macro_rules! lease_suite {
    ($make:expr, $server:expr, $clerk:expr) => {
        $crate::suite! { the_lease_suite_is_complete,
            $crate::lab::Lab::new()
                .beyond($crate::lab::Ability::Lease, $make)
                .store($crate::lab::Ability::Lease, $server, $clerk);
            lease {
                lease_reads_return_a_current_index lease_reads_send_no_messages
                new_leader_with_a_lease_commits_before_it_reads deposed_leader_has_no_lease
                lease_reads_in_a_minority_partition lease_counts_from_when_the_request_was_sent
                restarted_voters_respect_the_lease transfer_ends_the_lease lease_reads_under_faults
                lease_reads_under_all_faults store_lease_reads store_lease_reads_under_faults
            }
        }
    };
}

/// The same for a Raft that changes its members, and for a store on it: `members_suite!(make, server, clerk)`, with the
/// constructors of [`Lab::members`](lab::Lab::members) and [`Lab::members_store`](lab::Lab::members_store).
#[macro_export]
macro_rules! members_suite {
    ($make:expr, $server:expr, $clerk:expr) => {
        $crate::suite! { the_members_suite_is_complete,
            $crate::lab::Lab::new().members($make).members_store($server, $clerk);
            members {
                membership_of_every_size membership_changes_under_load
                invalid_membership_changes_are_refused removed_leader_steps_down
                removed_server_does_not_disturb unreachable_learner_does_not_count
                slow_learner_does_not_delay_commits one_membership_change_at_a_time
                overwritten_membership_change_is_undone membership_is_in_snapshots
                membership_survives_crashes_of_all_servers membership_changes_under_faults
                membership_changes_under_all_faults concurrent_addition_and_removal
                concurrent_additions concurrent_removals learner_acknowledgements_commit_nothing
                server_being_removed_may_be_elected vote_of_a_server_that_is_not_a_member_yet
                candidacy_of_a_server_that_is_not_a_member_yet learner_confirms_no_reads
                learner_does_not_count_for_check_quorum server_is_replaced_by_an_empty_one
                every_server_is_replaced store_while_members_change
                store_while_members_change_with_partitions
            }
        }
    };
}

/// The same for a Raft with flow control, which sends large data a little at a time: `flow_suite!(make)`.
#[macro_export]
macro_rules! flow_suite {
    ($make:expr) => {
        $crate::suite! { the_flow_suite_is_complete,
            $crate::lab::Lab::new().beyond($crate::lab::Ability::Flow, $make);
            flow {
                flow_of_a_long_backlog flow_over_a_slow_link flow_large_command
                flow_to_unreachable_server_is_small flow_back_pressure
                flow_back_pressure_after_an_election flow_snapshot_in_chunks
                flow_snapshot_with_crashes flow_snapshot_of_a_busy_service
                flow_snapshot_chunks_of_two_leaders flow_snapshot_with_restarts_at_every_chunk
                flow_snapshots_under_all_faults flow_under_all_faults flow_of_reordered_entries
            }
        }
    };
}

/// One `#[test]` for each test in the list, and one that checks whether the list is complete.
#[doc(hidden)]
#[macro_export]
macro_rules! suite {
    ($complete:ident, $lab:expr; $($part:ident { $($test:ident)* })*) => {
        $(#[allow(non_snake_case, reason = "the parts have these names")]
        mod $part {
            #[allow(unused_imports, reason = "the constructors may be paths or closures")]
            use super::*;
            $(#[test]
            fn $test() {
                $crate::runner::cargo_test(stringify!($test), $lab);
            })*
        })*

        #[test]
        fn $complete() {
            $crate::runner::check_complete(&[$($(stringify!($test)),*),*], $lab);
        }
    };
}
