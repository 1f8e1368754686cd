//! What is certain about logs.

use super::evidence::Tally;
use super::{Call, Study};
use crate::reading::{Fact, Logs, Part, Place, Reply, Sent, Word};
use labrpc::api::{Command, Started};
use labrpc::describe::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

const PLACES: Fact = (Part::Append, Word::PrevLogIndex);
pub(super) const SUCCESS: Fact = (Part::AppendReply, Word::Success);
pub(super) const COMMIT: Fact = (Part::Append, Word::LeaderCommit);
const SNAPSHOT: Fact = (Part::Install, Word::LastIncludedIndex);
/// The fact that an index means the same to the service and in messages.
pub const NUMBERING: Fact = (Part::Service, Word::PrevLogIndex);
/// The fact that an entry is the same in all messages.
pub const CONTENTS: Fact = (Part::Append, Word::Entries);

/// Where commands and entries were seen.
#[derive(Default)]
pub(super) struct Places {
    /// The places that `start()` returned, by command.
    started: BTreeMap<Vec<u8>, Vec<Place>>,
    /// The places at which messages carried a command, by command.
    carried: BTreeMap<Vec<u8>, BTreeSet<Place>>,
    /// The terms of the entries that leaders sent, by the leader's term and the entry's index.
    sent: BTreeMap<(u64, u64), u64>,
    /// The first index of a leader's own entries, by the leader's term.
    first_own: BTreeMap<u64, u64>,
    /// The highest index that a leader showed, by the leader's term.
    highest: BTreeMap<u64, u64>,
    /// Whether some message with entries, or about them, could not be read.
    unread: bool,
    /// The contents of the entries that leaders sent, by the leader's term and the entry's index.
    contents: BTreeMap<(u64, u64), Content>,
    /// The last AppendEntries that was answered, by sender and receiver: its term, prevLogIndex, last index and answer.
    answered: BTreeMap<(usize, usize), (u64, u64, u64, bool)>,
    /// The snapshot that was sent last, by sender and receiver: the leader's term, and the last entry that it covers.
    snapshots: BTreeMap<(usize, usize), (u64, Place)>,
    /// What leaders have said already. A message that is sent again is no new evidence.
    said: BTreeSet<Said>,
    /// The followers' answers to entries, by the leader's term: follower, prevLogIndex, last index, and whether it was a yes.
    answers: BTreeMap<u64, Vec<(usize, u64, u64, bool)>>,
    /// The entries that services were given.
    pub applied: BTreeSet<Place>,
    /// The last entry that each leader named when it was a candidate, by term.
    claims: BTreeMap<u64, Place>,
}

/// The contents of an entry.
enum Content {
    /// One command, and anything else.
    Command,
    Else(Value),
}

/// What one message of a leader says, with the leader's term.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Entries { term: u64, prev: Place, last: u64 },
    Snapshot { term: u64, last: Place },
}

impl Places {
    pub fn started(&mut self, Started { index, term }: Started, command: &Command) {
        self.started.entry(command.to_vec()).or_default().push(Place { index, term });
    }

    /// Finds places at which messages have two commands, although `start()` returned a different place for one of them. A bug may
    /// also send an entry at a wrong place. But then services differ, and that is certain.
    fn places_are_shared(&self, tallies: &mut BTreeMap<Fact, Tally>) {
        let mut at: BTreeMap<Place, &Vec<u8>> = BTreeMap::new();
        let elsewhere = |command: &Vec<u8>, place: &Place| {
            self.started.get(command).is_some_and(|starts| !starts.contains(place))
        };
        for (command, places) in &self.carried {
            for place in places {
                let Some(other) = at.insert(*place, command) else { continue };
                if elsewhere(command, place) || elsewhere(other, place) {
                    let tally = tallies.entry(PLACES).or_default();
                    tally.means_something_else = true;
                    let text = || {
                        format!(
                            "messages have two commands at {place}, but start() returned a different place for one of them"
                        )
                    };
                    tally.contradict(text);
                }
            }
        }
    }

