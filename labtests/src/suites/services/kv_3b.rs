//! 3B: a store on Raft, with snapshots (§7).

use crate::checks::ELECTION_TIMEOUT;
use crate::clients::Texts;
use crate::cluster::{Setup, name};
use crate::suites::lab_test::tests;
use crate::suites::services::kv::{
    MAX_RAFT_STATE, check_log, check_read, clients, long, speed_of_appends,
};
use crate::suites::worlds::setups::{reliable, service, unreliable};
use labrpc::run;

tests! { "3B", Kv:
    kv_snapshot_rpc = "SnapshotRPC", service(reliable(3), Some(MAX_RAFT_STATE));
    kv_snapshot_size = "SnapshotSize", service(reliable(3), Some(MAX_RAFT_STATE));
    kv_snapshot_speed = "Speed", service(reliable(3), Some(MAX_RAFT_STATE));
    kv_snapshot_recover = "SnapshotRecover", GOOD;
    kv_snapshot_recover_many_clients = "SnapshotRecoverManyClients", GOOD;
    kv_snapshot_unreliable = "SnapshotUnreliable", BAD;
    kv_snapshot_unreliable_recover = "SnapshotUnreliableRecover", BAD;
    kv_snapshot_unreliable_recover_concurrent_partition =
        "SnapshotUnreliableRecoverConcurrentPartition", BAD;
    kv_snapshot_unreliable_recover_concurrent_partition_linearizable =
        "SnapshotUnreliableRecoverConcurrentPartitionLinearizable",
        service(unreliable(7), Some(MAX_RAFT_STATE));
}

const GOOD: Setup = service(reliable(5), Some(MAX_RAFT_STATE));
const BAD: Setup = service(unreliable(5), Some(MAX_RAFT_STATE));

/// A server that was away gets what it missed as a snapshot.
fn kv_snapshot_rpc(texts: &Texts) {
    let mut client = texts.clerk();
    client.put("a", "A");
    check_read(&mut client, "a", "A");

    texts.partition(&[2]);
    let mut some = texts.clerk_to(&[0, 1]);
    (0..50).for_each(|n| some.put(&n.to_string(), &long(n)));
    texts.sleep(ELECTION_TIMEOUT);
    some.put("b", "B");
    check_log(texts, 8 * MAX_RAFT_STATE);

    texts.partition(&[1]); // so that 2, which has missed it all, is needed
    let mut some = texts.clerk_to(&[0, 2]);
    some.put("c", "C");
    some.put("d", "D");
    check_read(&mut some, "a", "A");
    check_read(&mut some, "b", "B");
    check_read(&mut some, "1", &long(1));
    check_read(&mut some, "49", &long(49));

    texts.connect_all();
    client.put("e", "E");
    check_read(&mut client, "c", "C");
    check_read(&mut client, "e", "E");
    check_read(&mut client, "1", &long(1));
}

/// What is written over is in no snapshot, nor is what was once answered.
fn kv_snapshot_size(texts: &Texts) {
    const MOST: usize = 500;
    let mut client = texts.clerk();
    for _ in 0..200 {
        for value in ["0", "1"] {
            client.put("x", value);
            check_read(&mut client, "x", value);
        }
    }
    check_log(texts, 8 * MAX_RAFT_STATE);
    let (i, size) = texts.largest_snapshot();
    if size > MOST {
        run::fail(format!(
            "{}'s snapshot has {size} bytes, and may have {MOST}: there is one key, and one client",
            name(i)
        ));
    }
}

/// Snapshots cost no time to speak of.
fn kv_snapshot_speed(texts: &Texts) {
    speed_of_appends(texts);
}

/// All servers crash after each round, and find their snapshots.
fn kv_snapshot_recover(texts: &Texts) {
    clients(1).crashes().run(texts);
}

/// The same with twenty clients.
fn kv_snapshot_recover_many_clients(texts: &Texts) {
    clients(20).crashes().run(texts);
}

/// On an unreliable network.
fn kv_snapshot_unreliable(texts: &Texts) {
    clients(5).run(texts);
}

/// On an unreliable network, with crashes.
fn kv_snapshot_unreliable_recover(texts: &Texts) {
    clients(5).crashes().run(texts);
}

/// And with partitions.
fn kv_snapshot_unreliable_recover_concurrent_partition(texts: &Texts) {
    clients(5).partitions().crashes().run(texts);
}

/// The same with seven servers, and fifteen clients that write and read the same keys.
fn kv_snapshot_unreliable_recover_concurrent_partition_linearizable(texts: &Texts) {
    clients(15).partitions().crashes().shared_keys().run(texts);
}
