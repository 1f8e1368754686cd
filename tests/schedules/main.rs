//! Schedules on the reference whose options, members or delays the suites don't offer.

mod cluster;

use cluster::{Cluster, ms, simulated};
use labrpc::api::beyond::Membership;
use labrpc::time::{Duration, Instant};
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

/// The machine of a removed server is replaced by an empty one, which is added under the same name by the same leader.
#[test]
fn a_removed_server_may_come_back_with_an_empty_disk() {
    // Without check-quorum, a removed server that doesn't know would depose the leader (thesis §4.2.3).
    let one_at_a_time = Options { check_quorum: true, ..Options::default() };
    for options in [one_at_a_time, Options::beyond_the_lab()] {
        simulated(move || {
            let mut cluster = Cluster::new(3, options.clone());
            let leader = cluster.elected(ms(5_000)).expect("nothing is wrong");
            let replaced = (leader + 1) % 3;
            cluster.load(&[leader], ms(1_000));
            assert_eq!(cluster.raft(leader).remove_server(replaced), Ok(()));
            cluster.load(&[leader], ms(1_000));
            cluster.restart(replaced, true);
            let (began, calls) = (Instant::now(), cluster.network().total_count());
            assert_eq!(cluster.raft(leader).add_server(replaced), Ok(()));
            assert!(began.elapsed() < ms(500), "after {:?}", began.elapsed());
            let calls = cluster.network().total_count() - calls;
            assert!(calls < 50, "{calls} calls");
        });
    }
}

/// A symmetric delay without loss: the cluster elects a leader, keeps it, and commits.
fn works_over(round_trip: u64, options: Options) {
    simulated(move || {
        let cluster = Cluster::new(3, options.clone());
        let way = ms(round_trip / 2)..ms(round_trip / 2);
        cluster.network().delays(way.clone(), way);
        let leader = cluster.elected(ms(5_000)).expect("a leader in spite of the delay");
        cluster.load(&[leader], ms(10_000));
        let (term, still) = cluster.leader().expect("it leads");
        assert_eq!(still, leader, "{round_trip} ms: nobody else is elected, in term {term}");
        let commits = cluster.commits(leader);
        assert!(commits > 60, "{round_trip} ms: {commits} of 100 commands are committed");
    });
}

/// Longer than a call's timeout, and shorter than the shortest election timeout.
const LONG_ROUND_TRIPS: [u64; 4] = [110, 150, 250, 400];

#[test]
fn a_cluster_works_over_round_trips_longer_than_a_call() {
    LONG_ROUND_TRIPS.iter().for_each(|trip| works_over(*trip, Options::default()));
}

#[test]
fn a_cluster_with_everything_on_works_over_round_trips_longer_than_a_call() {
    LONG_ROUND_TRIPS.iter().for_each(|trip| works_over(*trip, Options::beyond_the_lab()));
}