    /// Adds the evidence of the run as a whole.
    pub fn conclude(&self, tallies: &mut BTreeMap<Fact, Tally>) {
        for (command, places) in &self.carried {
            let Some([started]) = self.started.get(command).map(Vec::as_slice) else { continue };
            let text = || {
                format!(
                    "start() returned {started} for a command, but messages have it at {}",
                    list(places)
                )
            };
            tally(tallies, NUMBERING, places.contains(started), text);
            let one_each = places.iter().map(|place| place.term).collect::<BTreeSet<_>>().len()
                == places.len();
            tally(tallies, PLACES, one_each, || {
                format!("messages have one command at {}", list(places))
            });
        }
        self.places_are_shared(tallies);
        // For an applied entry, more followers said yes than no.
        for Place { index, term } in &self.applied {
            let answers = self.answers.get(term).map(Vec::as_slice).unwrap_or_default();
            let about = answers.iter().filter(|(_, prev, last, _)| prev < index && index <= last);
            let said = |yes: bool| {
                about
                    .clone()
                    .filter(|answer| answer.3 == yes)
                    .map(|answer| answer.0)
                    .collect::<BTreeSet<_>>()
            };
            let (yes, no) = (said(true).len(), said(false).len());
            if yes != no {
                tally(tallies, SUCCESS, yes > no, || {
                    format!(
                        "index {index} of term {term} was applied, but {yes} followers said yes to it and {no} said no"
                    )
                });
            }
        }
        for (term, claim) in &self.claims {
            let Some(first) = self.first_own.get(term) else { continue };
            tally(tallies, (Part::Vote, Word::LastLogIndex), claim.index + 1 == *first, || {
                format!(
                    "the leader of term {term} was elected with a log that ended with {claim}, but its first own entry is at index {first}"
                )
            });
        }
    }
}

fn tally(
    tallies: &mut BTreeMap<Fact, Tally>,
    fact: Fact,
    agrees: bool,
    text: impl FnOnce() -> String,
) {
    let tally = tallies.entry(fact).or_default();
    if agrees { tally.agrees += 1 } else { tally.contradict(text) }
}

fn list(places: &BTreeSet<Place>) -> String {
    places.iter().map(Place::to_string).collect::<Vec<_>>().join(" and ")
}

/// The command in an entry: its only byte string.
pub fn command_of(entry: &Value) -> Option<Cow<'_, [u8]>> {
    let (mut found, mut count) = (None, 0);
    each_command(entry, &mut |command| {
        count += 1;
        found = Some(command);
    });
    found.filter(|_| count == 1)
}

fn each_command<'a>(value: &'a Value, found: &mut impl FnMut(Cow<'a, [u8]>)) {
    match value {
        Value::Bytes(bytes) => found(Cow::Borrowed(bytes)),
        Value::Tagged(_, inner) => each_command(inner, found),
        Value::Struct(_, fields) => {
            fields.iter().for_each(|(_, inner)| each_command(inner, found));
        }
        Value::List(items) => {
            let byte = |item: &Value| item.as_u64().and_then(|n| u8::try_from(n).ok());
            match items.iter().map(byte).collect::<Option<Vec<_>>>() {
                Some(bytes) if !bytes.is_empty() => found(Cow::Owned(bytes)),
                _ => items.iter().for_each(|item| each_command(item, found)),
            }
        }
        _ => {}
    }
}

impl Study {
    /// Returns prevLogIndex and the last index.
    pub(super) fn sends_entries(
        &mut self,
        from: usize,
        to: usize,
        term: Option<u64>,
        logs: &Logs<'_>,
        commit: Option<u64>,
    ) -> Option<(u64, u64)> {
        let (Some(term), Logs::Read(sent)) = (term, logs) else {
            self.logs.unread |= !matches!(logs, Logs::Silent);
            return None;
        };
        let last = sent.prev.index + sent.entries.len() as u64;
        if self.logs.said.insert(Said::Entries { term, prev: sent.prev, last }) {
            self.fits_in_itself(term, sent);
        }
        self.is_always_the_same(term, sent);
        self.follows_the_answer(from, to, term, sent.prev.index);
        if let Some(claim) = self.votes.candidacies.get(&(from, term)).copied().flatten() {
            self.logs.claims.insert(term, claim);
        }
        let claim = self.logs.claims.get(&term).map_or(0, |claim| claim.index);
        let highest = self.logs.highest.entry(term).or_insert(claim);
        *highest = last.max(*highest);
        let highest = *highest;
        if let Some(commit) = commit {
            self.is_no_other_index(sent.prev.index, commit);
            let applied = self.servers[from].applied;
            self.bears_out(COMMIT, (applied..=highest.max(applied)).contains(&commit), || {
                format!("S{from} names {commit}, but it has shown a log up to index {highest} and has applied up to index {applied}")
            });
        }
        Some((sent.prev.index, last))
    }

    /// A leader's commit index is the index of an entry. It is not always prevLogIndex, the last index that the leader assumes in
    /// the follower's log.
    fn is_no_other_index(&mut self, prev: u64, commit: u64) {
        let shown = self.logs.highest.values().max().copied().unwrap_or(0);
        if commit > shown && !self.logs.unread {
            self.means_something_else(COMMIT, || {
                format!("it was {commit} when no leader had shown an entry beyond index {shown}")
            });
        }
        let (same, differs) = &mut self.evidence.commit_is_prev;
        match prev == commit {
            true if prev > 0 => *same += 1,
            true => {}
            false => *differs += 1,
        }
    }

