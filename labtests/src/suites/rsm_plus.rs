//! 4A+: a replicated state machine, when two leaders do the same.

use super::kv::{joined, spawn};
use super::rsm::{Count, Counters};
use super::{ms, reliable, service, tests};
use crate::checks::ELECTION_TIMEOUT;
use labrpc::run;

tests! { "4A+", Rsm:
    rsm_first_of_two_leaders = "FirstOfTwoLeaders", service(reliable(3), None);
}

/// Two leaders take their first operation, each at the same index. Only one is committed; the other's answer must not be its.
fn rsm_first_of_two_leaders(counters: &Counters) {
    let old = counters.check_one_leader();
    counters.partition(&[old]);
    let (taking, old_leader) = (counters.clone(), old);
    let lost = spawn("counts down", move || taking.submit(old_leader, Count::Down));
    counters.sleep(2 * ELECTION_TIMEOUT);
    let new = counters.check_one_leader();
    if counters.submit(new, Count::Up) != Ok(1) {
        return; // it has lost its leadership already, as it may
    }
    counters.connect_all();
    while !lost.is_finished() {
        counters.sleep(ms(10));
    }
    if let Ok(answer) = joined(lost) {
        run::fail(format!(
            "submit(Down) was answered with {answer}, which is another leader's answer: an index alone, or a number that every \
             server begins to count at the same, doesn't say whose entry it is"
        ));
    }
    counters.check_counters(1, 3);
}
