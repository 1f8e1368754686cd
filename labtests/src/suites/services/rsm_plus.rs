//! 4A+: a replicated state machine, when two leaders do the same, and when snapshots are made while there is much to do.

use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::name;
use crate::counters::{Count, Counters};
use crate::suites::lab_test::tests;
use crate::suites::services::deposed::deposed_while_it_waits;
use crate::suites::services::kv::{MAX_RAFT_STATE, crash_all, hesitant_threads};
use crate::suites::services::rsm_4a::{check_all_end, check_answer};
use crate::suites::worlds::setups::{reliable, service};
use crate::suites::worlds::threads::{joined, spawn};
use labrpc::api::Refused;
use labrpc::run;

tests! { "4A+", Rsm:
    rsm_first_of_two_leaders = "FirstOfTwoLeaders", service(reliable(3), None);
    rsm_entry_outlives_its_leader = "EntryOutlivesItsLeader", service(reliable(3), None);
    rsm_snapshot_covers_the_entry = "SnapshotCoversTheEntry",
        service(reliable(3), Some(MAX_RAFT_STATE));
    rsm_snapshots_under_load = "SnapshotsUnderLoad", service(reliable(3), Some(MAX_RAFT_STATE));
}

/// Two leaders take their first operation, each at the same index. Only one is committed, and its answer is not the other's.
fn rsm_first_of_two_leaders(counters: &Counters) {
    let old = counters.check_one_leader();
    counters.disconnect(old);
    let of_old = counters.clone();
    let lost = [spawn("counts down", move || of_old.submit(old, Count::Down))];
    let new = counters.check_one_leader();
    let Ok(answer) = counters.submit(new, Count::Up) else {
        return; // with real threads it may have lost its leadership again
    };
    counters.reached_check();
    check_answer(answer, 1);
    counters.connect_all();
    check_all_end(&lost, 2 * ELECTION_TIMEOUT, "another operation took the place of theirs");
    for thread in lost {
        if let Ok(answer) = joined(thread) {
            run::fail(format!(
                "submit(Down) was answered with {answer}, which is another leader's answer: neither an index, nor a number that all \
                 servers count up from the same, says whose entry it is"
            ));
        }
    }
    counters.check_counters(1, 3);
}

/// An operation is carried out by the next leader. Who asked the old one must not be told that it won't be.
fn rsm_entry_outlives_its_leader(counters: &Counters) {
    outlives_its_leader(counters, true, 1);
}

/// The same, where the old leader learns of it all at once, with a snapshot in which the operation is.
fn rsm_snapshot_covers_the_entry(counters: &Counters) {
    outlives_its_leader(counters, false, 200);
}

/// The next leader carries out so many more.
fn outlives_its_leader(counters: &Counters, in_time: bool, more: u64) {
    let mut asked = None;
    let asker = counters.clone();
    let stage = deposed_while_it_waits(counters, in_time, || {
        asked = Some(spawn("counts", move || asker.submit(0, Count::Up)));
    });
    let last = (0..more).fold(0, |_, _| counters.one_of(&[2], Count::Up));
    let carried_out = last > more;
    stage.all_pass();
    let asked: Vec<_> = asked.into_iter().collect();
    check_all_end(&asked, 2 * ELECTION_TIMEOUT, "their server learned that another one leads");
    if carried_out {
        counters.reached_check();
    }
    for result in asked.into_iter().map(joined) {
        match result {
            Ok(answer) => check_answer(answer, 1),
            Err(refused @ (Refused::NotLeader { .. } | Refused::Busy)) if carried_out => {
                run::fail(format!(
                    "submit(Up) on S0 ended with {refused:?}, which says that it is not and will not be carried out; but it was, by \
                     the next leader, whose log had it (§5.4.2). A leader that is deposed can't know: Refused::Deposed"
                ))
            }
            Err(_) => {}
        }
    }
}

/// Many count at once, so that there is always more to apply while a snapshot is made. After a restart every server has counted as far
/// as before: to count is not idempotent, so no entry may be both in a snapshot and behind its index.
fn rsm_snapshots_under_load(counters: &Counters) {
    const AT_ONCE: u64 = 20;
    const EACH: u64 = 5;
    for _ in 0..10 {
        hesitant_threads(counters, || {
            let counting = (0..AT_ONCE).map(|_| {
                let counters = counters.clone();
                spawn("counts", move || (0..EACH).for_each(|_| _ = counters.one(Count::Up)))
            });
            counting.collect::<Vec<_>>().into_iter().for_each(joined);
        });
        let before = counters.one(Count::Nothing);
        counters.check_counters(before, 3);
        crash_all(counters);
        let answer = counters.one(Count::Nothing);
        counters.sleep(ELECTION_TIMEOUT); // the others learn that it is committed
        check_counted_as_before(counters, before, answer);
    }
    counters.reached_check();
}

/// Fails the test unless who leads, which has answered, and all servers have counted as far as before they restarted.
#[track_caller]
fn check_counted_as_before(counters: &Counters, before: u64, answer: u64) {
    let all = (0..counters.n()).map(|i| (name(i).to_string(), counters.counted(i)));
    let wrong = all.chain([("the leader".to_string(), answer)]).find(|(_, now)| *now != before);
    if let Some((who, now)) = wrong {
        let why = if now > before {
            "It has carried out some operations twice. They are in its snapshot, and stand behind the snapshot's index in its log: a snapshot \
             holds the state as of its last included index, so both are to be read under one lock, or by the thread that applies"
        } else {
            "It has lost some operations that were carried out: a snapshot holds the state as of its last included index, and the rest is in \
             the log"
        };
        run::fail(format!(
            "{who} had counted to {before}, and to {now} after all servers restarted. {why} (§7)"
        ));
    }
}
