//! The lab on a Raft of another shape than `go_shape` and the reference, in many correct variants. The lab must accept every
//! choice that it leaves open, so no test fails for any variant.

use labrpc::api::ApplyMsg;
use labrpc::channel::Sender;
use labrpc::{ClientEnd, Persister, Service};
use labtests::lab::Lab;
use labtests::reading::{Names, Word};
use labtests::report::{self, Again};
use labtests::runner::{self, World};
use raft::EventLoop;
use raft::shape::Shape;
use std::sync::Arc;

#[path = "../examples/event_loop/raft/mod.rs"]
mod raft;

labtests::raft_suite!(plain);

fn plain(
    peers: Vec<ClientEnd>,
    me: usize,
    persister: Persister,
    apply_ch: Sender<ApplyMsg>,
) -> (Arc<EventLoop>, Vec<Service>) {
    EventLoop::make(Shape::new(), peers, me, persister, apply_ch)
}

/// Tests of every part: tests that read messages, tests that play a script, tests that limit times, and storms.
const SAMPLE: [&str; 16] = [
    "re_election",
    "lost_heartbeats_depose_no_leader",
    "elections_with_delayed_votes",
    "candidate_follows_leader_of_its_term",
    "fail_no_agree",
    "rejoin",
    "two_servers_commit_together",
    "refusals_of_earlier_leadership_do_not_count",
    "conflict_hint_is_not_a_match",
    "persist2",
    "figure_8_with_entry_of_own_term",
    "crashes_around_saves",
    "snapshot_install_crash",
    "snapshots_under_all_faults",
    "install_snapshot_resets_election_timer",
    "install_response_of_earlier_leadership_does_not_count",
];

/// Runs the sample on the plain shape with these changes.
fn run(changes: &str) {
    let shape = Shape::named(changes).expect("the shape has these names");
    // An unknown field of InstallSnapshot could mean that more of the snapshot follows. Here it doesn't.
    let names = Names::new().field("commands", Word::Other);
    let lab = Lab::new().names(names).raft(move |peers, me, persister, apply_ch| {
        EventLoop::make(shape.clone(), peers, me, persister, apply_ch)
    });
    let failures: Vec<_> = SAMPLE
        .iter()
        .map(|name| runner::select(name).expect("the lab has it")[0])
        .map(|test| runner::run_one(&lab, test, 1, World::Simulated))
        .filter(|report| report.result.is_err())
        .map(|report| report::failure(&report, &Again::CargoTest))
        .collect();
    assert!(failures.is_empty(), "{changes}: {}", failures.join("\n"));
}

#[test]
fn every_name_of_a_change_is_known() {
    for name in Shape::NAMES {
        assert!(Shape::named(name).is_ok(), "{name}");
    }
    assert_eq!(Shape::named("tuples,anything").err().as_deref(), Some("anything"));
}

macro_rules! shapes {
    ($($(#[$attribute:meta])* $test:ident: $changes:literal;)*) => {
        mod shape {
            $(#[test]
            $(#[$attribute])*
            fn $test() {
                super::run($changes);
            })*
        }
    };
}

shapes! {
    papers_names: "paper_names";
    no_names: "tuples";
    snapshots_that_wait: "cond_install";
    snapshots_that_wait_with_papers_names: "paper_names,cond_install";
    votes_asked_for_once: "paper_names,votes_once";
    own_vote_asked_for: "paper_names,asks_itself";
    votes_asked_for_by_who_follows: "paper_names,asks_on";
    heartbeats_that_are_never_agreed_to: "paper_names,visible_no_op,mute_heartbeats";
    timeouts_of_300_to_400_ms: "paper_names,300_to_400";
    timeouts_of_500_to_1000_ms: "500_to_1000";
    timeouts_of_800_to_1500_ms: "paper_names,800_to_1500";
    heartbeats_every_50_ms: "paper_names,heartbeat_50";
    heartbeats_every_130_ms: "heartbeat_130";
    replies_that_are_enums: "enums";
    indices_from_zero: "from_zero";
    no_op_that_the_service_does_not_count: "paper_names,hidden_no_op";
    no_op_that_the_service_does_not_count_and_other_names: "hidden_no_op";
    no_op_that_the_service_counts: "visible_no_op";
    answers_that_are_calls: "answers";
    answers_that_are_calls_with_papers_names: "paper_names,answers";
    one_method_for_every_message: "steps";
    empty_snapshots: "empty_snapshots";
    leaking_threads: "leaking_threads";
}
