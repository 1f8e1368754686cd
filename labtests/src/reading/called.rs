//! Which kind of call it is, by its names: the name of the method, and the name of the struct or variant that it carries.

use super::vocabulary::plain;
use parking_lot::Mutex;
use std::sync::Arc;

/// What the names of a call say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Called {
    /// A name has a word for RequestVote.
    pub vote: bool,
    /// A name has a word for AppendEntries.
    pub append: bool,
    /// A name has a word for InstallSnapshot.
    pub install: bool,
    /// A pre-vote (thesis §9.6), which asks for a term that may never begin. It has the fields of RequestVote, and the word `pre`
    /// in its name.
    pub pre_vote: bool,
    /// It replies to one of the three calls, or asks for one: some Rafts send a reply as a separate call, and in some Rafts
    /// followers fetch entries.
    pub answer: bool,
    /// It is a known call that carries nothing of what the three calls carry.
    pub harmless: bool,
}

/// Words in the names of calls that reply to one of the three calls, or ask for one.
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

    /// Whether the names say that it is one of the other two calls, not this one. Then either a field or the name means something
    /// else here.
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

/// The names that have been seen so far. A Raft has only a few. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Met(Arc<Mutex<Vec<(String, String, Called)>>>);

impl Met {
    /// Looks up a method such as `Raft.RequestVote`, with the title of what it carries.
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
