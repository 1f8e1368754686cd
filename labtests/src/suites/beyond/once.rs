//! A 2025 store when requests arrive twice. The lab's contract rules that out (see [`labrpc::api::kv`]). A store that offers
//! more must be right even then: the answers `Version` and `NoKey` mean that nothing was done, and that nothing will be done.

use crate::clients::{VersionClient, Versions};
use crate::cluster::Setup;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::services::kv::{MAX_RAFT_STATE, late_copies};
use crate::suites::services::versioned::{check_read, clients, put};
use crate::suites::worlds::setups::{reliable, service, unreliable};
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::ms;
use crate::suites::worlds::threads::{joined, spawn};
use labrpc::api::kv::PutError;
use labrpc::network::{Fate, Leg, Letter};
use labrpc::run;
use labrpc::time::Instant;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

tests! { "once", Once:
    once_duplicate_is_answered_first = "CopyAnswersFirst", service(reliable(3), None);
    once_duplicate_reaches_a_deposed_leader = "CopyFindsADeposedLeader", service(reliable(3), None);
    once_duplicate_arrives_late = "CopyComesLate", service(reliable(3), None);
    once_under_faults = "OnceInTrouble", BAD;
    once_under_faults_with_many_keys = "OnceInTroubleManyKeys", BAD;
}

const BAD: Setup = service(unreliable(5), Some(MAX_RAFT_STATE));

/// How much later than a request its copy arrives, if both must reach the same leader.
const AT_ONCE: labrpc::time::Duration = ms(5);

/// Whether a message belongs to this client.
fn of(client: u64) -> impl Fn(&Letter) -> bool {
    let begin = format!("C{client}->");
    move |letter| letter.end.starts_with(&begin)
}

/// Fails the test if a put was refused. No other client writes the key, but the put's request may have been duplicated.
#[track_caller]
fn must_not_be_refused(result: Result<(), PutError>, why: &str) {
    if let Err(error @ (PutError::Version | PutError::NoKey)) = result {
        run::fail(format!(
            "a put was answered with {error:?}, which means that nothing was done. But the put was done, and no other client \
             writes this key: {why}. A server must recognise the copy of a request, for example by its client and number, and \
             must give the copy the same answer as the request (exactly once, thesis §6.3). Otherwise the clerk must answer \
             Maybe"
        ));
    }
}

/// Duplicates each request at once and delays the answer to the original, so that the answer to the copy comes first. The put
/// must not be answered with `Version` (exactly once, thesis §6.3).
fn once_duplicate_is_answered_first(versions: &Versions) {
    let mut client = versions.clerk();
    put(&mut client, "before", "", 0); // the client knows the leader now
    let stage = Stage::new(versions.cluster());
    let answered = AtomicU64::new(0);
    let is_first = move |call: u64| answered.swap(call, Relaxed) != call;
    let of_client = of(client.id);
    stage.direct_clients(move |letter| match letter.leg {
        _ if !of_client(letter) => Fate::Deliver,
        Leg::Request => Fate::Duplicate(AT_ONCE),
        Leg::Reply if is_first(letter.call) => Fate::Delay(ms(100)),
        Leg::Reply => Fate::Deliver,
    });
    for version in 0..10 {
        let value = version.to_string();
        let result = client.put("k", &value, version);
        must_not_be_refused(
            result,
            "the copy of its request found the version that the put had made, and the answer to the copy came first",
        );
        check_read(&mut client, "k", &value, version + 1);
    }
    versions.reached_check();
}

