//! What a failure is about, as its message names it: servers, log indices, terms.

use regex_lite::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The servers, indices and terms that a message names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concerns {
    /// Servers.
    pub servers: BTreeSet<usize>,
    /// Log indices.
    pub indices: BTreeSet<u64>,
    /// Terms.
    pub terms: BTreeSet<u64>,
}

/// No message is about more indices than this: a longer range stands for "all of them".
const RANGE: u64 = 16;

static SERVER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bS(\d{1,4})\b"));
static INDEX: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(?:index|indices|entry|entries) (\d+)(?: to (?:index )?(\d+))?"));
static TERM: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bterms? (\d+)"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is well-formed")
}

impl Concerns {
    /// Reads a message, for a run of this number of servers.
    pub fn of(message: &str, servers: usize) -> Concerns {
        let numbers = |pattern: &Regex| -> BTreeSet<u64> {
            pattern.captures_iter(message).filter_map(|found| found[1].parse().ok()).collect()
        };
        let known = numbers(&SERVER).into_iter().filter_map(|i| usize::try_from(i).ok());
        let ranges = INDEX.captures_iter(message).filter_map(|found| {
            let first: u64 = found[1].parse().ok()?;
            let last = found.get(2).and_then(|last| last.as_str().parse().ok()).unwrap_or(first);
            (last >= first && last - first <= RANGE).then_some(first..=last)
        });
        Concerns {
            servers: known.filter(|i| *i < servers).collect(),
            indices: ranges.flatten().filter(|index| *index > 0).collect(),
            terms: numbers(&TERM),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_what_it_is_about() {
        let message = "S1 applied index 5 of term 3, but S4 and S9 have indices 2 to 4 of another term 2 (§5.4)";
        let concerns = Concerns::of(message, 5);
        assert_eq!(concerns.servers, BTreeSet::from([1, 4]), "there is no S9");
        assert_eq!(concerns.indices, BTreeSet::from([2, 3, 4, 5]));
        assert_eq!(concerns.terms, BTreeSet::from([2, 3]));
        assert_eq!(Concerns::of("out of time after 120 s", 3), Concerns::default());
    }
}
