//! 3A: a store on Raft, without snapshots.

use crate::clients::Texts;
use crate::cluster::Setup;
use crate::suites::lab_test::tests;
use crate::suites::services::kv::{
    ask_in_the_minority, check_read, clients, minority_with_the_leader, speed_of_appends,
};
use crate::suites::worlds::setups::{reliable, service, unreliable};
use crate::suites::worlds::threads::{joined, spawn};
use labrpc::run;

tests! { "3A", Kv:
    kv_basic = "Basic", GOOD;
    kv_speed = "Speed", service(reliable(3), None);
    kv_concurrent = "Concurrent", GOOD;
    kv_unreliable = "Unreliable", BAD;
    kv_unreliable_one_key = "UnreliableOneKey", service(unreliable(3), None);
    kv_one_partition = "OnePartition", GOOD;
    kv_many_partitions_one_client = "ManyPartitionsOneClient", GOOD;
    kv_many_partitions_many_clients = "ManyPartitionsManyClients", GOOD;
    kv_persist_one_client = "PersistOneClient", GOOD;
    kv_persist_concurrent = "PersistConcurrent", GOOD;
    kv_persist_concurrent_unreliable = "PersistConcurrentUnreliable", BAD;
    kv_persist_partition = "PersistPartition", GOOD;
    kv_persist_partition_unreliable = "PersistPartitionUnreliable", BAD;
    kv_persist_partition_unreliable_linearizable = "PersistPartitionUnreliableLinearizable",
        service(unreliable(7), None);
}

const GOOD: Setup = service(reliable(5), None);
const BAD: Setup = service(unreliable(5), None);

/// One client.
fn kv_basic(texts: &Texts) {
    clients(1).run(texts);
}

/// A thousand appends, one after the other.
fn kv_speed(texts: &Texts) {
    speed_of_appends(texts);
}

/// Five clients.
fn kv_concurrent(texts: &Texts) {
    clients(5).run(texts);
}

/// Requests and answers get lost, and are late.
fn kv_unreliable(texts: &Texts) {
    clients(5).run(texts);
}

/// Five clients append to one key.
fn kv_unreliable_one_key(texts: &Texts) {
    const APPENDS: u64 = 10;
    let mut reader = texts.clerk();
    reader.put("k", "");
    let clients = (0..5).map(|number| {
        let mut client = texts.clerk();
        spawn(&format!("client {number}"), move || {
            (0..APPENDS).for_each(|n| client.append("k", &format!("x {number} {n} y")));
        })
    });
    let clients: Vec<_> = clients.collect();
    let number = clients.len() as u64;
    clients.into_iter().for_each(joined);
    check_appends(&reader.get("k"), number, APPENDS);
}

/// Fails the test unless the value is made of each client's appends, each once, and each client's in order.
fn check_appends(value: &str, clients: u64, appends: u64) {
    let mut next = vec![0; clients as usize];
    let mut rest = value;
    while !rest.is_empty() {
        let first = (0..clients).find_map(|number| {
            let n = next[number as usize];
            Some((number, rest.strip_prefix(&format!("x {number} {n} y"))?))
        });
        let Some((number, left)) = first else {
            run::fail(format!(
                "at {rest:?} in {value:?} there is no client's next append. One is there twice (exactly once, thesis §6.3), or is missing or out \
                 of order though its client was answered before it sent the next (linearizability)"
            ));
        };
        next[number as usize] += 1;
        rest = left;
    }
    if let Some(number) = next.iter().position(|&n| n != appends) {
        let n = next[number];
        run::fail(format!(
            "of {appends} appends of client {number}, all of them acknowledged, only {n} are in {value:?} (linearizability: a read sees all \
             that was acknowledged before it began)"
        ));
    }
}

/// A leader without a majority answers nobody, not even a reader. When the partition heals, its clients get their answers.
fn kv_one_partition(texts: &Texts) {
    let mut client = texts.clerk();
    client.put("1", "13");
    let minority = minority_with_the_leader(texts);
    let majority: Vec<_> = texts.all().into_iter().filter(|i| !minority.contains(i)).collect();
    texts.partition(&minority);
    let mut of_majority = texts.clerk_to(&majority);
    let (mut writer, mut reader) = (texts.clerk_to(&minority), texts.clerk_to(&minority));
    let ids = [writer.id, reader.id];

    of_majority.put("1", "14");
    check_read(&mut of_majority, "1", "14");

    let ((), got) = ask_in_the_minority(
        texts,
        ids,
        move || writer.put("1", "15"),
        move || reader.get("1"),
        || {
            check_read(&mut of_majority, "1", "14");
            of_majority.put("1", "16");
            check_read(&mut of_majority, "1", "16");
        },
    );
    if !["14", "15", "16"].contains(&got.as_str()) {
        run::fail(format!(
            "a get begun after 14 was written, while 15 and 16 were, gives {got:?} (linearizability: a read sees the last write before it, \
             or one that is going on)"
        ));
    }
    // 15 was asked for before 16, but of a minority: it can't have been done before the partition healed, when 16 was there.
    check_read(&mut client, "1", "15");
}

/// Partitions come and go.
fn kv_many_partitions_one_client(texts: &Texts) {
    clients(1).partitions().run(texts);
}

/// The same with five clients.
fn kv_many_partitions_many_clients(texts: &Texts) {
    clients(5).partitions().run(texts);
}

/// All servers crash after each round.
fn kv_persist_one_client(texts: &Texts) {
    clients(1).crashes().run(texts);
}

/// The same with five clients.
fn kv_persist_concurrent(texts: &Texts) {
    clients(5).crashes().run(texts);
}

/// The same on an unreliable network.
fn kv_persist_concurrent_unreliable(texts: &Texts) {
    clients(5).crashes().run(texts);
}

/// Partitions and crashes.
fn kv_persist_partition(texts: &Texts) {
    clients(5).partitions().crashes().run(texts);
}

/// The same on an unreliable network.
fn kv_persist_partition_unreliable(texts: &Texts) {
    clients(5).partitions().crashes().run(texts);
}

/// The same with seven servers, and fifteen clients that write and read the same keys.
fn kv_persist_partition_unreliable_linearizable(texts: &Texts) {
    clients(15).partitions().crashes().shared_keys().run(texts);
}
