//! Partial partitions: two servers don't hear each other, or one doesn't hear the other, and both hear a third (thesis §9.6, §6.2).

use super::super::steady::Steady;
use super::ASKS_FIRST;
use super::quorum::STEPS_DOWN_WITHIN;
use crate::cluster::{Cluster, name, names};
use crate::suites::worlds::stage::Stage;
use crate::suites::worlds::steps::{after, agree};
use labrpc::run;
use labrpc::time::Duration;

/// For how long links are cut and nothing else happens: all logs are alike, and only the leader's word keeps others from voting.
const QUIET: Duration = Duration::from_secs(3);

/// For how many seconds more commands go on.
const SECONDS: usize = 4;

/// A follower doesn't hear its leader any more, nor the leader it; both hear the third.
pub(super) fn leader_out_of_sight(cluster: &Cluster) {
    out_of_sight(cluster, &[1]);
    out_of_sight(cluster, &[2]);
}

/// Two of five: they hear each other, too, and are no majority.
pub(super) fn leader_out_of_sight_of_two(cluster: &Cluster) {
    out_of_sight(cluster, &[1, 2]);
    out_of_sight(cluster, &[2, 4]);
}

/// Cuts both ways between the leader and those so many steps after it.
fn out_of_sight(cluster: &Cluster, steps: &[usize]) {
    let stage = Stage::new(cluster);
    let steady = Steady::new(&stage);
    let cut: Vec<_> = steps.iter().map(|&steps| after(cluster, steady.leader, steps)).collect();
    for &i in &cut {
        cluster.cut_one_way(steady.leader, i, true);
        cluster.cut_one_way(i, steady.leader, true);
    }
    let what = format!("{} and it hear nothing of each other", names(&cut));
    goes_on(&steady, cluster, cluster.n() - cut.len(), &what);
}

/// Followers that hear everybody but the leader, which hears them.
pub(super) fn deaf_to_its_leader(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for steps in 1..=3 {
        let steady = Steady::new(&stage);
        let deaf = after(cluster, steady.leader, steps);
        cluster.cut_one_way(steady.leader, deaf, true);
        let what = format!("{} doesn't hear it", name(deaf));
        goes_on(&steady, cluster, cluster.n() - 1, &what);
    }
}

/// A leader that doesn't hear one of its followers, which hears it.
pub(super) fn leader_deaf_to_one(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for steps in 1..=2 {
        let steady = Steady::new(&stage);
        let unheard = after(cluster, steady.leader, steps);
        cluster.cut_one_way(unheard, steady.leader, true);
        goes_on(&steady, cluster, 2, &format!("it doesn't hear {}", name(unheard)));
    }
}

/// The leader leads on, and so many servers agree; when the links are mended, everybody has everything.
#[track_caller]
fn goes_on(steady: &Steady<'_>, cluster: &Cluster, servers: usize, what: &str) {
    cluster.sleep(QUIET);
    steady.undisturbed(&format!("Nothing happened but that {what}. {ASKS_FIRST}"));
    for _ in 0..SECONDS {
        agree(cluster, 1, servers);
        cluster.sleep(Duration::from_secs(1));
        steady.undisturbed(&format!("Nothing happened but that {what}. {ASKS_FIRST}"));
    }
    cluster.mend_links();
    agree(cluster, 1, cluster.n());
    steady.undisturbed(&format!("Nothing happened but that {what} for a while. {ASKS_FIRST}"));
}

/// A leader that is heard by everybody, and hears nobody: its heartbeats keep the others from standing, and it commits nothing.
/// It steps down, and another one is elected.
pub(super) fn leader_hears_nobody(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for _ in 0..3 {
        let deaf = Steady::new(&stage).leader;
        let others = || (0..cluster.n()).filter(move |&i| i != deaf);
        others().for_each(|i| cluster.cut_one_way(i, deaf, true));
        cluster.reached_check();
        let stepped_down = || matches!(cluster.state(deaf), Some((_, false)));
        if !stage.until(STEPS_DOWN_WITHIN, stepped_down) {
            run::fail(format!(
                "{} leads on, though for {STEPS_DOWN_WITHIN:?} it has heard from nobody. Its heartbeats arrive, so nobody else \
                 stands, and nothing is committed any more: a leader steps down if an election timeout goes by without an \
                 answer from a majority (thesis §6.2)",
                name(deaf)
            ));
        }
        let next = cluster.check_one_leader();
        if next == deaf {
            run::fail(format!("{} leads again, though nobody's vote can reach it", name(deaf)));
        }
        agree(cluster, 2, cluster.n() - 1);
        cluster.mend_links();
        agree(cluster, 1, cluster.n());
    }
}
