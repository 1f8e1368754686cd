//! 3A: a store on Raft, without snapshots. In most tests clients write and read for three rounds, and a read must return what was
//! written (linearizability, §8).

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

/// Runs one client on five servers. Its reads must return what it wrote.
fn kv_basic(texts: &Texts) {
    clients(1).run(texts);
}

/// Does a thousand appends, one after the other. The leader must send each one at once, not with the next heartbeat (§5.3).
fn kv_speed(texts: &Texts) {
    speed_of_appends(texts);
}

/// Runs five clients, each with its own key.
fn kv_concurrent(texts: &Texts) {
    clients(5).run(texts);
}

/// Runs five clients on a network that loses and delays requests and answers. A repeated request must not be applied twice
/// (exactly once, thesis §6.3).
fn kv_unreliable(texts: &Texts) {
    clients(5).run(texts);
}

/// Lets five clients append to one key on an unreliable network. Each append must be in the value once, in the order of its
/// client (exactly once, thesis §6.3).
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

/// Fails the test unless the value contains each append once, and the appends of each client in their order.
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
                "in {value:?}, the part {rest:?} does not begin with the next append of any client. Either an append was applied \
                 twice (exactly once, thesis §6.3). Or an append is missing or out of order, although its client was answered \
                 before it sent the next one (linearizability)"
            ));
        };
        next[number as usize] += 1;
        rest = left;
    }
    if let Some(number) = next.iter().position(|&n| n != appends) {
        let n = next[number];
        run::fail(format!(
            "client {number} made {appends} appends, and all of them were acknowledged, but only {n} are in {value:?} \
             (linearizability: a read sees every write that was acknowledged before it began)"
        ));
    }
}

/// Cuts off the leader with a minority. It must not answer clients, not even a get (§8). When the partition heals, its clients
/// must get their answers.
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
            "a get began after 14 was written, and overlapped the puts of 15 and 16. It must return 14, 15 or 16, but it \
             returned {got:?} (linearizability: a read sees the last write before it, or a write that overlaps it)"
        ));
    }
    // 15 was requested before 16, but in the minority. So it was applied only after the partition healed, when 16 was already
    // there.
    check_read(&mut client, "1", "15");
}

/// Runs one client while partitions come and go.
fn kv_many_partitions_one_client(texts: &Texts) {
    clients(1).partitions().run(texts);
}

/// Runs five clients while partitions come and go.
fn kv_many_partitions_many_clients(texts: &Texts) {
    clients(5).partitions().run(texts);
}

/// Runs one client and crashes all servers after each round. They must restore the store from their logs.
fn kv_persist_one_client(texts: &Texts) {
    clients(1).crashes().run(texts);
}

/// Runs five clients and crashes all servers after each round.
fn kv_persist_concurrent(texts: &Texts) {
    clients(5).crashes().run(texts);
}

/// Runs five clients on an unreliable network and crashes all servers after each round.
fn kv_persist_concurrent_unreliable(texts: &Texts) {
    clients(5).crashes().run(texts);
}

/// Runs five clients with partitions, and crashes all servers after each round.
fn kv_persist_partition(texts: &Texts) {
    clients(5).partitions().crashes().run(texts);
}

/// Runs five clients on an unreliable network with partitions, and crashes all servers after each round.
fn kv_persist_partition_unreliable(texts: &Texts) {
    clients(5).partitions().crashes().run(texts);
}

/// Does the same with seven servers, and fifteen clients that write and read the same keys. Their history must be linearizable.
fn kv_persist_partition_unreliable_linearizable(texts: &Texts) {
    clients(15).partitions().crashes().shared_keys().run(texts);
}
