//! 3B+: a store on Raft, when requests come late, and when servers make snapshots under high load.

use crate::clients::{TextClient, Texts};
use crate::cluster::Setup;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::services::kv::{
    MAX_RAFT_STATE, check_read, clients, crash_all, hesitant_threads, late_copies, late_requests,
    long,
};
use crate::suites::worlds::setups::{reliable, service, unreliable};
use crate::suites::worlds::stage::Stage;
use crate::suites::worlds::steps::ms;
use crate::suites::worlds::threads::{joined, spawn};

tests! { "3B+", Kv:
    kv_late_duplicate_requests = "LateRequests", THREE;
    kv_late_duplicate_requests_under_faults = "LateRequestsInTrouble", service(unreliable(5), Some(MAX_RAFT_STATE));
    kv_delayed_requests = "OvertakenRequests", service(reliable(5), Some(MAX_RAFT_STATE));
    kv_retry_after_installed_snapshot = "RetryBehindASnapshot", THREE;
    kv_snapshots_under_load = "SnapshotsUnderLoad", THREE;
}

const THREE: Setup = service(reliable(3), Some(MAX_RAFT_STATE));

/// Delivers a third of all requests a second time, when their client has made other requests. It is not enough to recognise the
/// last request of a client: older requests must not be applied again, either (§8).
fn kv_late_duplicate_requests(texts: &Texts) {
    late_copies(texts, || clients(3).run(texts));
    texts.reached_check();
}

/// Does the same on an unreliable network, with crashes and partitions (§8).
fn kv_late_duplicate_requests_under_faults(texts: &Texts) {
    late_copies(texts, || clients(5).partitions().crashes().run(texts));
    texts.reached_check();
}

/// Delays requests, so that their clients may have asked again before they arrive. A request must not be applied twice (§8).
fn kv_delayed_requests(texts: &Texts) {
    late_requests(texts, || clients(5).partitions().crashes().run(texts));
    texts.reached_check();
}

/// Loses the answer to an append that was applied. The client asks again, and now the leader is a server that knows of the
/// first append only from another server's snapshot. The append must not be applied twice: snapshots must hold what is needed
/// to recognise old requests (exactly once, thesis §6.3).
fn kv_retry_after_installed_snapshot(texts: &Texts) {
    const AWAY: usize = 2;
    let (mut client, mut lonely) = (texts.clerk(), texts.clerk());
    client.put("k", "once");
    texts.partition(&[AWAY]);
    texts.set_replies_lost(lonely.id, true);
    let id = lonely.id;
    let appending = spawn("append", move || lonely.append("k", " and again"));
    texts.sleep(ELECTION_TIMEOUT);
    texts.connect_client(id, &[]); // its append has been applied, and now it reaches no server
    let mut some = texts.clerk_to(&[0, 1]);
    (0..50).for_each(|n| some.put(&n.to_string(), &long(n)));
    texts.connect_all();
    texts.sleep(ELECTION_TIMEOUT);
    let stage = Stage::new(texts.cluster());
    texts.set_replies_lost(id, false);
    texts.connect_client(id, &[AWAY]);
    while !appending.is_finished() {
        if !matches!(texts.state(AWAY), Some((_, true))) {
            stage.elect(AWAY, &[0, 1]);
            stage.all_pass();
        }
        texts.sleep(ms(20));
    }
    joined(appending);
    check_read(&mut client, "k", "once and again");
    texts.reached_check();
}

/// Lets many clients append at once, so that servers always have more to apply while they make snapshots. If a snapshot holds
/// more than the entries up to its index, a server that restarts from the snapshot applies the entries after the index twice
/// (§7).
fn kv_snapshots_under_load(texts: &Texts) {
    const NEW: u64 = 10;
    let mut all = Vec::new();
    for round in 1..=4 {
        all.extend((0..NEW).map(|_| (texts.clerk(), String::new())));
        let appending = all.into_iter().map(|(mut client, mut value): (TextClient, String)| {
            spawn("appends", move || {
                for n in 0..1 + client.id % 4 {
                    let new = format!("x {round} {n} y");
                    client.append(&client.id.to_string(), &new);
                    value.push_str(&new);
                }
                (client, value)
            })
        });
        let appending = || appending.collect::<Vec<_>>().into_iter().map(joined).collect();
        all = hesitant_threads(texts, appending);
        crash_all(texts);
        for (client, value) in &mut all {
            check_read(client, &client.id.to_string(), value);
        }
    }
    texts.reached_check();
}
