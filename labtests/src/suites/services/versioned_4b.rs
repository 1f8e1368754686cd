//! 4B: a store whose values have versions, without snapshots, as the 2025 lab has it.

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

/// One client.
fn versioned_basic(versions: &Versions) {
    clients(1).run(versions);
}

/// A thousand puts, one after the other.
fn versioned_speed(versions: &Versions) {
    speed_of_puts(versions);
}

/// Five clients, all of them writing one key.
fn versioned_concurrent(versions: &Versions) {
    clients(5).run(versions);
}

/// Requests and answers get lost, and are late.
fn versioned_unreliable(versions: &Versions) {
    clients(5).run(versions);
}

/// A leader without a majority answers nobody, not even a reader. When the partition heals, its clients get their answers.
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
            "a get begun after 14 was written with version 2, while 16 and 15 followed it, gives {got:?}"
        ));
    }
    // Nobody else writes for version 3, and in the minority it can't have been done.
    match result {
        Ok(()) | Err(PutError::Maybe) => check_read(&mut client, "1", "15", 4),
        Err(error) => run::fail(format!(
            "a put for version 3 is answered with {error:?}; nobody else writes that key when its version is 3"
        )),
    }
}

/// Partitions come and go.
fn versioned_many_partitions_one_client(versions: &Versions) {
    clients(1).partitions().run(versions);
}

/// The same with five clients.
fn versioned_many_partitions_many_clients(versions: &Versions) {
    clients(5).partitions().run(versions);
}

/// All servers crash after each round.
fn versioned_persist_one_client(versions: &Versions) {
    clients(1).crashes().run(versions);
}

/// The same with five clients.
fn versioned_persist_concurrent(versions: &Versions) {
    clients(5).crashes().run(versions);
}

/// The same on an unreliable network.
fn versioned_persist_concurrent_unreliable(versions: &Versions) {
    clients(5).crashes().run(versions);
}

/// Partitions and crashes.
fn versioned_persist_partition(versions: &Versions) {
    clients(5).partitions().crashes().run(versions);
}

/// The same on an unreliable network.
fn versioned_persist_partition_unreliable(versions: &Versions) {
    clients(5).partitions().crashes().run(versions);
}

/// The same with seven servers, and fifteen clients that write many keys.
fn versioned_persist_partition_unreliable_linearizable(versions: &Versions) {
    clients(15).partitions().crashes().many_keys().run(versions);
}
