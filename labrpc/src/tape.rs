//! Tapes: the random choices of a simulation, as a list that can be edited.
//!
//! A seed decides every choice of a run, but it can't be changed a little. A [`Tape`] has the same choices one by one: what the
//! network drew, what the tester drew, the numbers of the code under test, and the freedom of the scheduler.
//! [`Run::record`](crate::run::Run::record) records a run, and [`Run::tape`](crate::run::Run::tape) does a run from a tape. The
//! tape of a run that nobody has edited gives the same run.
//!
//! # An edited tape
//!
//! An edit should change one thing and leave the rest as it was. Two properties see to that:
//!
//! - A draw finds its number by a *key*: who draws it, and for what. `net S0->S1 Raft.RequestVote request lost` is a list of its
//!   own. So a message more or less on one link moves no number of another link.
//! - The tape is divided into *parts*, which the tester marks with [`Stream::part`](crate::rand::Stream::part): a round of a
//!   storm, a batch of commands, a fault. Every part has its own lists. If a part is removed from the tape, the run leaves it
//!   out, and the next part begins with its own numbers.
//!
//! A number that does not fit the range of its draw becomes the nearest number of the range. A draw whose list is at its end gets:
//!
//! | draw | without a number on the tape |
//! |---|---|
//! | network: a chance (a loss, a duplicate, a late reply) | no |
//! | network: a delay | the shortest |
//! | network: the time after which a call to an unreachable server ends | any, from the tape's seed |
//! | tester: a part, an option | it is left out |
//! | tester: other draws | any, from the tape's seed |
//! | code under test: random numbers | any, from the tape's seed |
//! | scheduler | the thread that has waited longest is next; a thread yields only after 1,000 yield points; no thread pauses |
//!
//! If the tape is [noisy](Tape::noisy), the network and the scheduler draw as in a run without a tape.
//!
//! So whatever an edit does, every draw stays within its range: a correct program is correct on every tape.

mod deck;

pub(crate) use deck::{Deck, Or};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The random choices of a run. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tape {
    /// The seed of the numbers that are not on the tape.
    pub seed: u64,
    /// Whether the network and the scheduler draw what is not on the tape, as in a run without a tape. Otherwise they are quiet, as
    /// in the table above. A recorded tape has all numbers, so it is quiet.
    #[serde(default)]
    pub noisy: bool,
    /// The parts, in the order in which they began. The first one is the whole run, at depth 0. The parts inside a part follow
    /// it, one deeper.
    pub parts: Vec<Part>,
}

/// A part of a run, with the numbers that were drawn in it, but not in the parts inside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// In how many other parts it is.
    pub depth: usize,
    /// What the tester calls it.
    pub label: String,
    /// The numbers, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub draws: BTreeMap<String, Vec<u64>>,
}

/// The keys of draws begin with one of these words.
pub mod source {
    /// The network: delays and losses.
    pub const NETWORK: &str = "net";
    /// The tester.
    pub const TESTER: &str = "tester";
    /// What the tester may leave out: 1 if it is done, 0 if not. See [`Stream::optional`](crate::rand::Stream::optional).
    pub const OPTION: &str = "option";
    /// The random numbers of the code under test, by the server that draws them.
    pub const USER: &str = "user";
    /// The scheduler: which thread is next, where a thread yields, and where it pauses.
    pub const SCHEDULER: &str = "sched";
}

impl Tape {
    /// Checks that the parts form a tree.
    ///
    /// # Errors
    /// They don't. The text says where.
    pub fn check(&self) -> Result<(), String> {
        let mut before = None;
        for (number, Part { depth, label, .. }) in self.parts.iter().enumerate() {
            let fits = match before {
                None => *depth == 0,
                Some(before) => (1..=before + 1).contains(depth),
            };
            if !fits {
                return Err(format!("part {number} ({label:?}) can't have depth {depth}"));
            }
            before = Some(*depth);
        }
        before.map(|_| ()).ok_or_else(|| "it has no parts".into())
    }

    /// The part `number` and the parts inside it, as a range of numbers.
    pub fn with_inner(&self, number: usize) -> std::ops::Range<usize> {
        let depth = self.parts[number].depth;
        let inner = self.parts[number + 1..].iter().take_while(|part| part.depth > depth);
        number..number + 1 + inner.count()
    }

    /// How many numbers it has.
    pub fn len(&self) -> usize {
        self.parts.iter().flat_map(|part| part.draws.values()).map(Vec::len).sum()
    }

    /// Whether it has no numbers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
