//! What kind of call one is by its names: that of its method, and that of the struct or variant that it carries.

use super::vocabulary::plain;
use parking_lot::Mutex;
use std::sync::Arc;

/// What the names of a call say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Called {
    /// The words that RequestVote, AppendEntries and InstallSnapshot go by.
    pub vote: bool,
    /// See [`Called::vote`].
    pub append: bool,
    /// See [`Called::vote`].
    pub install: bool,
    /// A pre-vote (thesis §9.6), which asks in a term that may never be: it has the fields of RequestVote, and the word `pre`.
    pub pre_vote: bool,
    /// It answers one of the three, or asks for one: some Rafts reply by a call of their own, and some followers fetch.
    pub answer: bool,
    /// It is known, and carries nothing of what the three carry.
    pub harmless: bool,
}

/// What names of calls have in them that answer one of the three, or ask for one.
const ANSWERS: [&str; 10] = [
    "reply",
    "response",
    "resp",
    "result",
    "answer",
    "ack",
    "fetch",
    "pull",
    "need",
    "requestsnapshot",
];

impl Called {
    fn of(method: &str, title: &str) -> Called {
        let name = plain(method) + &plain(title);
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        Called {
            vote: has(&["vote"]),
            append: has(&["append", "entries", "heartbeat"]),
            install: has(&["snapshot", "install"]),
            pre_vote: says_pre(method) || says_pre(title),
            answer: says_answer(method) || says_answer(title),
            harmless: has(&["timeoutnow", "readindex"]),
        }
    }

    /// Whether the names say that it is another of the three calls, and not this one. Then a field means something else here, or the name does.
    pub fn is_otherwise(self, is_named_so: bool) -> bool {
        !is_named_so && (self.vote || self.append || self.install)
    }
}

/// `pre_vote`, `PreVote`, `prevote`, `PRE_VOTE`, but not `preempts`, nor `prev_log`.
pub(super) fn says_pre(name: &str) -> bool {
    words(name).split('_').any(|word| word == "pre" || word.starts_with("prevote"))
}

fn says_answer(name: &str) -> bool {
    let words = words(name);
    words.split('_').any(|word| ANSWERS.contains(&word)) || words.contains("request_snapshot")
}

/// A name in lower case, with `_` between its words.
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && words.ends_with(char::is_lowercase) {
            words.push('_');
        }
        words.push(letter);
    }
    words.to_ascii_lowercase()
}

/// The names that were met, of which a Raft has a few. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Met(Arc<Mutex<Vec<(String, String, Called)>>>);

impl Met {
    /// Of a method such as `Raft.RequestVote`, and the title of what it carries.
    pub fn called(&self, method: &str, title: &str) -> Called {
        let method = method.rsplit('.').next().unwrap_or(method);
        let mut met = self.0.lock();
        let known = met.iter().find(|(of, with, _)| of == method && with == title);
        let called = known.map(|(.., called)| *called);
        called.unwrap_or_else(|| {
            let called = Called::of(method, title);
            met.push((method.to_string(), title.to_string(), called));
            called
        })
    }
}
