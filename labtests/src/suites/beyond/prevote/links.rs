//! Partial partitions: two servers don't hear each other, or one of them doesn't hear the other, but both hear a third (thesis
//! §9.6, §6.2).

use super::super::steady::Steady;
use super::ASKS_FIRST;
use super::quorum::STEPS_DOWN_WITHIN;
use crate::cluster::{Cluster, name, names};
use crate::suites::worlds::stage::Stage;
use crate::suites::worlds::steps::{after, agree};
use labrpc::run;
use labrpc::time::Duration;

/// How long links are cut while no commands are given. All logs are equal then, so the others refuse their votes only because
/// they hear the leader.
const QUIET: Duration = Duration::from_secs(3);

/// For how many seconds after that commands are given.
const SECONDS: usize = 4;

/// Cuts both directions between the leader and one of two followers. Both hear the third server. The leader must stay (thesis
/// §9.6).
pub(super) fn follower_and_leader_cannot_hear_each_other(cluster: &Cluster) {
    out_of_sight(cluster, &[1]);
    out_of_sight(cluster, &[2]);
}

/// Does the same with two followers of five servers. They hear each other, too, but are no majority (thesis §9.6).
pub(super) fn two_followers_and_leader_cannot_hear_each_other(cluster: &Cluster) {
    out_of_sight(cluster, &[1, 2]);
    out_of_sight(cluster, &[2, 4]);
}

/// Cuts both directions between the leader and the servers that are so many steps after it. The leader must not be disturbed.
fn out_of_sight(cluster: &Cluster, steps: &[usize]) {
    let stage = Stage::new(cluster);
    let steady = Steady::new(&stage);
    let cut: Vec<_> = steps.iter().map(|&steps| after(cluster, steady.leader, steps)).collect();
    for &i in &cut {
        cluster.cut_one_way(steady.leader, i, true);
        cluster.cut_one_way(i, steady.leader, true);
    }
    let what = format!("the leader and {} didn't hear each other", names(&cut));
    goes_on(&steady, cluster, cluster.n() - cut.len(), &what);
}

/// Cuts the direction from the leader to one follower. The follower hears all other servers, and the leader hears the follower.
/// The leader must stay (thesis §9.6).
pub(super) fn follower_cannot_hear_its_leader(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for steps in 1..=3 {
        let steady = Steady::new(&stage);
        let deaf = after(cluster, steady.leader, steps);
        cluster.cut_one_way(steady.leader, deaf, true);
        let what = format!("{} didn't hear the leader", name(deaf));
        goes_on(&steady, cluster, cluster.n() - 1, &what);
    }
}

/// Cuts the direction from one follower to the leader. The follower hears the leader. The leader must stay (thesis §6.2).
pub(super) fn leader_cannot_hear_one_follower(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for steps in 1..=2 {
        let steady = Steady::new(&stage);
        let unheard = after(cluster, steady.leader, steps);
        cluster.cut_one_way(unheard, steady.leader, true);
        goes_on(&steady, cluster, 2, &format!("the leader didn't hear {}", name(unheard)));
    }
}

/// Checks that the leader still leads and that this many servers agree, and that all servers agree when the links work again.
#[track_caller]
fn goes_on(steady: &Steady<'_>, cluster: &Cluster, servers: usize, what: &str) {
    cluster.sleep(QUIET);
    steady.undisturbed(&format!("The only trouble was that {what}. {ASKS_FIRST}"));
    for _ in 0..SECONDS {
        agree(cluster, 1, servers);
        cluster.sleep(Duration::from_secs(1));
        steady.undisturbed(&format!("The only trouble was that {what}. {ASKS_FIRST}"));
    }
    cluster.mend_links();
    agree(cluster, 1, cluster.n());
    steady.undisturbed(&format!("The only trouble was that {what} for a while. {ASKS_FIRST}"));
}

/// Cuts the direction from all followers to the leader. Its heartbeats keep the others from becoming candidates, but it can't
/// commit anything. It must step down, and another server must be elected (thesis §6.2).
pub(super) fn leader_that_hears_nobody_steps_down(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for _ in 0..3 {
        let deaf = Steady::new(&stage).leader;
        let others = || (0..cluster.n()).filter(move |&i| i != deaf);
        others().for_each(|i| cluster.cut_one_way(i, deaf, true));
        cluster.reached_check();
        let stepped_down = || matches!(cluster.state(deaf), Some((_, false)));
        if !stage.until(STEPS_DOWN_WITHIN, stepped_down) {
            run::fail(format!(
                "{0} has heard no other server for {STEPS_DOWN_WITHIN:?}, but {0} still leads. Its heartbeats arrive, so no \
                 other server becomes a candidate, and no entry is committed any more. A leader must step down if an election \
                 timeout passes without an answer from a majority (thesis §6.2)",
                name(deaf)
            ));
        }
        let next = cluster.check_one_leader();
        if next == deaf {
            run::fail(format!("{} leads again, but no vote can reach it (§5.2)", name(deaf)));
        }
        agree(cluster, 2, cluster.n() - 1);
        cluster.mend_links();
        agree(cluster, 1, cluster.n());
    }
}
