//! Schedules on the reference whose options, members or delays the suites don't offer.

mod cluster;

use cluster::{Cluster, ms, simulated};
use labrpc::time::Duration;
use raftlab::raft::Options;

/// S0 leads, and nothing that it sends reaches the others; what they send reaches it. S2 is cut off, so S1 needs S0's vote.
fn commits_behind_a_deaf_leader(options: Options) {
    simulated(move || {
        let cluster = Cluster::new(3, options.clone());
        let leader = cluster.elected(ms(5_000)).expect("nothing is wrong yet");
        let [voter, cut_off] = [1, 2].map(|i| (leader + i) % 3);
        cluster.cut_off(cut_off, true);
        cluster.network().lose_requests(cluster.end(leader, voter), true);
        cluster.load(&[voter, cut_off], Duration::from_secs(30));
        let commits = cluster.commits(voter);
        assert!(commits > 200, "{commits} commands are committed");
    });
}

#[test]
fn a_leader_that_nobody_answers_is_replaced_without_pre_vote() {
    commits_behind_a_deaf_leader(Options::default());
}

/// Without check-quorum such a leader never steps down, but it hears no leader: not even itself.
#[test]
fn a_leader_that_nobody_answers_would_vote_for_another() {
    commits_behind_a_deaf_leader(Options { pre_vote: true, ..Options::default() });
}
