//! Other runs with the same parts: where a search begins, and where it goes on when no edit helps.

use super::cuts::forget;
use super::search::Search;
use labrpc::tape::{Tape, source};

/// The numbers of servers that are tried, besides the test's own.
const SIZES: [usize; 3] = [2, 3, 5];

/// How many runs are tried at first with each number of servers. Every other run has a quiet network.
const TRIES: u64 = 30;

/// A run of a few rounds is repeated until it has this many, because it may take longer with other numbers.
const ROUNDS: usize = 12;

/// How many runs with other numbers are tried later with each smaller number of servers.
const FEWER: u64 = 4;

/// How many runs with other numbers are tried when no edit helps.
const OTHERS: u64 = 40;

impl Search<'_> {
    /// Looks for a run with fewer messages that fails in the same way and has the same parts, but fewer servers or other numbers.
    pub(super) fn begin_small(&mut self) {
        const NUMBERS: [&str; 4] =
            [source::NETWORK, source::TESTER, source::USER, source::SCHEDULER];
        let parts = repeated(self.tape());
        for servers in self.smaller_sizes().into_iter().chain([self.size()]) {
            let mut found = false;
            for seed in 1..=TRIES {
                let mut tape = without(&parts, &NUMBERS);
                (tape.seed, tape.noisy) = (seed, seed % 2 == 1);
                found |= self.try_small(servers, &tape);
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

    /// Tries other numbers of the code under test, for example for its election timeouts, and in every other run also other numbers
    /// of the tester and the network. Returns whether that helped.
    pub(super) fn other_numbers(&mut self) -> bool {
        let some = without(self.tape(), &[source::USER]);
        let most = without(&some, &[source::TESTER, source::NETWORK]);
        (1..=OTHERS).any(|seed| {
            let noisy = seed % 4 == 1;
            let tape = if seed % 2 == 0 { some.clone() } else { most.clone() };
            self.try_out(&Tape { seed, noisy, ..tape })
        })
    }

    fn smaller_sizes(&self) -> Vec<usize> {
        let smaller = |size: &usize| *size < self.size() && self.fits_any_size();
        SIZES.into_iter().filter(smaller).collect()
    }
}

/// The tape with its parts repeated, until it has enough of them at the outside.
fn repeated(tape: &Tape) -> Tape {
    let outer = tape.parts.iter().filter(|part| part.depth == 1).count();
    let times = if outer == 0 { 1 } else { ROUNDS.div_ceil(outer) };
    let (whole, parts) = tape.parts.split_at(1);
    let repeated = parts.iter().cycle().take(parts.len() * times);
    Tape { parts: whole.iter().chain(repeated).cloned().collect(), ..tape.clone() }
}

/// The tape without the numbers of these sources.
fn without(tape: &Tape, sources: &[&str]) -> Tape {
    let mut tape = tape.clone();
    let all = 0..tape.parts.len();
    sources.iter().for_each(|source| forget(&mut tape, all.clone(), source));
    tape
}
