//! 4B+: what a store whose values have versions answers.

use super::deposed::deposed_while_it_waits;
use super::kv::{joined, spawn};
use super::versioned::{check_read, put};
use super::{reliable, service, tests};
use crate::clients::Versions;
use labrpc::api::kv::PutError;
use labrpc::run;

tests! { "4B+", Versioned:
    versioned_answers = "Answers", service(reliable(3), None);
    versioned_put_outlives_its_leader = "PutOutlivesItsLeader", service(reliable(3), None);
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
