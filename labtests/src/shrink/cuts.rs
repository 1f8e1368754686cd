//! The edits of a tape.

use super::search::Search;
use labrpc::tape::{Tape, source};

/// How many times as many messages a calmer run may have.
const CALMER: u64 = 2;

impl Search<'_> {
    /// Takes the choices of the scheduler off the tape, and then those of the network: what is left depends less on single steps.
    pub(super) fn calm_down(&mut self) {
        for source in [source::SCHEDULER, source::NETWORK] {
            let mut tape = self.tape().clone();
            let all = 0..tape.parts.len();
            forget(&mut tape, all, source);
            self.try_at_any_rate(&tape, CALMER);
        }
    }

    /// Leaves out single servers.
    pub(super) fn leave_out_servers(&mut self) {
        let taken = |tape: &Tape| {
            let mut places = places(tape, source::OPTION, |number| number > 0);
            places.retain(|place| place.part == 0);
            places
        };
        self.one_by_one(1, &taken, &|tape, chosen| {
            chosen.iter().for_each(|place| *place.number(tape) = 0);
        });
    }

    /// Leaves out parts: first the outer parts, and first many at once.
    pub(super) fn leave_out_parts(&mut self) {
        let mut depth = 1;
        while self.tape().parts.iter().any(|part| part.depth == depth) && !self.is_over() {
            let parts = |tape: &Tape| -> Vec<usize> {
                (0..tape.parts.len()).filter(|&i| tape.parts[i].depth == depth).collect()
            };
            self.by_chunks(parts, |tape, chosen| {
                for &number in chosen.iter().rev() {
                    let inner = tape.with_inner(number);
                    tape.parts.drain(inner);
                }
            });
            depth += 1;
        }
    }

    /// Leaves out what the tester may leave out.
    pub(super) fn leave_out_options(&mut self) {
        let taken = |tape: &Tape| places(tape, source::OPTION, |number| number > 0);
        self.by_chunks(taken, |tape, chosen| {
            chosen.iter().for_each(|place| *place.number(tape) = 0);
        });
    }

    /// Forgets the choices of the scheduler and the network, part by part.
    pub(super) fn leave_out_draws(&mut self) {
        for source in [source::SCHEDULER, source::NETWORK, source::USER] {
            let parts = |tape: &Tape| -> Vec<usize> {
                let has =
                    |i: &usize| tape.parts[*i].draws.keys().any(|key| key.starts_with(source));
                (0..tape.parts.len()).filter(has).collect()
            };
            self.by_chunks(parts, |tape, chosen| {
                chosen.iter().for_each(|&number| forget(tape, number..number + 1, source));
            });
        }
    }

    /// Lowers what the tester has drawn: to 0, which means the least possible number.
    pub(super) fn lower_draws(&mut self) {
        let above = |tape: &Tape| places(tape, source::TESTER, |number| number > 0);
        self.by_chunks(above, |tape, chosen| {
            chosen.iter().for_each(|place| *place.number(tape) = 0);
        });
    }

    /// Tries an edit for all of some things, for each half of them, each quarter, and so on, and at last for each of them.
    fn by_chunks<T: Clone>(
        &mut self,
        things: impl Fn(&Tape) -> Vec<T>,
        edit: impl Fn(&mut Tape, &[T]),
    ) {
        let mut size = things(self.tape()).len();
        while size > 0 {
            self.one_by_one(size, &things, &edit);
            size /= 2;
        }
    }

    /// Tries an edit for `size` things at a time.
    fn one_by_one<T: Clone>(
        &mut self,
        size: usize,
        things: &impl Fn(&Tape) -> Vec<T>,
        edit: &impl Fn(&mut Tape, &[T]),
    ) {
        let mut at = 0;
        loop {
            let all = things(self.tape());
            if at >= all.len() || self.is_over() {
                return;
            }
            let mut tape = self.tape().clone();
            edit(&mut tape, &all[at..all.len().min(at + size)]);
            // If the edit is kept, other things are at this place now.
            if !self.try_out(&tape) || things(self.tape()).len() >= all.len() {
                at += size;
            }
        }
    }
}

/// A number on a tape.
#[derive(Clone, Debug)]
struct Place {
    part: usize,
    key: String,
    at: usize,
}

impl Place {
    fn number<'a>(&self, tape: &'a mut Tape) -> &'a mut u64 {
        let list = tape.parts[self.part].draws.get_mut(&self.key);
        list.and_then(|list| list.get_mut(self.at)).expect("the place is of this tape")
    }
}

/// The numbers of one source that fulfil a condition.
fn places(tape: &Tape, source: &str, which: impl Fn(u64) -> bool) -> Vec<Place> {
    let mut places = Vec::new();
    for (part, it) in tape.parts.iter().enumerate() {
        for (key, list) in it.draws.iter().filter(|(key, _)| key.starts_with(source)) {
            let chosen = (0..list.len()).filter(|&at| which(list[at]));
            places.extend(chosen.map(|at| Place { part, key: key.clone(), at }));
        }
    }
    places
}

/// Takes the numbers of one source off some parts of the tape.
pub(super) fn forget(tape: &mut Tape, parts: std::ops::Range<usize>, source: &str) {
    tape.parts[parts].iter_mut().for_each(|part| {
        part.draws.retain(|key, _| !key.starts_with(source));
    });
}
