//! How well the words of messages agree with what is certain.

use super::logs;
use crate::reading::Fact;
use std::collections::{BTreeMap, BTreeSet};

/// The facts that are not believed, and why.
pub type Doubts = BTreeMap<Fact, String>;

/// How well the words of one run or of several runs agree with what is certain.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub(super) tallies: BTreeMap<Fact, Tally>,
    /// The facts that could be read in messages and saved values.
    pub read: BTreeSet<Fact>,
    /// How often leaderCommit was equal to a prevLogIndex above 0, and how often it was different.
    pub(super) commit_is_prev: (u64, u64),
    /// How often a leader went back to an earlier index after a no, and how often after a yes.
    pub(super) went_back: (u64, u64),
    /// How often a reply with a yes named a conflict of logs, and how often it did not.
    pub(super) yes_but: (u64, u64),
}

/// If leaders go back after a yes this often, it is no accident. A leader goes back after a yes by accident if an old refusal
/// arrives late.
const SEVERAL: u64 = 4;

impl Evidence {
    /// Adds the evidence of another run of the same Raft.
    pub fn add(&mut self, other: Evidence) {
        for (fact, theirs) in other.tallies {
            self.tallies.entry(fact).or_default().add(theirs);
        }
        self.read.extend(other.read);
        let add = |ours: &mut (u64, u64), theirs: (u64, u64)| {
            *ours = (ours.0 + theirs.0, ours.1 + theirs.1);
        };
        add(&mut self.commit_is_prev, other.commit_is_prev);
        add(&mut self.went_back, other.went_back);
        add(&mut self.yes_but, other.yes_but);
    }

    /// Those of these facts that this evidence gives no reason to believe, if there is no other evidence.
    pub fn is_silent_on(&self, facts: &BTreeSet<Fact>) -> Doubts {
        let agrees = |fact| self.tallies.get(fact).is_some_and(|tally| tally.agrees > 0);
        let silent = facts.iter().filter(|fact| !agrees(fact));
        let mut doubts: Doubts =
            silent.map(|fact| (*fact, "no fact that is certain confirms it".into())).collect();
        if let (same @ 1.., 0) = self.commit_is_prev {
            let text =
                format!("it was equal to prevLogIndex all {same} times, and never another index");
            doubts.insert(logs::COMMIT, text);
        }
        doubts
    }

    /// The facts that this evidence gives reason to doubt.
    pub fn doubts(&self) -> Doubts {
        let doubtful = self.tallies.iter().filter(|(_, tally)| tally.is_doubtful());
        let mut doubts: Doubts =
            doubtful.map(|(fact, tally)| (*fact, tally.clone().reason())).collect();
        let (no, yes) = self.went_back;
        if yes > no && yes >= SEVERAL {
            let text = format!(
                "leaders went back to an earlier index {yes} times after a yes, and only {no} times after a no"
            );
            doubts.entry(logs::SUCCESS).or_insert(text);
        }
        // If a Raft always fills the field, then the field means nothing.
        if let (but @ 1.., 1..) = self.yes_but {
            let text = format!(
                "{but} times a reply said yes and also named a conflict of the logs, as a refusal does"
            );
            doubts.entry(logs::SUCCESS).or_insert(text);
        }
        doubts
    }
}

/// How often a fact agreed with what is certain, and how often not.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub agrees: u64,
    contradicts: u64,
    /// A contradiction was seen that no bug would cause.
    pub means_something_else: bool,
    example: String,
}

impl Tally {
    fn is_doubtful(&self) -> bool {
        self.means_something_else || (self.contradicts > 0 && self.agrees < 2 * self.contradicts)
    }

    fn add(&mut self, other: Tally) {
        self.agrees += other.agrees;
        self.contradicts += other.contradicts;
        self.means_something_else |= other.means_something_else;
        if self.example.is_empty() {
            self.example = other.example;
        }
    }

    pub fn contradict(&mut self, example: impl FnOnce() -> String) {
        self.contradicts += 1;
        if self.example.is_empty() {
            self.example = example();
        }
    }

    fn reason(self) -> String {
        let Tally { agrees, contradicts, example, .. } = self;
        format!(
            "{} it contradicted facts that are certain, and {} it agreed with them. The first contradiction: {example}",
            times(contradicts),
            times(agrees)
        )
    }
}

fn times(count: u64) -> String {
    if count == 1 { "once".into() } else { format!("{count} times") }
}
