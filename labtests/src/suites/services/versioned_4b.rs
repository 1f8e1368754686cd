//! 4B: a store whose values have versions, without snapshots, as in the 2025 lab. In most tests clients read and write for
//! three rounds, and their history must be linearizable (§8).

use crate::clients::Versions;
use crate::cluster::Setup;
use crate::suites::lab_test::tests;
use crate::suites::services::kv::{ask_in_the_minority, minority_with_the_leader};
use crate::suites::services::versioned::{check_read, clients, put, speed_of_puts};
use crate::suites::worlds::setups::{reliable, service, unreliable};
use labrpc::api::kv::PutError;
use labrpc::run;

tests! { "4B", Versioned:
    versioned_basic = "Basic", GOOD;
    versioned_speed = "Speed", service(reliable(3), None);
    versioned_concurrent = "Concurrent", GOOD;
    versioned_unreliable = "Unreliable", BAD;
    versioned_one_partition = "OnePartition", GOOD;
    versioned_many_partitions_one_client = "ManyPartitionsOneClient", GOOD;
    versioned_many_partitions_many_clients = "ManyPartitionsManyClients", GOOD;
    versioned_persist_one_client = "PersistOneClient", GOOD;
    versioned_persist_concurrent = "PersistConcurrent", GOOD;
    versioned_persist_concurrent_unreliable = "PersistConcurrentUnreliable", BAD;
    versioned_persist_partition = "PersistPartition", GOOD;
    versioned_persist_partition_unreliable = "PersistPartitionUnreliable", BAD;
    versioned_persist_partition_unreliable_linearizable =
        "PersistPartitionUnreliableLinearizable", service(unreliable(7), None);
}

const GOOD: Setup = service(reliable(5), None);
const BAD: Setup = service(unreliable(5), None);

/// Runs one client on five servers.
fn versioned_basic(versions: &Versions) {
    clients(1).run(versions);
}

/// Does a thousand puts, one after the other. The leader must send each one at once, not with the next heartbeat (§5.3).
fn versioned_speed(versions: &Versions) {
    speed_of_puts(versions);
}

/// Runs five clients that all write one key.
fn versioned_concurrent(versions: &Versions) {
    clients(5).run(versions);
}

/// Runs five clients on a network that loses and delays requests and answers.
fn versioned_unreliable(versions: &Versions) {
    clients(5).run(versions);
}

/// Cuts off the leader with a minority. It must not answer clients, not even a get (§8). When the partition heals, its clients
/// must get their answers.
fn versioned_one_partition(versions: &Versions) {
    let mut client = versions.clerk();
    put(&mut client, "1", "13", 0);
    let minority = minority_with_the_leader(versions);
    let majority: Vec<_> = versions.all().into_iter().filter(|i| !minority.contains(i)).collect();
    versions.partition(&minority);
    let mut of_majority = versions.clerk_to(&majority);
    let (mut writer, mut reader) = (versions.clerk_to(&minority), versions.clerk_to(&minority));
    let ids = [writer.id, reader.id];

    put(&mut of_majority, "1", "14", 1);
    check_read(&mut of_majority, "1", "14", 2);

    let (result, got) = ask_in_the_minority(
        versions,
        ids,
        move || writer.put("1", "15", 3),
        move || reader.get("1"),
        || {
            check_read(&mut of_majority, "1", "14", 2);
            put(&mut of_majority, "1", "16", 2);
            check_read(&mut of_majority, "1", "16", 3);
        },
    );
    let possible = [("14", 2), ("16", 3), ("15", 4)];
    if !possible.iter().any(|&(value, version)| got == Some((value.to_string(), version))) {
        run::fail(format!(
            "a get began after 14 was written with version 2, and overlapped the puts of 16 and 15. It must return 14 with \
             version 2, 16 with version 3 or 15 with version 4, but it returned {got:?} (linearizability: a read sees the last \
             write before it, or a write that overlaps it)"
        ));
    }
    // No other client writes with version 3, and in the minority the put can't have been done.
    match result {
        Ok(()) | Err(PutError::Maybe) => check_read(&mut client, "1", "15", 4),
        Err(error) => run::fail(format!(
            "a put with version 3 was answered with {error:?}. The answer must be Ok or Maybe, because no other client writes \
             this key when its version is 3 (linearizability)"
        )),
    }
}

/// Runs one client while partitions come and go.
fn versioned_many_partitions_one_client(versions: &Versions) {
    clients(1).partitions().run(versions);
}

/// Runs five clients while partitions come and go.
fn versioned_many_partitions_many_clients(versions: &Versions) {
    clients(5).partitions().run(versions);
}

/// Runs one client and crashes all servers after each round. They must restore the store from their logs.
fn versioned_persist_one_client(versions: &Versions) {
    clients(1).crashes().run(versions);
}

/// Runs five clients and crashes all servers after each round.
fn versioned_persist_concurrent(versions: &Versions) {
    clients(5).crashes().run(versions);
}

/// Runs five clients on an unreliable network and crashes all servers after each round.
fn versioned_persist_concurrent_unreliable(versions: &Versions) {
    clients(5).crashes().run(versions);
}

/// Runs five clients with partitions, and crashes all servers after each round.
fn versioned_persist_partition(versions: &Versions) {
    clients(5).partitions().crashes().run(versions);
}

/// Runs five clients on an unreliable network with partitions, and crashes all servers after each round.
fn versioned_persist_partition_unreliable(versions: &Versions) {
    clients(5).partitions().crashes().run(versions);
}

/// Does the same with seven servers, and fifteen clients that write many keys.
fn versioned_persist_partition_unreliable_linearizable(versions: &Versions) {
    clients(15).partitions().crashes().many_keys().run(versions);
}
