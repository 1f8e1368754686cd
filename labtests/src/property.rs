//! The property that a failure breaks, as its message names it.

use labrpc::run::{Failure, FailureKind};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What must hold of a Raft, or of a service on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Property {
    /// "At most one leader can be elected in a given term."
    ElectionSafety,
    /// "A leader never overwrites or deletes entries in its log; it only appends new entries."
    LeaderAppendOnly,
    /// "If two logs contain an entry with the same index and term, then the logs are identical in all entries up through the given
    /// index."
    LogMatching,
    /// "If a log entry is committed in a given term, then that entry will be present in the logs of the leaders for all
    /// higher-numbered terms."
    LeaderCompleteness,
    /// "If a server has applied a log entry at a given index to its state machine, no other server will ever apply a different log
    /// entry for the same index."
    StateMachineSafety,
    /// Each operation of a store takes effect once, at one moment between its call and its return.
    Linearizability,
    /// A majority that hears each other elects a leader, and commits commands.
    Progress,
}

impl Property {
    const SAFETY: [Property; 5] = [
        Property::ElectionSafety,
        Property::LeaderAppendOnly,
        Property::LogMatching,
        Property::LeaderCompleteness,
        Property::StateMachineSafety,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Property::ElectionSafety => "Election Safety",
            Property::LeaderAppendOnly => "Leader Append-Only",
            Property::LogMatching => "Log Matching",
            Property::LeaderCompleteness => "Leader Completeness",
            Property::StateMachineSafety => "State Machine Safety",
            Property::Linearizability => "Linearizability",
            Property::Progress => "Progress",
        }
    }

    /// Where the paper explains it.
    pub fn source(self) -> &'static str {
        match self {
            Property::ElectionSafety => "Figure 3, §5.2",
            Property::LeaderAppendOnly | Property::LogMatching => "Figure 3, §5.3",
            Property::LeaderCompleteness => "Figure 3, §5.4",
            Property::StateMachineSafety => "Figure 3, §5.4.3",
            Property::Linearizability => "§8",
            Property::Progress => "§5.2, §5.3, §5.6",
        }
    }

    /// The property that a failure breaks. `None`: it breaks a bound of the lab, or its message names no property.
    pub fn of(failure: &Failure) -> Option<Property> {
        // A deadlock is a mistake of locking, and its message says which.
        let waits = matches!(failure.kind, FailureKind::TimeLimit | FailureKind::Stuck);
        Property::named(&failure.message).or(waits.then_some(Property::Progress))
    }

    /// The property that a message names first.
    fn named(message: &str) -> Option<Property> {
        let first = |property: &Property| message.find(property.name());
        let safety = Property::SAFETY.into_iter().filter(|property| first(property).is_some());
        let has = |words: &[&str]| words.iter().any(|words| message.contains(words));
        safety.min_by_key(|property| first(property)).or_else(|| {
            if has(&["linearizab", "exactly once", "no order of these operations", "stale read"]) {
                Some(Property::Linearizability)
            } else if has(&["no leader among", "servers applied command"]) {
                Some(Property::Progress)
            } else {
                None
            }
        })
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.source())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_property_named_first_counts() {
        let named = |message| Property::named(message);
        let both = "This breaks Log Matching (Figure 3, §5.3). Leader Completeness rests on it";
        assert_eq!(named(both), Some(Property::LogMatching));
        assert_eq!(
            named("S0 returned read index 1: a stale read"),
            Some(Property::Linearizability)
        );
        assert_eq!(named("no leader among 3 connected servers"), Some(Property::Progress));
        assert_eq!(named("it took 42 calls"), None);
    }
}