/// Lets S0 accept a put whose entry S2 gets, and deposes S0. Then the copy of the request reaches S0, and is answered first,
/// with "not the leader". S2 is elected and commits the put, so the client must not get the answer that nothing was done
/// (exactly once, thesis §6.3).
fn once_duplicate_reaches_a_deposed_leader(versions: &Versions) {
    let [s0, s1, s2] = [0, 1, 2];
    let mut client = versions.clerk();
    let stage = Stage::new(versions.cluster());
    stage.elect(s0, &[s1, s2]);
    put(&mut client, "before", "", 0);

    stage.caption("S1 hears no other server, and asks S0 for its vote; this request is held");
    let to_s2 = move |mail: &Mail| mail.from == s0 && mail.to == s2;
    let asks_s0 = move |mail: &Mail| mail.from == s1 && mail.to == s0 && mail.kind == Kind::Vote;
    stage.direct(move |mail| match () {
        () if to_s2(mail) => Fate::Deliver,
        () if asks_s0(mail) && mail.is_call() => Fate::Hold,
        () => Fate::Drop,
    });
    let from = Instant::now();
    stage.until(5 * ELECTION_TIMEOUT, || {
        !stage.mail(|mail| asks_s0(mail) && mail.at > from).is_empty()
    });

    stage.caption("S0 accepts the put, and S2 gets its entry; S2's answers are lost");
    stage
        .direct(move |mail| if to_s2(mail) && mail.is_call() { Fate::Deliver } else { Fate::Drop });
    let to_s0 = format!("C{}->S0", client.id);
    stage.direct_clients(move |letter| {
        let doubled = letter.end.as_ref() == to_s0 && letter.leg == Leg::Request;
        if doubled { Fate::Duplicate(ms(40)) } else { Fate::Deliver }
    });
    let from = Instant::now();
    let putting = spawn("put", move || client.put("k", "once", 0));
    let has = |mail: &Mail| to_s2(mail) && !mail.is_call() && mail.carries > 0 && mail.at > from;
    stage.until(ELECTION_TIMEOUT, || !stage.mail(has).is_empty());

    stage.caption("S0 hears that S1 is a candidate, and then the copy arrives");
    stage.release(asks_s0);
    versions.sleep(ms(100));
    stage.elect(s2, &[s1]);
    stage.all_pass();
    must_not_be_refused(
        joined(putting),
        "a leader accepted the put and was deposed, the copy of the request was answered with \"not the leader\", and the next \
         leader committed the put",
    );
    check_read(&mut versions.clerk(), "k", "once", 1);
    versions.reached_check();
}

/// Puts with a version that the key does not have yet, which is refused. The copy of the request arrives when the key has this
/// version, and must be refused, too (exactly once, thesis §6.3).
fn once_duplicate_arrives_late(versions: &Versions) {
    let (mut early, mut other) = (versions.clerk(), versions.clerk());
    put(&mut early, "before", "", 0);
    put(&mut other, "k", "first", 0);
    let stage = Stage::new(versions.cluster());
    let of_early = of(early.id);
    stage.direct_clients(move |letter| {
        let doubled = of_early(letter) && letter.leg == Leg::Request;
        if doubled { Fate::Duplicate(2 * ELECTION_TIMEOUT) } else { Fate::Deliver }
    });
    let refused = ["k", "new"].map(|key| early.put(key, "never", 1 + u64::from(key == "k")));
    put(&mut other, "k", "second", 1);
    put(&mut other, "new", "first", 0);
    versions.sleep(3 * ELECTION_TIMEOUT);
    for (result, (key, value, version)) in
        refused.into_iter().zip([("k", "second", 2), ("new", "first", 1)])
    {
        if matches!(result, Err(PutError::Version | PutError::NoKey)) {
            check_still_refused(&mut other, key, value, version);
        }
    }
    versions.reached_check();
}

#[track_caller]
fn check_still_refused(client: &mut VersionClient, key: &str, value: &str, version: u64) {
    let got = client.get(key);
    if got != Some((value.to_string(), version)) {
        run::fail(format!(
            "{key:?} has {got:?}, but it should have {value:?} with version {version}. A put with version {version} was refused \
             before the key had this version, and the copy of its request was carried out afterwards. The answer to the put was \
             that nothing was done, and this must stay true (exactly once, thesis §6.3)"
        ));
    }
}

/// Runs five clients on an unreliable network that duplicates requests, with crashes, partitions and snapshots.
fn once_under_faults(versions: &Versions) {
    late_copies(versions, || clients(5).partitions().crashes().run(versions));
    versions.reached_check();
}

/// Does the same with ten clients that write many keys.
fn once_under_faults_with_many_keys(versions: &Versions) {
    late_copies(versions, || clients(10).partitions().crashes().many_keys().run(versions));
    versions.reached_check();
}
