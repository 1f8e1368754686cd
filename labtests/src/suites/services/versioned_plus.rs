//! 4B+ and 4C+: the answers of a store whose values have versions, when requests come late, and when servers make snapshots
//! under high load. No request arrives twice: see [`labrpc::api::kv`].

use crate::clients::{VersionClient, Versions};
use crate::suites::lab_test::tests;
use crate::suites::services::deposed::deposed_while_it_waits;
use crate::suites::services::kv::{MAX_RAFT_STATE, crash_all, hesitant_threads, late_requests};
use crate::suites::services::versioned::{check_read, clients, put};
use crate::suites::worlds::setups::{reliable, service};
use crate::suites::worlds::threads::{joined, spawn};
use labrpc::api::kv::PutError;
use labrpc::run;

tests! { "4B+", Versioned:
    versioned_every_answer = "Answers", service(reliable(3), None);
    versioned_put_is_committed_by_next_leader = "PutOutlivesItsLeader", service(reliable(3), None);
    versioned_delayed_requests = "OvertakenRequests", service(reliable(5), None);
}

tests! { SNAPSHOTS = "4C+", Versioned:
    versioned_snapshots_under_load = "SnapshotsUnderLoad", service(reliable(3), Some(MAX_RAFT_STATE));
}

/// Asks for every kind of answer, also with versions that the key does not have yet. In the other tests, clients put only with
/// versions that they have read.
fn versioned_every_answer(versions: &Versions) {
    let (mut client, mut other) = (versions.clerk(), versions.clerk());
    if let Some(got) = client.get("k") {
        run::fail(format!("key \"k\" has the value {got:?}, but no client has written it"));
    }
    check_answer(1, Err(PutError::NoKey), || client.put("k", "never", 1));
    put(&mut client, "k", "first", 0);
    put(&mut client, "k", "second", 1);
    for version in [0, 1, 3, u64::MAX] {
        check_answer(version, Err(PutError::Version), || client.put("k", "never", version));
        check_read(&mut other, "k", "second", 2);
    }
    // A client that doesn't know the leader yet asks other servers first, but these do nothing.
    let mut keys = (0..).map(|n: u64| n.to_string());
    let mut new = || versions.clerk().put(&keys.next().expect("no end"), "new", 0);
    check_answer(0, Ok(()), &mut new);
    versions.reached_check();
}

/// Fails the test if a put with this version gets another answer than expected, while nothing goes wrong. With real threads, a
/// leader may be too slow and be deposed, so after an answer Maybe the put is tried again.
#[track_caller]
fn check_answer(
    version: u64,
    expected: Result<(), PutError>,
    mut put: impl FnMut() -> Result<(), PutError>,
) {
    const TRIES: usize = 5;
    let mut answers = (0..TRIES).map(|_| put());
    let answer = answers.find(|answer| *answer != Err(PutError::Maybe));
    let answer = answer.unwrap_or(Err(PutError::Maybe));
    if answer != expected {
        run::fail(format!(
            "a put with version {version} was answered with {answer:?}, but should be answered with {expected:?}. Nothing has \
             gone wrong, so Maybe is not right either"
        ));
    }
}

/// Deposes a leader that has accepted a put, which the next leader then carries out. The client has to ask again, and may find
/// the result of its own put, so the answer must be Ok or Maybe (§5.4.2).
fn versioned_put_is_committed_by_next_leader(versions: &Versions) {
    let mut client = versions.clerk();
    let mut putting = None;
    let stage = deposed_while_it_waits(versions, true, || {
        putting = Some(spawn("put", move || client.put("k", "once", 0)));
    });
    stage.all_pass();
    for result in putting.into_iter().map(joined) {
        if let Err(error @ (PutError::Version | PutError::NoKey)) = result {
            run::fail(format!(
                "a put to a key that no other client writes was answered with {error:?}, which means that nothing was done. But \
                 a leader accepted the first try of this put and was deposed, and the next leader carried the put out (§5.4.2). \
                 A client that asks again can't know that, so the right answer is Maybe"
            ));
        }
    }
    check_read(&mut versions.clerk(), "k", "once", 1);
    versions.reached_check();
}

/// Delays requests, so that their clients may have asked again before they arrive. An earlier request may then be carried out
/// at any time. So the answer Version, "nothing was done", is right only for a put that was requested once.
fn versioned_delayed_requests(versions: &Versions) {
    late_requests(versions, || clients(5).partitions().crashes().run(versions));
    versions.reached_check();
}

/// Runs many clients at once. Each puts with a version that the key does not have yet, which is refused, and then with the
/// version that it has. If a snapshot holds more than the entries up to its index, a restarted server applies the refused puts
/// again, and then the key may have their versions (§7).
fn versioned_snapshots_under_load(versions: &Versions) {
    const PUTS: u64 = 5;
    let mut all: Vec<_> = (0..20).map(|_| (versions.clerk(), 0)).collect();
    all.iter_mut().for_each(|(client, _)| _ = client.get("k")); // the clients know the leader now
    for _ in 0..3 {
        let putting = all.into_iter().map(|(mut client, version)| {
            spawn("puts", move || {
                let all = (version..version + PUTS).all(|now| refused_and_put(&mut client, now));
                all.then_some((client, version + PUTS))
            })
        });
        let putting: Vec<_> = hesitant_threads(versions, || {
            putting.collect::<Vec<_>>().into_iter().map(joined).collect()
        });
        crash_all(versions);
        all = putting.into_iter().flatten().collect();
        if !all.is_empty() {
            versions.reached_check();
        }
        all.iter_mut().for_each(|(client, version)| check_after_restart(client, *version));
    }
}

/// The key that only this client writes.
fn key_of(client: &VersionClient) -> String {
    format!("k{}", client.id)
}

/// Puts with the version after this one, which must be refused, and then with this version. Returns `false` if the first answer
/// was Maybe, which is right if the leader was deposed in between. Such a client does not take part in the rest.
fn refused_and_put(client: &mut VersionClient, version: u64) -> bool {
    let key = key_of(client);
    if client.put(&key, "refused", version + 1) == Err(PutError::Maybe) {
        return false;
    }
    put(client, &key, &version.to_string(), version);
    true
}

#[track_caller]
fn check_after_restart(client: &mut VersionClient, version: u64) {
    let key = key_of(client);
    let (got, expected) = (client.get(&key), Some(((version - 1).to_string(), version)));
    if got != expected {
        run::fail(format!(
            "after all servers restarted, {key:?} has {got:?}, but it had {expected:?} before. Some entries were applied \
             again, with another result: they are in a snapshot and also after the snapshot's index in the log. A snapshot \
             must hold the state as of its last included index (§7), so read the state and the index under one lock, or in the \
             applying thread"
        ));
    }
}
