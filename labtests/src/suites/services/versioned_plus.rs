//! 4B+ and 4C+: what a store whose values have versions answers, when requests come late, and when snapshots are made while there is
//! much to do. No request comes twice: see [`labrpc::api::kv`].

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
    versioned_answers = "Answers", service(reliable(3), None);
    versioned_put_outlives_its_leader = "PutOutlivesItsLeader", service(reliable(3), None);
    versioned_overtaken_requests = "OvertakenRequests", service(reliable(5), None);
}

tests! { SNAPSHOTS = "4C+", Versioned:
    versioned_snapshots_under_load = "SnapshotsUnderLoad", service(reliable(3), Some(MAX_RAFT_STATE));
}

/// Every answer that there is. Clients otherwise put for versions that they have read, and never for one that is yet to come.
fn versioned_answers(versions: &Versions) {
    let (mut client, mut other) = (versions.clerk(), versions.clerk());
    if let Some(got) = client.get("k") {
        run::fail(format!("there is {got:?} at \"k\", and nobody has written it"));
    }
    check_answer(1, Err(PutError::NoKey), || client.put("k", "never", 1));
    put(&mut client, "k", "first", 0);
    put(&mut client, "k", "second", 1);
    for version in [0, 1, 3, u64::MAX] {
        check_answer(version, Err(PutError::Version), || client.put("k", "never", version));
        check_read(&mut other, "k", "second", 2);
    }
    // Who doesn't know the leader yet asks others first, but those do nothing.
    let mut keys = (0..).map(|n: u64| n.to_string());
    let mut new = || versions.clerk().put(&keys.next().expect("no end"), "new", 0);
    check_answer(0, Ok(()), &mut new);
    versions.reached_check();
}

/// Fails the test if a put for this version has another answer when nothing goes wrong. With real threads, a leader may be too
/// slow and be deposed; so "maybe" is asked again.
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
            "a put for version {version} is answered with {answer:?}, and should be with {expected:?}: nothing has gone wrong, so \
             nobody says \"maybe\" either"
        ));
    }
}

/// A put is done by the next leader, and its client was told by the old one that nobody knows. So it asks again, and
/// what it finds may be its own doing.
fn versioned_put_outlives_its_leader(versions: &Versions) {
    let mut client = versions.clerk();
    let mut putting = None;
    let stage = deposed_while_it_waits(versions, true, || {
        putting = Some(spawn("put", move || client.put("k", "once", 0)));
    });
    stage.all_pass();
    for result in putting.into_iter().map(joined) {
        if let Err(error @ (PutError::Version | PutError::NoKey)) = result {
            run::fail(format!(
                "a put of which nobody else knows is answered with {error:?}, \"nothing was done\": its first try was taken by a leader \
                 that was deposed, and carried out by the next one. Who asks again can't tell: Maybe"
            ));
        }
    }
    check_read(&mut versions.clerk(), "k", "once", 1);
    versions.reached_check();
}

/// Requests are late, and their clients may have asked again meanwhile. An earlier request may then be carried out at any time, so
/// "nothing was done" is certain only of a put that was asked for once.
fn versioned_overtaken_requests(versions: &Versions) {
    late_requests(versions, || clients(5).partitions().crashes().run(versions));
    versions.reached_check();
}

/// Many clients at once; each puts for a version that is yet to come, which is refused, and then for the one that is there. A snapshot
/// that holds more than its index says has the refused puts carried out again when their versions are there.
fn versioned_snapshots_under_load(versions: &Versions) {
    const PUTS: u64 = 5;
    let mut all: Vec<_> = (0..20).map(|_| (versions.clerk(), 0)).collect();
    all.iter_mut().for_each(|(client, _)| _ = client.get("k")); // they know the leader now
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

/// The key of a client, and nobody else's.
fn key_of(client: &VersionClient) -> String {
    format!("k{}", client.id)
}

/// A put for the version after this one, and then one for this. Whether it is certain what became of the first: if a leader is
/// deposed meanwhile, "maybe" is an answer, and that client has no part in the rest.
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
            "after all servers restarted, {key:?} holds {got:?}, and held {expected:?} before. Entries that were applied were applied again, \
             and another way: they are in a snapshot, and stand behind its index in the log. A snapshot holds the state as of its last \
             included index (§7), so both are to be read under one lock, or by the thread that applies"
        ));
    }
}
