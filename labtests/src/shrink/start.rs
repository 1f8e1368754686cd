//! Other runs with the same parts: where a search begins, and where it goes on when no edit helps.

use super::cuts::forget;
use super::search::Search;
use labrpc::tape::{Tape, source};

/// The numbers of servers that are tried, besides the test's own.
const SIZES: [usize; 3] = [2, 3, 5];

/// How many runs are tried with each number of servers.
const TRIES: u64 = 12;

/// How many runs with other numbers are tried when no edit helps.
const OTHERS: u64 = 40;

impl Search<'_> {
    /// Looks for a run with fewer messages that fails in the same way and has the same parts, but fewer servers or other numbers.
    pub(super) fn begin_small(&mut self) {
        let own = self.own_size();
        let any_size = self.fits_any_size();
        let sizes = SIZES.into_iter().filter(|size| *size < own && any_size);
        let parts = self.tape().clone();
        for servers in sizes.chain([own]) {
            let mut found = false;
            for seed in 1..=TRIES {
                let mut tape = Tape { seed, ..parts.clone() };
                for source in [source::NETWORK, source::TESTER, source::USER, source::SCHEDULER] {
                    let all = 0..tape.parts.len();
                    forget(&mut tape, all, source);
                }
                found |= self.try_on(servers, &tape);
            }
            if found {
                return;
            }
        }
    }

    /// Tries other numbers of the code under test, for example for its election timeouts. Returns whether that helped.
    pub(super) fn other_numbers(&mut self) -> bool {
        (1..=OTHERS).any(|seed| {
            let mut tape = Tape { seed, ..self.tape().clone() };
            let all = 0..tape.parts.len();
            forget(&mut tape, all, source::USER);
            self.try_out(&tape)
        })
    }
}
