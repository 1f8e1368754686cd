//! 4A+: a replicated state machine, when two leaders use the same index, and when servers make snapshots under high load.

use crate::cluster::name;
use crate::counters::{Count, Counters};
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::services::deposed::deposed_while_it_waits;
use crate::suites::services::kv::{MAX_RAFT_STATE, crash_all, hesitant_threads};
use crate::suites::services::rsm_4a::{check_all_end, check_answer};
use crate::suites::worlds::setups::{reliable, service};
use crate::suites::worlds::threads::{joined, spawn};
use labrpc::api::Refused;
use labrpc::run;

tests! { "4A+", Rsm:
    rsm_two_leaders_use_the_same_index = "FirstOfTwoLeaders", service(reliable(3), None);
    rsm_entry_is_committed_by_next_leader = "EntryOutlivesItsLeader", service(reliable(3), None);
    rsm_entry_arrives_in_a_snapshot = "SnapshotCoversTheEntry",
        service(reliable(3), Some(MAX_RAFT_STATE));
    rsm_snapshots_under_load = "SnapshotsUnderLoad", service(reliable(3), Some(MAX_RAFT_STATE));
}

/// Lets two leaders accept their first operation, both at the same index. Only one of these is committed, and its result must
/// not be the answer to the other (§5.3: an entry is identified by index and term).
fn rsm_two_leaders_use_the_same_index(counters: &Counters) {
    let old = counters.check_one_leader();
    counters.disconnect(old);
    let of_old = counters.clone();
    let lost = [spawn("counts down", move || of_old.submit(old, Count::Down))];
    let new = counters.check_one_leader();
    let Ok(answer) = counters.submit(new, Count::Up) else {
        return; // with real threads, the new leader may have been deposed already
    };
    counters.reached_check();
    check_answer(answer, 1);
    counters.connect_all();
    check_all_end(
        &lost,
        2 * ELECTION_TIMEOUT,
        "the old leader was reconnected. The entry of the new leader replaces the entry \
                                                of this call, so the call must end",
    );
    for thread in lost {
        if let Ok(answer) = joined(thread) {
            run::fail(format!(
                "submit(Down) was answered with {answer}, which is the answer to another leader's operation. An entry is \
                 identified by its index and its term together (§5.3). An index alone does not identify an entry, and neither \
                 does a number that all servers count up in the same way"
            ));
        }
    }
    counters.check_counters(1, 3);
}

/// Deposes a leader that has accepted an operation, which the next leader then carries out. The old leader must not answer that
/// the operation will not be carried out (§5.4.2).
fn rsm_entry_is_committed_by_next_leader(counters: &Counters) {
    outlives_its_leader(counters, true, 1);
}

/// Does the same, but the old leader learns everything at once from a snapshot that includes the operation (§7).
fn rsm_entry_arrives_in_a_snapshot(counters: &Counters) {
    outlives_its_leader(counters, false, 200);
}

/// Deposes S0 while it waits for an operation. The next leader carries out this operation and `more` others.
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
    check_all_end(
        &asked,
        2 * ELECTION_TIMEOUT,
        "S0 was reconnected to a new leader. S0 now learns what was committed, so each \
                                                 call must end",
    );
    if carried_out {
        counters.reached_check();
    }
    for result in asked.into_iter().map(joined) {
        match result {
            Ok(answer) => check_answer(answer, 1),
            Err(refused @ (Refused::NotLeader { .. } | Refused::Busy)) if carried_out => {
                run::fail(format!(
                    "submit(Up) on S0 ended with {refused:?}, which says that the operation is not and will not be carried out. \
                     But the next leader had the operation in its log and carried it out (§5.4.2). A deposed leader can't know \
                     this, so the right error is Refused::Deposed"
                ))
            }
            Err(_) => {}
        }
    }
}

/// Submits many operations at once, so that servers always have more to apply while they make snapshots. After a restart every
/// server must have counted as far as before. Counting is not idempotent, so no entry may be in a snapshot and also after the
/// snapshot's index (§7).
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
        counters.sleep(ELECTION_TIMEOUT); // the followers learn that it is committed
        check_counted_as_before(counters, before, answer);
    }
    counters.reached_check();
}

/// Fails the test unless all servers have counted as far as before the restart. `answer` is what the leader has answered, and
/// must be the same number.
#[track_caller]
fn check_counted_as_before(counters: &Counters, before: u64, answer: u64) {
    let all = (0..counters.n()).map(|i| (name(i).to_string(), counters.counted(i)));
    let wrong = all.chain([("the leader".to_string(), answer)]).find(|(_, now)| *now != before);
    if let Some((who, now)) = wrong {
        let why = if now > before {
            "It has carried out some operations twice: they are in its snapshot and also after the snapshot's index in its \
             log. A snapshot must hold the state as of its last included index, so read the state and the index under one \
             lock, or in the applying thread"
        } else {
            "It has lost some operations that were carried out. A snapshot must hold the state as of its last included index, \
             and the log must hold the entries after that index"
        };
        run::fail(format!(
            "{who} had counted to {before}, but its count is {now} after all servers restarted. {why} (§7). State \
             Machine Safety (Figure 3) rests on this rule"
        ));
    }
}
