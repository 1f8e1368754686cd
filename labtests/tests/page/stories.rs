//! Data for pages: a small story in which everything occurs once, and stories of any size. Neither comes from a run, so the tests
//! of the page don't depend on any Raft.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Writes a story as the page has it: texts are numbers in a table.
#[derive(Default)]
pub struct Writer {
    strings: Vec<String>,
    known: BTreeMap<String, usize>,
    pub events: Vec<Value>,
    pub histories: Vec<Value>,
    at: f64,
}

impl Writer {
    fn number(&mut self, text: &str) -> usize {
        if let Some(&number) = self.known.get(text) {
            return number;
        }
        self.strings.push(text.to_string());
        self.known.insert(text.to_string(), self.strings.len() - 1);
        self.strings.len() - 1
    }

    /// Adds an event, `later` ms after the one before it, and returns its number.
    pub fn add(&mut self, later: f64, mut event: Value) -> u64 {
        self.at += later;
        event["at"] = json!((self.at * 1e6).round() / 1e6);
        for key in ["text", "detail", "why", "method"] {
            if let Some(text) = event[key].as_str().map(String::from) {
                event[key] = json!(self.number(&text));
            }
        }
        // Asking for a missing key has added it as null.
        let event: Map<_, _> = match event {
            Value::Object(event) => {
                event.into_iter().filter(|(_, value)| !value.is_null()).collect()
            }
            _ => unreachable!("an event is an object"),
        };
        self.events.push(Value::Object(event));
        self.events.len() as u64 - 1
    }

    /// Adds an event of a message.
    pub fn message(&mut self, later: f64, what: &str, message: &Message, more: Value) -> u64 {
        let Message { kind, from, to, call, term } = *message;
        let server = if what == "arrived" || what == "answered" { to } else { from };
        let method = match kind {
            "vote" => "Raft.RequestVote",
            _ => "Raft.AppendEntries",
        };
        let mut event = json!({"kind": kind, "what": what, "server": server, "from": from, "to": to,
            "call": call, "term": term, "method": method, "text": format!("{kind} #{call} {what}")});
        for (key, value) in more.as_object().into_iter().flatten() {
            event[key] = value.clone();
        }
        self.add(later, event)
    }

    /// The story as JSON. `failure` is the number of an event.
    pub fn json(self, servers: u64, failure: Option<u64>) -> String {
        let failure = failure.map(|event| {
            json!({"message": "two leaders in term 1 (§5.2, Election Safety)\n  S0 and S2 lead\n\nagain: raftlab replay 7 backup",
                "at_ms": self.events[event as usize]["at"], "event": event, "servers": [0, 2], "indices": [1], "terms": [1]})
        });
        let head = json!({"schema": "raftlab-story/1", "part": "2B", "test": "backup", "seed": 7,
            "world": "simulated", "servers": servers, "end_ms": self.at, "passed": failure.is_none(),
            "replay": "raftlab replay 7 backup", "failure": failure});
        json!({"head": head, "strings": self.strings, "events": self.events, "histories": self.histories})
            .to_string()
    }
}

/// The facts that all events of a message share.
pub struct Message {
    pub kind: &'static str,
    pub from: u64,
    pub to: u64,
    pub call: u64,
    pub term: u64,
}

/// The command of the small story: markup, which the page must show as it is.
pub const MARKUP: &str = "<img src=x onerror=\"document.title='run'\"></script><b>bold</b>";

/// The numbers of events of the small story.
pub struct Small {
    pub json: String,
    /// The request for a vote that is answered: called, arrived, answered, returned.
    pub vote: [u64; 4],
    /// The request for a vote that is lost: called, and the moment at which it is known.
    pub lost: [u64; 2],
    /// The tester gives S0 the command with markup.
    pub command: u64,
    pub commit: u64,
    /// S0's log is replaced by a snapshot.
    pub snapshot: u64,
    pub crash: u64,
    pub failure: u64,
}

