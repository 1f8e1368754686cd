//! 4A+: a replicated state machine, when two leaders do the same.

use super::deposed::deposed_while_it_waits;
use super::kv::{MAX_RAFT_STATE, joined, spawn};
use super::rsm::{Count, Counters};
use super::rsm_4a::{check_all_end, check_answer};
use super::{reliable, service, tests};
use crate::checks::ELECTION_TIMEOUT;
use labrpc::api::Refused;
use labrpc::run;

tests! { "4A+", Rsm:
    rsm_first_of_two_leaders = "FirstOfTwoLeaders", service(reliable(3), None);
    rsm_entry_outlives_its_leader = "EntryOutlivesItsLeader", service(reliable(3), None);
    rsm_snapshot_covers_the_entry = "SnapshotCoversTheEntry",
        service(reliable(3), Some(MAX_RAFT_STATE));
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
