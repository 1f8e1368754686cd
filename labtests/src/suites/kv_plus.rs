//! 3B+: a store on Raft, when requests come late.

use super::kv::{MAX_RAFT_STATE, check_read, clients, joined, long, spawn};
use super::stage::Stage;
use super::{ms, reliable, service, tests};
use crate::checks::ELECTION_TIMEOUT;
use crate::clients::Texts;
use crate::cluster::Setup;
use labrpc::network::Duplication;

tests! { "3B+", Kv:
    kv_late_requests = "LateRequests", THREE;
    kv_retry_behind_a_snapshot = "RetryBehindASnapshot", THREE;
}

const THREE: Setup = service(reliable(3), Some(MAX_RAFT_STATE));

/// A third of all requests come a second time, when their client has long gone on. It is not enough to remember the last
/// request of a client and know it again: older ones must not be done again either (§8).
fn kv_late_requests(texts: &Texts) {
    texts.net().duplicate(Some(Duplication { one_in: 3, within: ms(1500) }));
    clients(3).run(texts);
    texts.net().duplicate(None);
    texts.reached_check();
}

/// An append is done, but its client isn't told; it asks again, of a leader that knows of the first time only from another's
/// snapshot.
fn kv_retry_behind_a_snapshot(texts: &Texts) {
    const AWAY: usize = 2;
    let (mut client, mut lonely) = (texts.clerk(), texts.clerk());
    client.put("k", "once");
    texts.partition(&[AWAY]);
    texts.set_replies_lost(lonely.id, true);
    let id = lonely.id;
    let appending = spawn("append", move || lonely.append("k", " and again"));
    texts.sleep(ELECTION_TIMEOUT);
    texts.connect_client(id, &[]); // what it has asked is done, and now it is silent
    let mut some = texts.clerk_to(&[0, 1]);
    (0..50).for_each(|n| some.put(&n.to_string(), &long(n)));
    texts.connect_all();
    texts.sleep(ELECTION_TIMEOUT);
    let stage = Stage::new(texts.cluster());
    texts.set_replies_lost(id, false);
    texts.connect_client(id, &[AWAY]);
    while !appending.is_finished() {
        if !matches!(texts.state(AWAY), Some((_, true))) {
            stage.elect(AWAY, &[0, 1]);
            stage.all_pass();
        }
        texts.sleep(ms(20));
    }
    joined(appending);
    check_read(&mut client, "k", "once and again");
    texts.reached_check();
}
