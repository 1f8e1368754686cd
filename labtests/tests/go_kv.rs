//! The lab on services of a very different shape from the reference's. The Raft of the Go shape saves and sends its whole log
//! at every step, which takes long without optimisation. So this file has only some store tests of each kind; the program of
//! the example has all of them.

#[path = "../examples/go_kv.rs"]
#[allow(dead_code, reason = "its main is for the example")]
mod go_kv;

use go_kv::{kvraft, kvraft1};
use labtests::lab::Lab;
use labtests::runner::cargo_test;

labtests::rsm_suite!(kvraft1::Rsm::make);

#[test]
fn the_store_of_2022() {
    let lab = Lab::new().kv(kvraft::KvServer::make, kvraft::Clerk::make);
    for name in [
        "kv_unreliable_one_key",
        "kv_one_partition",
        "kv_snapshot_rpc",
        "kv_snapshot_unreliable_recover_concurrent_partition",
        "kv_late_duplicate_requests",
        "kv_retry_after_installed_snapshot",
    ] {
        cargo_test(name, lab.clone());
    }
}

#[test]
fn the_store_of_2025() {
    let lab = Lab::new().versioned(kvraft1::KvServer::make, kvraft1::Clerk::make);
    for name in [
        "versioned_unreliable",
        "versioned_one_partition",
        "versioned_snapshot_rpc",
        "versioned_snapshot_unreliable_recover_concurrent_partition",
        "versioned_every_answer",
        "versioned_snapshots_under_load",
    ] {
        cargo_test(name, lab.clone());
    }
}
