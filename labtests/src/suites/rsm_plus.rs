//! 4A+: a replicated state machine, when two leaders do the same.

use super::kv::{joined, spawn};
use super::rsm::{Count, Counters};
use super::rsm_4a::{check_all_end, check_answer};
use super::{reliable, service, tests};
use crate::checks::ELECTION_TIMEOUT;
use labrpc::run;

tests! { "4A+", Rsm:
    rsm_first_of_two_leaders = "FirstOfTwoLeaders", service(reliable(3), None);
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