/// Three servers. S0 leads term 1. S1 crashes. What S2 has is never seen.
pub fn small() -> Small {
    let mut story = Writer::default();
    for server in 0..3 {
        let change = match server {
            2 => json!({"server": 2, "alive": true}),
            _ => {
                json!({"server": server, "alive": true, "connected": true, "role": "follower", "term": 0})
            }
        };
        story.add(0.001, json!({"kind": "fault", "what": "start", "server": server, "text": format!("S{server} starts"), "state": [change]}));
    }
    story.add(150.0, json!({"kind": "role", "what": "candidate", "server": 0, "term": 1, "text": "becomes a candidate in term 1",
        "state": [{"server": 0, "role": "candidate", "term": 1, "vote": 0}]}));
    let vote = |to, call| Message { kind: "vote", from: 0, to, call, term: 1 };
    let called = story.message(
        0.001,
        "called",
        &vote(1, 1),
        json!({"detail": "RequestVote { term: 1, candidate_id: 0 }"}),
    );
    let called_in_vain = story.message(0.001, "called", &vote(2, 2), json!({}));
    let arrived = story.message(0.5, "arrived", &vote(1, 1), json!({}));
    let answered = story.message(
        0.1,
        "answered",
        &vote(1, 1),
        json!({"state": [{"server": 1, "term": 1, "vote": 0}]}),
    );
    let returned = story.message(0.7, "returned", &vote(1, 1), json!({}));
    story.add(0.0, json!({"kind": "role", "what": "leader", "server": 0, "term": 1, "text": "wins term 1", "why": "2 of 3 votes",
        "state": [{"server": 0, "role": "leader"}]}));
    let command = story.add(2.0, json!({"kind": "tester", "what": "command", "server": 0, "term": 1, "first": 1, "last": 1,
        "text": format!("gives {MARKUP} to S0"), "state": [{"server": 0, "log": {"keep": 0, "add": [[1, MARKUP]]}}]}));
    story.add(0.0, json!({"kind": "save", "what": "saves", "server": 0, "term": 1, "first": 1, "last": 1, "text": "saves entry 1"}));
    let append = |to, call| Message { kind: "append", from: 0, to, call, term: 1 };
    let entry = || json!({"first": 1, "last": 1});
    story.message(0.001, "called", &append(1, 3), entry());
    story.message(0.001, "called", &append(2, 4), entry());
    story.message(
        0.001,
        "held",
        &append(2, 4),
        json!({"first": 1, "last": 1, "why": "a rule of the test holds it back"}),
    );
    // The network delivers call 3 twice.
    story.message(0.4, "arrived", &append(1, 3), entry());
    story.message(0.1, "answered", &append(1, 3), json!({"first": 1, "last": 1, "state": [{"server": 1, "log": {"keep": 0, "add": [[1, MARKUP]]}}]}));
    story.message(0.3, "arrived", &append(1, 3), entry());
    story.message(0.1, "answered", &append(1, 3), entry());
    story.message(0.2, "returned", &append(1, 3), entry());
    let commit = story.add(
        0.001,
        json!({"kind": "commit", "what": "commit", "server": 0, "term": 1, "first": 1, "last": 1,
        "text": "commits up to index 1", "state": [{"server": 0, "commit": 1}]}),
    );
    story.add(
        0.002,
        json!({"kind": "apply", "what": "applies", "server": 0, "term": 1, "first": 1, "last": 1,
        "text": "applies index 1", "state": [{"server": 0, "applied": 1}]}),
    );
    story.message(3.0, "arrived", &append(2, 4), entry());
    story.message(0.1, "answered", &append(2, 4), entry());
    story.message(1.0, "called", &append(2, 5), json!({}));
    story.message(0.001, "held", &append(2, 5), json!({"why": "a rule of the test holds it back"}));
    for (later, what) in [(1.0, "called"), (0.5, "arrived"), (0.1, "answered"), (0.5, "returned")] {
        story.message(later, what, &append(1, 6), json!({"idle": true}));
    }
    story.add(
        1.0,
        json!({"kind": "fault", "what": "disconnect", "server": 1, "text": "S1 is disconnected",
        "state": [{"server": 1, "connected": false}]}),
    );
    let crash = story.add(
        1.0,
        json!({"kind": "fault", "what": "crash", "server": 1, "text": "S1 crashes",
        "state": [{"server": 1, "alive": false}]}),
    );
    let known_lost =
        story.message(0.5, "lost", &vote(2, 2), json!({"why": "it could not reach its receiver"}));
    story.add(0.1, json!({"kind": "fault", "what": "cut", "text": "partitions S0 from S1, S2"}));
    for (later, what) in [(0.5, "called"), (0.5, "arrived"), (0.1, "answered"), (0.5, "returned")] {
        let server = (what == "arrived" || what == "answered").then_some(0);
        story.add(later, json!({"kind": "client", "what": what, "server": server, "client": "C0", "to": 0, "call": 7,
            "method": "Kv.Get", "text": format!("Get(\"k\") {what}")}));
    }
    let snapshot = story.add(1.0, json!({"kind": "save", "what": "snapshot", "server": 0, "first": 1, "last": 1,
        "text": "saves a snapshot up to index 1", "state": [{"server": 0, "log": {"from": 1, "keep": 1, "add": [[1, "\"two\""]]}}]}));
    story.add(0.5, json!({"kind": "log", "what": "note", "server": 2, "text": "note: ÄÖ 中文"}));
    let failure = story.add(
        1.0,
        json!({"kind": "tester", "what": "check", "text": "finds two leaders in term 1"}),
    );
    story.add(2.0, json!({"kind": "tester", "what": "end", "text": "stops all servers"}));
    Small {
        json: story.json(3, Some(failure)),
        vote: [called, arrived, answered, returned],
        lost: [called_in_vain, known_lost],
        command,
        commit,
        snapshot,
        crash,
        failure,
    }
}

