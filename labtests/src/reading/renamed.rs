//! Reads a Raft as if its fields had other names. This measures what the suites lose then.

use super::{Disguise, Leg, Spoken};
use labrpc::describe::Value;
use std::str::FromStr;
use std::sync::Arc;

/// Other names for fields: `success=agreed,RequestVoteReply.term=t,Entry.term=t`. A place may stand before the point: a method, for
/// its arguments; a method with `Reply` appended, for its reply; the kind of a saved value (`state`); or `Entry`, for the items of
/// any list.
///
/// ```
/// use labtests::reading::Renamed;
/// assert!("RequestVoteReply.vote_granted=granted,success=ok".parse::<Renamed>().is_ok());
/// assert!("success".parse::<Renamed>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Renamed(Vec<Rename>);

#[derive(Clone, Debug, PartialEq)]
struct Rename {
    /// The place where the name changes. Empty: everywhere.
    place: String,
    from: String,
    to: &'static str,
}

impl FromStr for Renamed {
    type Err = String;

    fn from_str(text: &str) -> Result<Renamed, String> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Renamed)
    }
}

impl FromStr for Rename {
    type Err = String;

    fn from_str(text: &str) -> Result<Rename, String> {
        let parts = text.trim().split_once('=');
        let (from, to) = parts
            .filter(|(from, to)| !from.is_empty() && !to.is_empty())
            .ok_or_else(|| format!("{text:?} is not a renaming. Write it like success=agreed"))?;
        let (place, from) = from.split_once('.').unwrap_or(("", from));
        // Names of fields are static. The leak is small: there are only a few names per process.
        let to = Box::leak(to.to_string().into_boxed_str());
        Ok(Rename { place: place.to_string(), from: from.to_string(), to })
    }
}

impl Renamed {
    /// For [`Reading::disguised`](super::Reading::disguised).
    pub fn disguise(self) -> Disguise {
        Arc::new(move |Spoken { method, leg, value, .. }| {
            let place = method.rsplit('.').next().unwrap_or(method);
            let place = if *leg == Leg::Reply { format!("{place}Reply") } else { place.into() };
            Some((method.to_string(), self.apply(&place, value)))
        })
    }

    fn apply(&self, place: &str, value: &Value) -> Value {
        match value {
            Value::Struct(title, fields) => {
                let field = |(name, value): &(&'static str, Value)| {
                    (self.name(place, name), self.apply(place, value))
                };
                Value::Struct(title, fields.iter().map(field).collect())
            }
            Value::Tagged(name, inner) => Value::Tagged(name, Box::new(self.apply(place, inner))),
            Value::List(items) => {
                Value::List(items.iter().map(|item| self.apply("Entry", item)).collect())
            }
            other => other.clone(),
        }
    }

    fn name(&self, place: &str, name: &'static str) -> &'static str {
        let is_of = |rename: &&Rename| rename.place.is_empty() || rename.place == place;
        let rename = self.0.iter().filter(is_of).find(|rename| rename.from == name);
        rename.map_or(name, |rename| rename.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_renamed_where_they_are_to_be() {
        let entry = Value::Struct("LogEntry", vec![("term", Value::Unsigned(1))]);
        let fields = vec![("term", Value::Unsigned(2)), ("entries", Value::List(vec![entry]))];
        let message = Value::Struct("Append", fields);
        let read = |renames: &str, leg| {
            let disguise = renames.parse::<Renamed>().unwrap().disguise();
            let spoken = Spoken { who: "S0", method: "Raft.AppendEntries", leg, value: &message };
            disguise(&spoken).unwrap().1.to_string()
        };
        for (renames, expected) in [
            ("Entry.term=t", "Append { term: 2, entries: [LogEntry { t: 1 }] }"),
            ("AppendEntries.term=t", "Append { t: 2, entries: [LogEntry { term: 1 }] }"),
            ("term=t,entries=logs", "Append { t: 2, logs: [LogEntry { t: 1 }] }"),
            ("AppendEntriesReply.term=t", "Append { term: 2, entries: [LogEntry { term: 1 }] }"),
        ] {
            assert_eq!(read(renames, Leg::Call), expected, "{renames}");
        }
        let reply = read("AppendEntriesReply.term=t", Leg::Reply);
        assert_eq!(reply, "Append { t: 2, entries: [LogEntry { term: 1 }] }");
    }

    #[test]
    fn what_is_no_renaming_is_refused() {
        for text in ["", "success", "=ok", "success=", "a=b,"] {
            let error = text.parse::<Renamed>().unwrap_err();
            assert!(error.contains("success=agreed"), "{text:?}: {error}");
        }
    }
}
