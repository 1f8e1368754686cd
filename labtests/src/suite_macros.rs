//! The macros that make a `#[test]` for each test of the lab. Their lists are checked: see `check_complete`.

mod beyond;

/// Makes one `#[test]` for each test of a Raft, 2A to 2D. The tests run on the Raft that the constructor makes.
///
/// `cargo test 2A` runs only the lab's part 2A. `cargo test plus_A` runs the tests that the table of tests calls 2A+. The same
/// holds for the other parts: the name of each test of the lab contains `part_`, and the name of each additional test contains
/// `plus_`.
///
/// If messages use names other than the paper's, a second argument says what they mean: [`Names`](crate::reading::Names).
///
/// `LAB_SEED`, `LAB_SEEDS`, `LAB_REAL`, `LAB_BACKEND` and `LAB_STRICT` control how the tests run; see [`runner::cargo_test`](crate::runner::cargo_test).
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
            plus_B_leaderships {
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
                late_install_response_does_not_lower_match_index
                install_response_of_earlier_leadership_does_not_count
                entries_after_a_snapshot_are_retained
                commands_and_snapshots_reach_a_slow_service_in_order
            }
            plus_D_scripts {
                stale_install_snapshot_does_not_reset_election_timer
                install_response_with_newer_term_deposes_leader
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
/// [`Lab::kv`](crate::lab::Lab::kv).
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

/// The same for a replicated state machine, 4A: `rsm_suite!(make)`, with the argument of [`Lab::rsm`](crate::lab::Lab::rsm).
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
/// [`Lab::versioned`](crate::lab::Lab::versioned).
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
/// arguments of [`Lab::once`](crate::lab::Lab::once).
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
