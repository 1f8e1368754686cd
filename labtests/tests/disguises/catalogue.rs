//! All changes of a Raft's messages: each alone, and random combinations.

use super::change::Change;
use labrpc::describe::Value;
use labtests::reading::{Leg, Reading, Spoken};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One message: its method, whether it is a reply, and its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    method: &'static str,
    reply: bool,
    fields: &'static [&'static str],
}

/// The messages of a Raft.
pub struct Catalogue {
    messages: Vec<Message>,
    /// Changes that only fit this Raft.
    meanings: Vec<(Message, Vec<Change>)>,
}

/// Several changes of the messages, made together.
#[derive(Clone)]
pub struct Variant {
    /// The number of the variant.
    pub number: usize,
    changes: Vec<(Message, Change)>,
    /// The index at which each server's log begins.
    bases: Arc<Mutex<BTreeMap<String, u64>>>,
    /// How the messages are read before any disguise. What is learnt about a disguise is learnt once.
    pub reading: Reading,
}

const fn call(method: &'static str, fields: &'static [&'static str]) -> Message {
    Message { method, reply: false, fields }
}

const fn reply(method: &'static str, fields: &'static [&'static str]) -> Message {
    Message { method, reply: true, fields }
}

const VOTE: &str = "Raft.RequestVote";
const APPEND: &str = "Raft.AppendEntries";
const INSTALL: &str = "Raft.InstallSnapshot";
const ASK: Message = call(VOTE, &["term", "candidate_id", "last_log_index", "last_log_term"]);
const GRANT: Message = reply(VOTE, &["term", "vote_granted"]);
const SEND: Message = call(
    APPEND,
    &["term", "leader_id", "prev_log_index", "prev_log_term", "entries", "leader_commit"],
);
const SHIP: Message =
    call(INSTALL, &["term", "leader_id", "last_included_index", "last_included_term", "data"]);

/// Names that the lab doesn't know, names that other people use, and names that mean something else.
const NAMES: [&str; 14] = [
    "zz",
    "granted",
    "ok",
    "x",
    "candidate_term",
    "vote",
    "next_index",
    "commit_index",
    "log_index",
    "last_include_index",
    "is_vote",
    "pre_log_index",
    "t",
    "succ",
];

impl Catalogue {
    /// The messages of the example `go_shape`.
    pub fn of_go_shape() -> Catalogue {
        let accept = reply(APPEND, &["term", "success", "x_term", "x_index", "x_len"]);
        let installed = reply(INSTALL, &["term"]);
        let state = call("state", &["current_term", "voted_for", "last_included_index", "log"]);
        let snapshot = call(
            "state with a snapshot",
            &["current_term", "voted_for", "last_included_index", "log"],
        );
        let messages = vec![ASK, GRANT, SEND, accept, SHIP, installed, state, snapshot];
        let mut meanings = meanings(accept, installed);
        meanings.push((accept, vec![Change::Is("term", "x_term")]));
        meanings.push((state, vec![Change::CountFromOne("voted_for")]));
        meanings.push((state, vec![Change::Wrapped("voted_for")]));
        meanings.push((state, vec![Change::Signed("voted_for"), Change::Signed("current_term")]));
        meanings.push((state, vec![Change::Is("current_term", "last_included_index")]));
        meanings.push((accept, vec![Change::YesWith("success", "x_term")]));
        meanings.push((SEND, vec![Change::Vary("acks")]));
        Catalogue { messages, meanings }
    }

    /// The messages of the reference.
    pub fn of_the_reference() -> Catalogue {
        let accept = reply(APPEND, &["term", "success", "conflict"]);
        let installed = reply(INSTALL, &["term", "success", "received"]);
        let record = call("record", &["current_term", "voted_for", "prev_log_index", "entries"]);
        let state = call("state with a snapshot", &["current_term", "voted_for", "log"]);
        let messages = vec![ASK, GRANT, SEND, accept, SHIP, installed, record, state];
        let mut meanings = meanings(accept, installed);
        meanings.push((accept, vec![Change::Is("term", "conflict.term")]));
        meanings.push((accept, vec![Change::Drop("term"), Change::NestAll("zz")]));
        meanings.push((SHIP, vec![Change::Rename("done", "zz")]));
        meanings.push((SHIP, vec![Change::Drop("done")]));
        meanings.push((installed, vec![Change::Is("term", "received")]));
        meanings.push((record, vec![Change::CountFromOne("voted_for")]));
        meanings.push((record, vec![Change::Signed("voted_for")]));
        meanings.push((accept, vec![Change::YesWith("success", "conflict")]));
        meanings.push((SEND, vec![Change::Vary("acks")]));
        Catalogue { messages, meanings }
    }

    /// The variant, the test and the seed under which the lab once wrongly accused `go_shape`.
    pub fn once_accused_go_shape() -> (Variant, &'static str, u64) {
        let changes = vec![(SHIP, Change::Rename("data", "is_vote"))];
        (Variant::new(0, changes), "candidate_follows_leader_that_sends_a_snapshot", 21)
    }

    /// The variants and the tests in which the lab once wrongly accused the reference.
    pub fn once_accused() -> Vec<(Variant, &'static str)> {
        let accept = reply(APPEND, &[]);
        let installed = reply(INSTALL, &[]);
        let state = call("state with a snapshot", &[]);
        let cases = [
            (vec![(accept, Change::Invert("success"))], "reordered_append_entries"),
            (
                vec![(ASK, Change::Add("last_log_index", -1))],
                "stale_install_snapshot_does_not_reset_election_timer",
            ),
            (vec![(accept, Change::YesWith("success", "conflict"))], "rejoin"),
            (
                vec![(installed, Change::Add("term", 1))],
                "install_response_with_newer_term_deposes_leader",
            ),
            (
                vec![(installed, Change::Is("term", "received"))],
                "snapshot_is_applied_without_later_entries",
            ),
            (
                vec![
                    (SEND, Change::Rename("prev_log_term", "next_index")),
                    (installed, Change::Add("term", 1)),
                ],
                "snapshot_basic",
            ),
            (
                vec![
                    (ASK, Change::Add("last_log_index", 1)),
                    (SEND, Change::Rename("prev_log_index", "x")),
                    (SEND, Change::Rename("term", "pre_log_index")),
                ],
                "basic_agree",
            ),
            (
                vec![
                    (state, Change::Rename("voted_for", "vote")),
                    (state, Change::Rename("current_term", "commit_index")),
                ],
                "snapshot_install",
            ),
            (
                vec![
                    (ASK, Change::Rename("last_log_index", "zz")),
                    (ASK, Change::Rename("last_log_term", "pre_log_index")),
                ],
                "snapshots_with_paused_threads",
            ),
            (
                vec![
                    (ASK, Change::Rename("last_log_index", "zz")),
                    (ASK, Change::Rename("last_log_term", "pre_log_index")),
                    (SEND, Change::Rename("term", "ok")),
                ],
                "refusals_of_earlier_leadership_do_not_count",
            ),
            (
                vec![(SEND, Change::Drop("term")), (accept, Change::Invert("success"))],
                "refused_heartbeats_repair_the_log",
            ),
            (
                vec![
                    (ASK, Change::Rename("term", "zz")),
                    (SHIP, Change::Rename("term", "zz")),
                    (SHIP, Change::Rename("last_included_term", "candidate_term")),
                ],
                "duplicated_install_snapshots",
            ),
            (
                vec![
                    (SHIP, Change::Rename("term", "zz")),
                    (SHIP, Change::Rename("last_included_index", "candidate_term")),
                ],
                "candidate_follows_leader_that_sends_a_snapshot",
            ),
        ];
        let variant = |(number, (changes, test))| (Variant::new(number, changes), test);
        cases.into_iter().enumerate().map(variant).collect()
    }

    /// This many variants: first each change alone, then several at random.
    pub fn variants(&self, count: usize) -> Vec<Variant> {
        let single = self.single();
        let mut dice = Dice(7);
        let mut mixed = || {
            let changes = 2 + dice.below(4);
            (0..changes).flat_map(|_| single[dice.below(single.len())].clone()).collect()
        };
        let all: Vec<Vec<_>> = match count.checked_sub(single.len()) {
            Some(more) => single.iter().cloned().chain((0..more).map(|_| mixed())).collect(),
            // Only a few: some of each kind.
            None => (0..count).map(|n| single[n * single.len() / count].clone()).collect(),
        };
        let variants = all.into_iter().enumerate();
        variants.map(|(number, changes)| Variant::new(number, changes)).collect()
    }

    /// Each change alone.
    fn single(&self) -> Vec<Vec<(Message, Change)>> {
        let mut all = Vec::new();
        for message in &self.messages {
            let whole = [
                Change::Reverse,
                Change::Tuple,
                Change::NestAll("zz"),
                Change::NestAll("args"),
                Change::Variant("Ask"),
                Change::Variant("PreVote"),
                Change::TupleVariant("Ask"),
            ];
            all.extend(whole.map(|change| vec![(*message, change)]));
            for field in message.fields {
                let names = NAMES.map(|name| Change::Rename(field, name));
                let moved =
                    [Change::Drop(field), Change::Nest(field, "zz"), Change::Nest(field, "header")];
                all.extend(names.into_iter().chain(moved).map(|change| vec![(*message, change)]));
            }
        }
        for method in [VOTE, APPEND, INSTALL] {
            for name in
                ["Raft.Ask", "Raft.Handle", "Raft.PreAppend", "Raft.Heartbeat", "Raft.Snapshot"]
            {
                let both = self.messages.iter().filter(|message| message.method == method);
                all.push(both.map(|message| (*message, Change::Method(name))).collect());
            }
        }
        let of = |(message, changes): &(Message, Vec<Change>)| {
            changes.iter().map(|change| (*message, change.clone())).collect()
        };
        all.extend(self.meanings.iter().map(of));
        all.push(self.everywhere("term", "zz"));
        all.push(self.everywhere("term", "leader_term"));
        all
    }

    /// Gives the field this name in all messages.
    fn everywhere(&self, field: &'static str, name: &'static str) -> Vec<(Message, Change)> {
        self.messages.iter().map(|message| (*message, Change::Rename(field, name))).collect()
    }
}

/// Known names with another meaning.
fn meanings(accept: Message, installed: Message) -> Vec<(Message, Vec<Change>)> {
    vec![
        (GRANT, vec![Change::Invert("vote_granted")]),
        (GRANT, vec![Change::Number("vote_granted"), Change::Rename("vote_granted", "vote")]),
        (GRANT, vec![Change::Is("term", "vote_granted")]),
        (accept, vec![Change::Invert("success")]),
        (accept, vec![Change::Number("success")]),
        (accept, vec![Change::Signed("term")]),
        (installed, vec![Change::Add("term", 1)]),
        (ASK, vec![Change::Add("last_log_index", 1)]),
        (ASK, vec![Change::Add("last_log_index", -1)]),
        (ASK, vec![Change::MinusOne("last_log_index")]),
        (ASK, vec![Change::Wrapped("last_log_index")]),
        (ASK, vec![Change::Signed("last_log_index"), Change::Signed("term")]),
        (SHIP, vec![Change::Add("last_included_index", 1)]),
        (SHIP, vec![Change::MinusOne("last_included_index")]),
        (SHIP, vec![Change::Wrapped("last_included_index")]),
        (SEND, vec![Change::Add("leader_commit", 1)]),
        (SEND, vec![Change::MinusOne("leader_commit")]),
        (SEND, vec![Change::MinusOne("prev_log_index")]),
        (SEND, vec![Change::Wrapped("prev_log_index")]),
        (SEND, vec![Change::Wrapped("prev_log_index"), Change::Wrapped("leader_commit")]),
        (SEND, vec![Change::Add("prev_log_index", 1)]),
        (SEND, vec![Change::Add("prev_log_index", -1)]),
        (SEND, vec![Change::Relative(&["prev_log_index", "leader_commit"])]),
        (SEND, vec![Change::Relative(&["prev_log_index"])]),
        (SEND, vec![Change::RenameInEntries("term", "t")]),
        (SEND, vec![Change::RenameInEntries("term", "log_term")]),
        (SEND, vec![Change::TupleEntries]),
        (SEND, vec![Change::Is("term", "prev_log_term")]),
        (SEND, vec![Change::Is("prev_log_term", "term")]),
        (SEND, vec![Change::Is("leader_commit", "prev_log_index")]),
        (ASK, vec![Change::Is("term", "last_log_term")]),
        (ASK, vec![Change::Rename("term", "zz"), Change::Rename("last_log_term", "term")]),
        (SEND, vec![Change::Rename("term", "zz"), Change::Rename("prev_log_term", "term")]),
    ]
}

impl Variant {
    fn new(number: usize, changes: Vec<(Message, Change)>) -> Variant {
        Variant { number, changes, bases: Arc::default(), reading: Reading::default() }
    }

    /// The same variant for another run, whose logs may begin elsewhere.
    pub fn anew(&self) -> Variant {
        Variant { bases: Arc::default(), ..self.clone() }
    }

    /// The message in this disguise.
    pub fn of(&self, spoken: &Spoken<'_>) -> Option<(String, Value)> {
        let server = spoken.who.split(['-', '.']).next().unwrap_or_default();
        if spoken.leg == Leg::Saved
            && let Some(base) = spoken.value.field("last_included_index").and_then(Value::as_u64)
        {
            self.bases.lock().insert(server.to_string(), base);
        }
        let reply = spoken.leg == Leg::Reply;
        // The method of a reply is the method of its call, even if the disguise changes its name.
        let of_this = |message: &Message| message.method == spoken.method && message.reply == reply;
        let mut changes = self.changes.iter().filter(|(message, _)| of_this(message)).peekable();
        changes.peek()?;
        let base = self.bases.lock().get(server).copied().unwrap_or(0);
        let mut method = spoken.method.to_string();
        let value = changes.fold(spoken.value.clone(), |value, (_, change)| {
            change.apply(&mut method, value, base)
        });
        Some((method, value))
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "variant {}:", self.number)?;
        for (message, change) in &self.changes {
            let leg = if message.reply { "'s reply" } else { "" };
            write!(f, " [{}{leg}: {change:?}]", message.method)?;
        }
        Ok(())
    }
}

/// Random numbers that are always the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}
