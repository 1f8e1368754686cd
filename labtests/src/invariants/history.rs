//! Every entry that any server was seen to have, and which entries are committed.
//!
//! An index and a term identify an entry, because only one leader of that term can have created it. The last entry of a log
//! identifies the whole log (§5.3, the Log Matching Property). So entries form a tree, and a log is a path in that tree.

use crate::reading::{Place, Sent, command_of};
use labrpc::api::Command;
use labrpc::describe::Value;
use std::collections::BTreeMap;
use std::fmt;

/// See the [module](self).
pub struct History {
    /// Whether the contents of entries are compared.
    contents: bool,
    entries: BTreeMap<Place, Entry>,
    /// The terms of the committed entries, from index 1 on.
    committed: Vec<u64>,
}

#[derive(Default)]
struct Entry {
    /// The term of the entry before it, once that is known.
    before: Option<u64>,
    /// The contents that an AppendEntries carried.
    carried: Option<Carried>,
    /// The command for which `start()` returned this place.
    started: Option<Command>,
}

impl History {
    /// An empty history. `contents`: all messages have the same contents for an entry, so these are compared.
    pub fn new(contents: bool) -> History {
        History { contents, entries: BTreeMap::new(), committed: Vec::new() }
    }

    /// Forgets the entries up to this index. Only the terms of committed entries stay known.
    pub fn forget_up_to(&mut self, index: u64) {
        self.entries.retain(|place, _| place.index > index);
    }
}

/// What identifies the contents of an entry.
enum Carried {
    /// The entry's command. The rest of the entry may differ from message to message.
    Command(Vec<u8>),
    /// The whole entry, because it has no command, or several.
    Whole(Value),
}

impl Carried {
    fn of(value: &Value) -> Carried {
        match command_of(value) {
            Some(command) => Carried::Command(command.into_owned()),
            None => Carried::Whole(value.clone()),
        }
    }

    fn is(&self, value: &Value) -> bool {
        match self {
            Carried::Command(command) => command_of(value).as_deref() == Some(command),
            Carried::Whole(whole) => whole == value,
        }
    }
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Carried::Command(command) => {
                write!(f, "an entry with {}", Value::Bytes(command[..].into()))
            }
            Carried::Whole(whole) => whole.fmt(f),
        }
    }
}

impl Entry {
    fn is_carried(
        &mut self,
        place: Place,
        before: u64,
        value: Option<&Value>,
    ) -> Result<(), String> {
        match (&self.carried, value) {
            (_, None) => {}
            (None, Some(value)) => self.carried = Some(Carried::of(value)),
            (Some(known), Some(value)) if known.is(value) => {}
            (Some(known), Some(value)) => {
                return Err(format!(
                    "the entry at {place} is {value} in this message, but it was {known} in an earlier message"
                ));
            }
        }
        match self.before.replace(before) {
            Some(known) if known != before => Err(format!(
                "the entry before {place} is of term {before} in this message, but it was seen with term {known} earlier"
            )),
            _ => Ok(()),
        }
    }
}

const BEGINNING: Place = Place { term: 0, index: 0 };

impl History {
    /// An AppendEntries carries these entries, which follow the entry `prev`.
    ///
    /// # Errors
    /// An earlier message had a different entry at one of these places, or a different entry before one of them.
    pub fn carried(&mut self, Sent { prev, entries }: &Sent<'_>) -> Result<(), String> {
        // Most messages carry entries that others have carried. Those are neighbours in the map: one search finds them all.
        let mut before = prev.term;
        let mut known = self.entries.range_mut(..Place::default()); // an empty range: the first entry is searched for
        let mut new = Vec::new();
        for (index, (term, value)) in (prev.index + 1..).zip(entries) {
            let place = Place { index, term: *term };
            let entry = match known.next() {
                Some((at, entry)) if *at == place => Some(entry),
                _ => {
                    known = self.entries.range_mut(place..);
                    known.next().filter(|(at, _)| **at == place).map(|(_, entry)| entry)
                }
            };
            let value = Some(*value).filter(|_| self.contents);
            match entry {
                Some(entry) => entry.is_carried(place, before, value)?,
                None => new.push((place, before, value)),
            }
            before = *term;
        }
        for (place, before, value) in new {
            self.entries.entry(place).or_default().is_carried(place, before, value)?;
        }
        Ok(())
    }

    /// `start()` returned this place for a command. The entry before it is of term `before`, if that is known.
    ///
    /// # Errors
    /// `start()` had already returned this place for a command.
    pub fn started(
        &mut self,
        place: Place,
        before: Option<u64>,
        command: &Command,
    ) -> Result<(), String> {
        let entry = self.entries.entry(place).or_default();
        entry.before = entry.before.or(before);
        match entry.started.replace(command.clone()) {
            None => Ok(()),
            Some(_) => Err(format!("start() returned {place} for two commands")),
        }
    }

    /// The command for which `start()` returned this place, if any.
    pub fn command(&self, place: Place) -> Option<&Command> {
        self.entries.get(&place)?.started.as_ref()
    }

    /// The term at `index` in the log that ends with `last`, or 0 if that log is shorter; `None` if no message has shown that
    /// term.
    pub fn term_at(&self, last: Place, index: u64) -> Option<u64> {
        if index == 0 || index > last.index {
            return Some(0);
        }
        let mut at = last;
        while at.index > index {
            if self.committed_term(at.index) == Some(at.term) {
                return self.committed_term(index);
            }
            let term = if at.index == 1 { 0 } else { self.entries.get(&at)?.before? };
            at = Place { term, index: at.index - 1 };
        }
        Some(at.term)
    }

