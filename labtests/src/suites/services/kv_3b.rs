//! 3B: a store on Raft, with snapshots (§7). In most tests clients write and read for three rounds, and a read must return what
//! was written (linearizability, §8).

use crate::clients::Texts;
use crate::cluster::{Setup, name};
use crate::limits::ELECTION_TIMEOUT;
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

/// Cuts a server off, and lets it come back when the other servers have discarded the log entries that it missed. It must get
/// them as a snapshot (§7).
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

    texts.partition(&[1]); // so that a majority needs server 2, which has missed the puts
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

/// Writes the same key many times. A snapshot must stay small: it must not contain old values or old answers (§7).
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
            "{}'s snapshot has {size} bytes, but at most {MOST} are allowed, because there is only one key and one client. A \
             snapshot holds the present state, without old values (§7)",
            name(i)
        ));
    }
}

/// Does a thousand appends, one after the other. Snapshots must not make them slow.
fn kv_snapshot_speed(texts: &Texts) {
    speed_of_appends(texts);
}

/// Runs one client and crashes all servers after each round. They must restore the store from their snapshots (§7).
fn kv_snapshot_recover(texts: &Texts) {
    clients(1).crashes().run(texts);
}

/// Runs twenty clients and crashes all servers after each round.
fn kv_snapshot_recover_many_clients(texts: &Texts) {
    clients(20).crashes().run(texts);
}

/// Runs five clients on an unreliable network.
fn kv_snapshot_unreliable(texts: &Texts) {
    clients(5).run(texts);
}

/// Runs five clients on an unreliable network, and crashes all servers after each round.
fn kv_snapshot_unreliable_recover(texts: &Texts) {
    clients(5).crashes().run(texts);
}

/// Runs five clients on an unreliable network with partitions, and crashes all servers after each round.
fn kv_snapshot_unreliable_recover_concurrent_partition(texts: &Texts) {
    clients(5).partitions().crashes().run(texts);
}

/// Does the same with seven servers, and fifteen clients that write and read the same keys. Their history must be linearizable.
fn kv_snapshot_unreliable_recover_concurrent_partition_linearizable(texts: &Texts) {
    clients(15).partitions().crashes().shared_keys().run(texts);
}
