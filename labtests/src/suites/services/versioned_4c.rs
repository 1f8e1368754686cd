//! 4C: a store whose values have versions, with snapshots (§7), as in the 2025 lab. In most tests clients read and write for
//! three rounds, and their history must be linearizable (§8).

use crate::clients::Versions;
use crate::cluster::{Setup, name};
use crate::limits::ELECTION_TIMEOUT;
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

/// Cuts a server off, and lets it come back when the other servers have discarded the log entries that it missed. It must get
/// them as a snapshot (§7).
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

    versions.partition(&[1]); // so that a majority needs server 2, which has missed the puts
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

/// Writes the same key many times. A snapshot must stay small: it must not contain old values or old answers (§7).
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
            "{}'s snapshot has {size} bytes, but at most {MOST} are allowed, because there is only one key and one client. A \
             snapshot holds the present state, without old values (§7)",
            name(i)
        ));
    }
}

/// Does a thousand puts, one after the other. Snapshots must not make them slow.
fn versioned_snapshot_speed(versions: &Versions) {
    speed_of_puts(versions);
}

/// Runs one client and crashes all servers after each round. They must restore the store from their snapshots (§7).
fn versioned_snapshot_recover(versions: &Versions) {
    clients(1).crashes().run(versions);
}

/// Runs twenty clients and crashes all servers after each round.
fn versioned_snapshot_recover_many_clients(versions: &Versions) {
    clients(20).crashes().run(versions);
}

/// Runs five clients on an unreliable network.
fn versioned_snapshot_unreliable(versions: &Versions) {
    clients(5).run(versions);
}

/// Runs five clients on an unreliable network, and crashes all servers after each round.
fn versioned_snapshot_unreliable_recover(versions: &Versions) {
    clients(5).crashes().run(versions);
}

/// Runs five clients on an unreliable network with partitions, and crashes all servers after each round.
fn versioned_snapshot_unreliable_recover_concurrent_partition(versions: &Versions) {
    clients(5).partitions().crashes().run(versions);
}

/// Does the same with seven servers, and fifteen clients that write many keys.
fn versioned_snapshot_unreliable_recover_concurrent_partition_linearizable(versions: &Versions) {
    clients(15).partitions().crashes().many_keys().run(versions);
}