    /// The entries from `last` back to the one after `index`, as far as messages have shown them.
    pub fn back_to(&self, last: Place, index: u64) -> impl Iterator<Item = Place> {
        let before = move |at: &Place| {
            let term = self.entries.get(at)?.before?;
            Some(Place { term, index: at.index - 1 })
        };
        let back = std::iter::successors(Some(last), before);
        back.take_while(move |place| place.index > index)
    }

    /// Whether the log that ends with `last` has the entry at `place`.
    pub fn holds(&self, last: Place, place: Place) -> Option<bool> {
        Some(self.term_at(last, place.index)? == place.term)
    }

    /// The last entry that two logs have in common; index 0 if that is unknown.
    pub fn common(&self, a: Place, b: Place) -> Place {
        let mut index = a.index.min(b.index);
        while index > 0 {
            match (self.term_at(a, index), self.term_at(b, index)) {
                (Some(ours), Some(theirs)) if ours == theirs => return Place { term: ours, index },
                (Some(_), Some(_)) => index -= 1,
                _ => return BEGINNING,
            }
        }
        BEGINNING
    }

    /// The term of the committed entry at `index`.
    pub fn committed_term(&self, index: u64) -> Option<u64> {
        if index == 0 {
            return Some(0);
        }
        self.committed.get(index as usize - 1).copied()
    }

    /// The last entry that is known to be committed.
    pub fn last_committed(&self) -> Place {
        let index = self.committed.len() as u64;
        Place { term: self.committed_term(index).unwrap_or(0), index }
    }

    /// The log that ends with `last` is committed, as far as messages have shown it.
    ///
    /// # Errors
    /// It contradicts an entry that is committed already: the index, the committed term, and the term in this log.
    pub fn commit(&mut self, last: Place) -> Result<(), (u64, u64, u64)> {
        let known = self.committed.len() as u64;
        let joint = known.min(last.index);
        match (self.term_at(last, joint), self.committed_term(joint)) {
            (Some(here), Some(there)) if here != there => return Err((joint, there, here)),
            (None, _) => return Ok(()),
            _ => {}
        }
        let terms: Option<Vec<u64>> =
            (known + 1..=last.index).map(|index| self.term_at(last, index)).collect();
        self.committed.extend(terms.unwrap_or_default());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(index: u64, term: u64) -> Place {
        Place { term, index }
    }

    impl History {
        /// A message with one entry, which is just a number.
        fn carry(&mut self, place: Place, before: u64, number: u64) -> Result<(), String> {
            let prev = Place { term: before, index: place.index - 1 };
            let value = Value::Unsigned(number);
            self.carried(&Sent { prev, entries: vec![(place.term, &value)] })
        }
    }

    /// Two logs, with the terms 1 1 2 and 1 1 3 3.
    fn history() -> History {
        let mut history = History::new(true);
        for (at, before) in
            [((1, 1), 0), ((2, 1), 1), ((3, 2), 1), ((3, 3), 1), ((4, 3), 3)].map(|(p, b)| (p, b))
        {
            history.carry(place(at.0, at.1), before, at.0).unwrap();
        }
        history
    }

    #[test]
    fn a_log_is_known_by_its_last_entry() {
        let history = history();
        assert_eq!(history.term_at(place(4, 3), 2), Some(1));
        assert_eq!(history.term_at(place(4, 3), 5), Some(0), "beyond its end");
        assert_eq!(history.holds(place(4, 3), place(3, 2)), Some(false));
        assert_eq!(history.holds(place(9, 9), place(3, 2)), None, "never seen");
        assert_eq!(history.common(place(3, 2), place(4, 3)), place(2, 1));
    }

    #[test]
    fn another_entry_at_a_place_or_before_it_is_found() {
        let mut history = history();
        assert!(history.carry(place(4, 3), 3, 5).is_err());
        assert!(history.carry(place(4, 3), 2, 4).is_err());
        history.started(place(4, 3), Some(3), &Command::from(vec![4])).unwrap();
        assert!(history.started(place(4, 3), Some(3), &Command::from(vec![4])).is_err());
    }

    /// A message has entries of two terms. Some of them are known, and the map has other entries between them.
    #[test]
    fn each_entry_of_a_message_is_held_against_its_own_place() {
        let values: Vec<_> = (1..=5).map(Value::Unsigned).collect();
        let sent = |terms: [u64; 5]| Sent {
            prev: place(0, 0),
            entries: terms.into_iter().zip(&values).collect(),
        };
        let mut history = history();
        history.carried(&sent([1, 1, 3, 3, 3])).unwrap();
        assert_eq!(history.term_at(place(5, 3), 4), Some(3));
        history.carried(&sent([1, 1, 2, 2, 3])).expect_err("index 5 of term 3 follows term 3");
        history.carried(&sent([1, 1, 2, 2, 2])).unwrap();
        assert_eq!(history.term_at(place(5, 2), 4), Some(2));
    }

    #[test]
    fn what_is_committed_once_is_committed_for_ever() {
        let mut history = history();
        history.commit(place(3, 2)).unwrap();
        assert_eq!(history.last_committed(), place(3, 2));
        history.commit(place(2, 1)).unwrap();
        assert_eq!(history.commit(place(4, 3)), Err((3, 2, 3)));
    }
}
