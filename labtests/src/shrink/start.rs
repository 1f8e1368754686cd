//! Other runs with the same parts: where a search begins, and where it goes on when no edit helps.

use super::cuts::forget;
use super::search::Search;
use labrpc::tape::{Tape, source};

/// The numbers of servers that are tried, besides the test's own.
const SIZES: [usize; 3] = [2, 3, 5];

/// How many runs are tried at first with each number of servers. Every other run has a quiet network.
const TRIES: u64 = 20;

/// How many runs with other numbers are tried later with each smaller number of servers.
const FEWER: u64 = 4;

/// How many runs with other numbers are tried when no edit helps.
const OTHERS: u64 = 40;

impl Search<'_> {
    /// Looks for a run with fewer messages that fails in the same way and has the same parts, but fewer servers or other numbers.
    pub(super) fn begin_small(&mut self) {
        const NUMBERS: [&str; 4] =
            [source::NETWORK, source::TESTER, source::USER, source::SCHEDULER];
        let parts = self.tape().clone();
        for servers in self.smaller_sizes().into_iter().chain([self.size()]) {
            let mut found = false;
            for seed in 1..=TRIES {
                let mut tape = without(&parts, &NUMBERS);
                (tape.seed, tape.noisy) = (seed, seed % 2 == 1);
                found |= self.try_on(servers, &tape);
            }
            if found {
                return;
            }
        }
    }

    /// Tries the run on fewer servers: with the same numbers, and with others.
    pub(super) fn fewer_servers(&mut self) {
        for servers in self.smaller_sizes() {
            let tape = self.tape().clone();
            let other = |seed| Tape { seed, ..without(&tape, &[source::USER]) };
            let tapes = [tape.clone()].into_iter().chain((1..=FEWER).map(other));
            if tapes.into_iter().any(|tape| self.try_on(servers, &tape)) {
                return;
            }
        }
    }

    /// Tries other numbers of the code under test, for example for its election timeouts. Returns whether that helped.
    pub(super) fn other_numbers(&mut self) -> bool {
        let tape = without(self.tape(), &[source::USER]);
        (1..=OTHERS).any(|seed| self.try_out(&Tape { seed, ..tape.clone() }))
    }

    fn smaller_sizes(&self) -> Vec<usize> {
        let smaller = |size: &usize| *size < self.size() && self.fits_any_size();
        SIZES.into_iter().filter(smaller).collect()
    }
}

/// The tape without the numbers of these sources.
fn without(tape: &Tape, sources: &[&str]) -> Tape {
    let mut tape = tape.clone();
    let all = 0..tape.parts.len();
    sources.iter().for_each(|source| forget(&mut tape, all.clone(), source));
    tape
}
