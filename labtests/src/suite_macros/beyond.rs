//! The macros for what a Raft can do beyond the lab.

/// The same for a Raft with pre-vote and check-quorum: `prevote_suite!(make)`, with the constructor of
/// [`Lab::beyond`](crate::lab::Lab::beyond).
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
/// [`Lab::beyond`](crate::lab::Lab::beyond).
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
/// `reads_suite!(make, server, clerk)`, with the constructors of [`Lab::beyond`](crate::lab::Lab::beyond) and
/// [`Lab::store`](crate::lab::Lab::store).
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
/// constructors of [`Lab::members`](crate::lab::Lab::members) and [`Lab::members_store`](crate::lab::Lab::members_store).
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
