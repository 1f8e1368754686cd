//! Servers are added and removed during storms, and in clusters that run a store.

use super::change::{ChangeRequest, change};
use crate::clients::Texts;
use crate::cluster::Cluster;
use crate::suites::lab_test::tests;
use crate::suites::services::kv;
use crate::suites::worlds::setups::{members, service, unreliable};
use crate::suites::worlds::steps::{agree, anybody};
use crate::suites::worlds::storm::{Fault, calm, every_but, rage};
use crate::suites::worlds::threads::{Stop, joined, spawn};
use labrpc::time::Duration;

tests! { STORE_TESTS = "members", Store(Members):
    store_while_members_change = "StoreMembersComeAndGo", service(members(1, unreliable(5)), None);
    store_while_members_change_with_partitions = "StoreMembersAndPartitions", service(members(3, unreliable(5)), Some(kv::MAX_RAFT_STATE));
}

/// Changes the members at random during a storm of partitions, crashes and lost messages.
pub(super) fn membership_changes_under_faults(cluster: &Cluster) {
    let troubles = [Fault::Loss, Fault::Partitions, Fault::Crashes, Fault::CrashesAtSaves];
    in_a_storm(cluster, &troubles);
}

/// Changes the members at random during a storm with all kinds of trouble except slow threads.
pub(super) fn membership_changes_under_all_faults(cluster: &Cluster) {
    in_a_storm(cluster, &every_but(&[Fault::SlowThreads]));
}

fn in_a_storm(cluster: &Cluster, troubles: &[Fault]) {
    let stop = Stop::default();
    let (changing, until) = (cluster.clone(), stop.clone());
    let changes = spawn("changes", move || {
        while !until.is_set() {
            change_something(&changing);
            changing.sleep(changing.draws().millis("between changes", 0..400));
        }
    });
    let led = rage(cluster, troubles, true);
    stop.set();
    calm(cluster);
    joined(changes);
    // Now all servers run, so every server can be added.
    (0..cluster.n()).for_each(|server| change(cluster, ChangeRequest::Add(server)));
    agree(cluster, 1, cluster.n());
    if led {
        cluster.reached_check();
    }
}

/// Asks a random server for a random change.
fn change_something(cluster: &Cluster) {
    let (asked, server) = (anybody(cluster), anybody(cluster));
    let Some(members) = cluster.members(asked) else { return };
    let request = if members.contains(&server) {
        ChangeRequest::Remove(server)
    } else {
        ChangeRequest::Add(server)
    };
    let _ = request.ask(cluster, asked);
}

/// Runs five clients on an unreliable network while the cluster grows to five members and shrinks to one, twice. Reads must
/// return what was written.
fn store_while_members_change(texts: &Texts) {
    kv::clients(5).during(texts, |_| {
        for _ in 0..2 {
            (0..5).for_each(|server| change(texts, ChangeRequest::Add(server)));
            [3, 0, 4, 1]
                .into_iter()
                .for_each(|server| change(texts, ChangeRequest::Remove(server)));
        }
    });
    texts.reached_check();
}

/// Runs five clients that write the same keys while the members change at random, with partitions and late copies of requests.
/// The history must be linearizable.
fn store_while_members_change_with_partitions(texts: &Texts) {
    kv::clients(5).shared_keys().during(texts, |stop| {
        let (changing, until) = (texts.cluster().clone(), stop.clone());
        let changes = spawn("changes", move || {
            while !until.is_set() {
                change_something(&changing);
                changing.sleep(changing.draws().millis("between changes", 0..600));
            }
        });
        kv::late_copies(texts, || kv::rough_time(texts, Duration::from_secs(15), true, stop));
        joined(changes);
    });
    kv::check_sizes(texts);
    texts.reached_check();
}