    /// A leader always sends an entry in the same form. Something beside the command that varies is not a part of the entry. Two
    /// different commands are a bug, so they are no evidence.
    fn is_always_the_same(&mut self, term: u64, Sent { prev, entries }: &Sent<'_>) {
        for (index, (_, value)) in (prev.index + 1..).zip(entries) {
            let is = |known: &Content| match known {
                Content::Command => command_of(value).is_some(),
                Content::Else(known) => known == *value,
            };
            let new = || match command_of(value) {
                Some(_) => Content::Command,
                None => Content::Else((*value).clone()),
            };
            if !is(self.logs.contents.entry((term, index)).or_insert_with(new)) {
                self.means_something_else(CONTENTS, || {
                    format!(
                        "the leader of term {term} sent the entry at index {index} in two forms"
                    )
                });
            }
        }
    }

    fn fits_in_itself(&mut self, term: u64, Sent { prev, entries }: &Sent<'_>) {
        if prev.index == 0 && prev.term > 0 {
            self.means_something_else(PLACES, || {
                format!("the entry at index 0 is of term {}", prev.term)
            });
        }
        if prev.index > 0 && prev.term == 0 {
            self.contradicts(PLACES, || {
                format!(
                    "the entry at index {} is of term 0, but no server leads term 0",
                    prev.index
                )
            });
        }
        if let Some(known) = self.logs.sent.get(&(term, prev.index)).copied() {
            self.bears_out(PLACES, known == prev.term, || {
                format!("the leader of term {term} sent an entry of term {known} at index {}, and then named {prev}", prev.index)
            });
        }
        let mut before = prev.term;
        for (index, (entry_term, value)) in (prev.index + 1..).zip(entries) {
            self.bears_out(PLACES, (before..=term).contains(entry_term), || {
                format!("the leader of term {term} sent an entry of term {entry_term} after an entry of term {before}")
            });
            before = *entry_term;
            self.logs.sent.insert((term, index), *entry_term);
            if *entry_term == term {
                let first = self.logs.first_own.entry(term).or_insert(index);
                *first = index.min(*first);
            }
            if let Some(command) = command_of(value) {
                let place = Place { index, term: *entry_term };
                self.logs.carried.entry(command.into_owned()).or_default().insert(place);
            }
        }
    }

    /// After a yes, a leader continues after the entries that it sent. After a no, it goes back.
    fn follows_the_answer(&mut self, from: usize, to: usize, term: u64, prev: u64) {
        let answered = self.logs.answered.remove(&(from, to));
        if let Some((_, at, last, yes)) = answered.filter(|(of, ..)| *of == term) {
            if prev >= last && at < last {
                self.bears_out(SUCCESS, yes, || {
                    format!("S{to} said no to entries up to index {last}, but S{from} continued after them")
                });
            } else if prev < at {
                let (no, after_yes) = &mut self.evidence.went_back;
                *(if yes { after_yes } else { no }) += 1;
                // A message that follows the same index again may have been sent before the answer came.
                if at < last {
                    self.bears_out(SUCCESS, !yes, || {
                        format!("S{to} said yes to entries up to index {last}, but S{from} then sent entries from index {} on again", prev + 1)
                    });
                }
            }
        }
        if let Some((of, snapshot)) = self.logs.snapshots.remove(&(from, to))
            && of == term
            && prev.abs_diff(snapshot.index) <= 1
        {
            self.bears_out(SNAPSHOT, prev == snapshot.index, || {
                format!("S{from} sent a snapshot up to index {}, but then the entries after index {prev}", snapshot.index)
            });
        }
    }

    pub(super) fn entries_answered(&mut self, call: Call, term: u64, reply: Reply) {
        let Some(yes) = reply.yes else { return };
        if let Some(names_a_conflict) = reply.yes_but {
            let (but, plain) = &mut self.evidence.yes_but;
            *(if names_a_conflict { but } else { plain }) += 1;
        }
        if reply.term.is_some_and(|newer| newer > term) {
            self.bears_out(SUCCESS, !yes, || {
                format!("S{} said yes to a leader of term {term}, but named a newer term in the same reply", call.to)
            });
        }
        if let Some((prev, last)) = call.range {
            self.logs.answered.insert((call.from, call.to), (term, prev, last, yes));
            self.logs.answers.entry(term).or_default().push((call.to, prev, last, yes));
        }
    }

    pub(super) fn sends_snapshot(
        &mut self,
        from: usize,
        to: usize,
        term: Option<u64>,
        last: Option<Place>,
    ) {
        let (Some(term), Some(last)) = (term, last) else { return };
        let is_new = self.logs.said.insert(Said::Snapshot { term, last });
        if is_new && !self.logs.carried.values().any(|places| places.contains(&last)) {
            self.contradicts(SNAPSHOT, || {
                format!("a snapshot ends at {last}, but no message had an entry there")
            });
        }
        self.logs.snapshots.insert((from, to), (term, last));
    }
}
