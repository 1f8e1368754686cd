//! 4C: a store whose values have versions, with snapshots (§7), as the 2025 lab has it.

use crate::checks::ELECTION_TIMEOUT;
use crate::clients::Versions;
use crate::cluster::{Setup, name};
use crate::suites::lab_test::tests;
use crate::suites::services::kv::{MAX_RAFT_STATE, check_log, long};
use crate::suites::services::versioned::{check_read, clients, put, speed_of_puts};
use crate::suites::worlds::setups::{reliable, service, unreliable};
use labrpc::run;

tests! { "4C", Versioned:
    versioned_snapshot_rpc = "SnapshotRPC", service(reliable(3), Some(MAX_RAFT_STATE));
    versioned_snapshot_size = "SnapshotSize", service(reliable(3), Some(MAX_RAFT_STATE));
    versioned_snapshot_speed = "Speed", service(reliable(3), Some(MAX_RAFT_STATE));
    versioned_snapshot_recover = "SnapshotRecover", GOOD;
    versioned_snapshot_recover_many_clients = "SnapshotRecoverManyClients", GOOD;
    versioned_snapshot_unreliable = "SnapshotUnreliable", BAD;
    versioned_snapshot_unreliable_recover = "SnapshotUnreliableRecover", BAD;
    versioned_snapshot_unreliable_recover_concurrent_partition =
        "SnapshotUnreliableRecoverConcurrentPartition", BAD;
    versioned_snapshot_unreliable_recover_concurrent_partition_linearizable =
        "SnapshotUnreliableRecoverConcurrentPartitionLinearizable",
        service(unreliable(7), Some(MAX_RAFT_STATE));
}

const GOOD: Setup = service(reliable(5), Some(MAX_RAFT_STATE));
const BAD: Setup = service(unreliable(5), Some(MAX_RAFT_STATE));

/// A server that was away gets what it missed as a snapshot.
fn versioned_snapshot_rpc(versions: &Versions) {
    let mut client = versions.clerk();
    put(&mut client, "a", "A", 0);
    check_read(&mut client, "a", "A", 1);

    versions.partition(&[2]);
    let mut some = versions.clerk_to(&[0, 1]);
    (0..50).for_each(|n| put(&mut some, &n.to_string(), &long(n), 0));
    versions.sleep(ELECTION_TIMEOUT);
    put(&mut some, "b", "B", 0);
    check_log(versions, 8 * MAX_RAFT_STATE);

    versions.partition(&[1]); // so that 2, which has missed it all, is needed
    let mut some = versions.clerk_to(&[0, 2]);
    put(&mut some, "c", "C", 0);
    put(&mut some, "d", "D", 0);
    check_read(&mut some, "a", "A", 1);
    check_read(&mut some, "b", "B", 1);
    check_read(&mut some, "1", &long(1), 1);
    check_read(&mut some, "49", &long(49), 1);

    versions.connect_all();
    put(&mut client, "e", "E", 0);
    check_read(&mut client, "c", "C", 1);
    check_read(&mut client, "e", "E", 1);
    check_read(&mut client, "1", &long(1), 1);
}

/// What is written over is in no snapshot, nor is what was once answered.
fn versioned_snapshot_size(versions: &Versions) {
    const MOST: usize = 500;
    let mut client = versions.clerk();
    for n in 0..200 {
        for (value, version) in [("0", 2 * n), ("1", 2 * n + 1)] {
            put(&mut client, "x", value, version);
            check_read(&mut client, "x", value, version + 1);
        }
    }
    check_log(versions, 8 * MAX_RAFT_STATE);
    let (i, size) = versions.largest_snapshot();
    if size > MOST {
        run::fail(format!(
            "{}'s snapshot has {size} bytes, and may have {MOST}: there is one key, and one client",
            name(i)
        ));
    }
}

/// Snapshots cost no time to speak of.
fn versioned_snapshot_speed(versions: &Versions) {
    speed_of_puts(versions);
}

/// All servers crash after each round, and find their snapshots.
fn versioned_snapshot_recover(versions: &Versions) {
    clients(1).crashes().run(versions);
}

/// The same with twenty clients.
fn versioned_snapshot_recover_many_clients(versions: &Versions) {
    clients(20).crashes().run(versions);
}

/// On an unreliable network.
fn versioned_snapshot_unreliable(versions: &Versions) {
    clients(5).run(versions);
}

/// On an unreliable network, with crashes.
fn versioned_snapshot_unreliable_recover(versions: &Versions) {
    clients(5).crashes().run(versions);
}

/// And with partitions.
fn versioned_snapshot_unreliable_recover_concurrent_partition(versions: &Versions) {
    clients(5).partitions().crashes().run(versions);
}

/// The same with seven servers, and fifteen clients that write many keys.
fn versioned_snapshot_unreliable_recover_concurrent_partition_linearizable(versions: &Versions) {
    clients(15).partitions().crashes().many_keys().run(versions);
}
