//! Reads that don't go through the log (thesis §6.4): as fresh as if they did.
//!
//! Every index that a server gives is held against what was applied before it was asked, so a test has but to ask at the wrong moments.

use super::super::{agree, kv, reliable, tests};
use crate::clients::Texts;
use crate::cluster::{Cluster, name};
use labrpc::run;

tests! { READS = "reads", Beyond(Reads):
    reads = "Reads", reliable(5);
}

tests! { STORE_READS = "reads", Store(Reads):
    store_reads = "StoreReads", super::super::service(reliable(5), None);
}

tests! { LEASE = "lease", Beyond(Lease):
    lease_reads = "LeaseReads", reliable(5);
}

tests! { STORE_LEASE = "lease", Store(Lease):
    store_lease_reads = "StoreLeaseReads", super::super::service(reliable(5), None);
}

/// A leader gives an index after every command.
fn reads(cluster: &Cluster) {
    for _ in 0..20 {
        agree(cluster, 1, 5);
        let leader = cluster.check_one_leader();
        match cluster.read_index(leader) {
            Some(Ok(_)) => {}
            other => run::fail(format!(
                "{} leads, everybody hears it, and it gives no index to read at: {other:?}",
                name(leader)
            )),
        }
    }
}

fn lease_reads(cluster: &Cluster) {
    reads(cluster);
}

/// Clients of all servers, and partitions.
fn store_reads(texts: &Texts) {
    kv::clients(5).partitions().shared_keys().run(texts);
}

fn store_lease_reads(texts: &Texts) {
    store_reads(texts);
}