/// Numbers that look random and are the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `most`.
    pub fn below(&mut self, most: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// A story with about `events` events: five servers, entries and heartbeats, elections, messages that are lost.
pub fn large(events: usize) -> String {
    let (mut story, mut dice) = (Writer::default(), Dice(1));
    for server in 0..5 {
        story.add(0.001, json!({"kind": "fault", "what": "start", "server": server, "text": "starts",
            "state": [{"server": server, "alive": true, "connected": true, "role": "follower", "term": 0}]}));
    }
    let (mut term, mut leader, mut index, mut call) = (0, 0, 0, 0);
    while story.events.len() < events {
        if term == 0 || dice.below(60) == 0 {
            term += 1;
            let old = std::mem::replace(&mut leader, dice.below(5));
            elect(&mut story, &mut dice, (old, leader, term), &mut call);
        }
        index += 1;
        replicate(&mut story, &mut dice, (leader, term, index), &mut call);
        for _ in 0..dice.below(3) {
            heartbeat(&mut story, (leader, term), &mut call);
        }
        story.add(
            20.0 + dice.below(60) as f64,
            json!({"kind": "log", "what": "note", "server": leader, "text": "pauses"}),
        );
    }
    let failure = story.events.len() as u64 - 1;
    story.json(5, Some(failure))
}

fn elect(story: &mut Writer, dice: &mut Dice, (old, new, term): (u64, u64, u64), call: &mut u64) {
    story.add(180.0, json!({"kind": "role", "what": "candidate", "server": new, "term": term, "text": format!("becomes a candidate in term {term}"),
        "state": [{"server": new, "role": "candidate", "term": term, "vote": new}]}));
    for to in (0..5).filter(|to| *to != new) {
        *call += 1;
        let message = Message { kind: "vote", from: new, to, call: *call, term };
        let detail = json!({"detail": format!("RequestVote {{ term: {term}, candidate_id: {new}, last_log_index: {call} }}")});
        story.message(0.002, "called", &message, detail);
        if dice.below(5) == 0 {
            story.message(0.5, "lost", &message, json!({"why": "it could not reach its receiver"}));
            continue;
        }
        story.message(0.3, "arrived", &message, json!({}));
        story.message(
            0.1,
            "answered",
            &message,
            json!({"state": [{"server": to, "term": term, "vote": new, "role": "follower"}]}),
        );
        story.message(0.3, "returned", &message, json!({}));
    }
    let mut state = vec![json!({"server": new, "role": "leader"})];
    if old != new {
        state.push(json!({"server": old, "role": "follower", "term": term}));
    }
    story.add(0.001, json!({"kind": "role", "what": "leader", "server": new, "term": term, "text": format!("wins term {term}"), "state": state}));
}

fn replicate(
    story: &mut Writer,
    dice: &mut Dice,
    (leader, term, index): (u64, u64, u64),
    call: &mut u64,
) {
    let command = format!("\"{}\"", dice.below(1_000_000_000));
    let about = json!({"first": index, "last": index});
    let log =
        |server| json!({"server": server, "log": {"keep": index - 1, "add": [[term, command]]}});
    story.add(0.01, json!({"kind": "tester", "what": "command", "server": leader, "term": term, "first": index, "last": index,
        "text": format!("gives {command} to S{leader}"), "state": [log(leader)]}));
    for to in (0..5).filter(|to| *to != leader) {
        *call += 1;
        let message = Message { kind: "append", from: leader, to, call: *call, term };
        let detail = format!(
            "AppendEntries {{ term: {term}, leader_id: {leader}, prev_log_index: {}, prev_log_term: {term}, \
            entries: [Entry {{ term: {term}, payload: Command({command}) }}], leader_commit: {} }}",
            index - 1,
            index - 1
        );
        let mut called = about.clone();
        called["detail"] = json!(detail);
        story.message(0.002, "called", &message, called);
        story.message(0.2 + dice.below(100) as f64 / 100.0, "arrived", &message, about.clone());
        let mut saved = json!({"kind": "save", "what": "saves", "server": to, "term": term, "text": format!("saves entry {index}"), "state": [log(to)]});
        saved["first"] = json!(index);
        saved["last"] = json!(index);
        story.add(0.001, saved);
        story.message(0.001, "answered", &message, about.clone());
        story.message(0.3, "returned", &message, about.clone());
    }
    for server in 0..5 {
        story.add(0.002, json!({"kind": "apply", "what": "applies", "server": server, "term": term, "first": index, "last": index,
            "text": format!("applies {command} at index {index}"), "state": [{"server": server, "commit": index, "applied": index}]}));
    }
}

fn heartbeat(story: &mut Writer, (leader, term): (u64, u64), call: &mut u64) {
    for to in (0..5).filter(|to| *to != leader) {
        *call += 1;
        let message = Message { kind: "append", from: leader, to, call: *call, term };
        for (later, what) in
            [(5.0, "called"), (0.4, "arrived"), (0.01, "answered"), (0.4, "returned")]
        {
            story.message(later, what, &message, json!({"idle": true}));
        }
    }
}

/// Two histories without a run: on key "a", operation 2 fits nowhere and operation 4 never returned; key "b" is linearizable.
pub fn histories() -> String {
    let operation = |client: u64,
                     call: f64,
                     back: Option<f64>,
                     what: &str,
                     answer: &str,
                     order: Option<u64>| {
        json!({"name": format!("#{call}"), "client": client, "call": call, "return": back, "operation": what,
            "answer": answer, "order": order, "misfit": false})
    };
    let mut a = vec![
        operation(0, 0.0, Some(10.0), "Put(\"x\")", "Ok", Some(0)),
        operation(1, 5.0, Some(20.0), "Append(\"y\")", "Ok", Some(1)),
        operation(2, 22.0, Some(30.0), "Get", "\"x\"", None),
        operation(0, 12.0, Some(40.0), "Get", "\"xy\"", Some(2)),
        operation(1, 25.0, None, "Append(\"z\")", "", None),
    ];
    a[2]["misfit"] = json!(true);
    let b = vec![operation(0, 1.0, Some(2.0), "Put(\"1\")", "Ok", Some(0))];
    let text = "#22 reads \"x\", although #5 had appended \"y\" before it began.\nNo order of these operations explains this.";
    let mut story = Writer::default();
    story.histories = vec![
        json!({"key": "b", "verdict": "linearizable", "text": "", "operations": b}),
        json!({"key": "a", "verdict": "not linearizable", "text": text, "operations": a}),
    ];
    story.json(0, None).replace("\"passed\":true", "\"passed\":false")
}
