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
                one_server two_servers four_servers doubled_votes one_way_cuts late_votes
                steady_leader votes_of_an_old_candidacy deaf_leader leader_of_the_same_term
                granted_votes_buy_time
            }
            plus_A_leaders {
                old_leader_buys_no_time heartbeat_upon_election idle_leader_of_seven
                unreachable_server
            }
            plus_A_rivals { rival_asks_the_leader rival_asks_the_candidate slow_candidates }
            plus_B {
                alone pair four_agree doubled_entries overtaking_entries late_replies
                one_way_entries seven_in_trouble conflict_in_few_steps calls_per_command speed
                busy_leader slow_threads
            }
            plus_B_scripts {
                old_acknowledgements old_refusals acknowledgements_in_reverse
                refusals_in_reverse conflict_before_the_hint repair_sends_what_differs
                refused_votes_buy_no_time refusals_are_answers
            }
            plus_B_reigns {
                acknowledged_in_an_earlier_reign start_while_terms_pass repaired_without_commands
            }
            plus_C {
                figure_8_as_drawn figure_8_own_term voters_crash crashes_anywhere
                crashes_at_saves blackouts crashes_and_old_messages everything
                refused_entries_buy_time
            }
            plus_C_saves { cut_back_and_crash }
            plus_D {
                sloppy_service doubled_snapshots overtaking_snapshots snapshots_and_crashes
                snapshots_and_everything snapshots_and_slow_threads snapshot_from_the_past entries_before_a_snapshot
                long_install installed_in_reverse old_install_refused tail_behind_a_snapshot service_that_waits
            }
            plus_D_scripts {
                old_snapshots_buy_no_time leader_deaf_but_for_snapshots snapshot_and_nothing_more
            }
            plus_D_saves { crash_as_a_snapshot_is_made crash_as_a_snapshot_comes }
            plus_D_installs { candidate_hears_a_snapshot old_leader_hears_a_snapshot idle_behind_a_snapshot }
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
                kv_snapshot_recover_many_clients kv_snapshot_unreliable kv_snapshot_unreliable_recover
                kv_snapshot_unreliable_recover_concurrent_partition
                kv_snapshot_unreliable_recover_concurrent_partition_linearizable
            }
            plus_kv {
                kv_late_requests kv_late_requests_in_trouble kv_overtaken_requests
                kv_retry_behind_a_snapshot kv_snapshots_under_load
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
                rsm_first_of_two_leaders rsm_entry_outlives_its_leader rsm_snapshot_covers_the_entry
                rsm_snapshots_under_load
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
                versioned_answers versioned_put_outlives_its_leader versioned_overtaken_requests
                versioned_snapshots_under_load
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
                once_copy_answers_first once_copy_finds_a_deposed_leader once_copy_comes_late
                once_in_trouble once_in_trouble_many_keys
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
                returning_server returning_minority returning_leader late_server restarting_server
                flapping_follower flapping_on_a_bad_network flapping_leader leader_out_of_sight
                leader_out_of_sight_of_two deaf_to_its_leader leader_deaf_to_one
                leader_hears_nobody leader_of_a_minority leader_of_half leader_of_a_pair
                leader_of_a_majority leader_of_three_of_four leaders_crash
                leaders_crash_on_a_bad_network all_restart only_one_electable
                pre_votes_ask_for_the_log pre_votes_bind_nobody pre_votes_are_not_kept
                pre_votes_leave_the_vote refused_pre_votes_buy_no_time
                votes_against_a_leader candidate_ahead_rejoins
                up_to_date_in_an_old_term half_a_snapshot pre_votes_and_cuts
                pre_votes_and_old_messages pre_votes_and_crashes pre_votes_and_slow_threads
                pre_votes_and_everything
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
                handover handover_of_two handover_on_a_bad_network handover_to_who_lags
                handover_behind_a_snapshot handover_under_load handover_to_nobody
                handover_takes_no_commands bad_successors one_handover_at_a_time
                handover_of_a_crashed_leader handover_of_a_killed_leader successor_is_behind
                order_comes_late order_of_an_old_term order_comes_twice order_is_lost
                successor_stands_in_vain handovers_and_crashes_of_either handovers_and_partitions
                handovers_and_old_messages handovers_and_crashes handovers_and_slow_threads
                handovers_and_everything
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
                reads_by_index reads_leave_no_entries reads_alone reads_of_a_new_leader
                reads_of_a_deposed_leader reads_in_the_minority reads_and_old_answers reads_leave_the_log_alone reads_in_a_storm reads_in_every_storm
                store_reads store_reads_in_trouble
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
                lease_reads lease_saves_messages lease_of_a_new_leader lease_of_a_deposed_leader
                lease_in_the_minority lease_and_late_answers lease_and_voters_that_restart
                lease_and_a_late_handover lease_in_a_storm lease_in_every_storm
                store_lease_reads store_lease_reads_in_trouble
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
                members_of_every_size members_under_load members_bad_wishes leader_leaves removed_server
                silent_newcomer newcomer_that_lags one_change_at_a_time change_is_undone
                members_in_snapshots members_after_blackouts members_in_a_storm members_in_every_storm
                an_addition_and_a_removal two_additions two_removals newcomer_does_not_count who_leaves_may_be_needed
                vote_of_who_is_no_member_yet candidate_that_is_no_member_yet learner_confirms_no_reads
                learner_is_no_quorum replaced_after_removal replaced_again_and_again
                store_members_come_and_go store_members_and_partitions
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
                flow_long_backlog flow_over_a_long_way flow_large_command flow_to_nobody flow_back_pressure
                flow_pressure_of_an_old_leader flow_snapshot_in_pieces flow_snapshot_and_crashes
                flow_snapshot_of_a_busy_service flow_snapshot_of_two_leaders flow_snapshot_and_restarts
                flow_snapshots_in_every_storm flow_in_every_storm flow_of_overtaking_entries
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
