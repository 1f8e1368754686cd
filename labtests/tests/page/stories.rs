//! Data for pages: a small story in which everything occurs once, and stories of any size. Neither comes from a run, so the tests
//! of the page don't depend on any Raft.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const MESSAGE: &str = "two leaders in term 1 (§5.2, Election Safety)\n  S0 and S2 lead\n\n\
    again: raftlab replay 7 backup";

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

    /// Adds an event that changes what is known of servers.
    pub fn add_with(&mut self, later: f64, mut event: Value, state: Value) -> u64 {
        event["state"] = state;
        self.add(later, event)
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
        let fits = |history: &Value| history["verdict"] == "linearizable";
        let passed = failure.is_none() && self.histories.iter().all(fits);
        let failure = failure.map(|event| {
            json!({"message": MESSAGE, "at_ms": self.events[event as usize]["at"],
                "event": event, "servers": [0, 2], "indices": [1], "terms": [1]})
        });
        let head = json!({"schema": "raftlab-story/1", "part": "2B", "test": "backup", "seed": 7,
            "world": "simulated", "servers": servers, "end_ms": self.at, "passed": passed,
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
    let (vote, called_in_vain) = small_election(&mut story);
    let (command, commit) = small_agreement(&mut story);
    let (crash, known_lost) = small_faults(&mut story);
    let state = json!([{"server": 0, "log": {"from": 1, "keep": 1, "add": [[1, "\"two\""]]}}]);
    let snapshot = story.add(
        1.0,
        json!({"kind": "save", "what": "snapshot", "server": 0, "first": 1, "last": 2,
            "text": "saves a snapshot up to index 1, and entry 2", "state": state}),
    );
    let note = json!({"kind": "log", "what": "note", "server": 2, "text": "note: ÄÖ 中文"});
    story.add(0.5, note);
    let found = json!({"kind": "tester", "what": "check", "text": "finds two leaders in term 1"});
    let failure = story.add(1.0, found);
    story.add(2.0, json!({"kind": "tester", "what": "end", "text": "stops all servers"}));
    let lost = [called_in_vain, known_lost];
    let json = story.json(3, Some(failure));
    Small { json, vote, lost, command, commit, snapshot, crash, failure }
}

/// The servers start, and S0 wins term 1 with S1's vote. Its request to S2 will be lost.
fn small_election(story: &mut Writer) -> ([u64; 4], u64) {
    for server in 0..3 {
        let mut change = json!({"server": server, "alive": true});
        if server < 2 {
            change["connected"] = json!(true);
            change["role"] = json!("follower");
            change["term"] = json!(0);
        }
        let text = format!("S{server} starts");
        let start = json!({"kind": "fault", "what": "start", "server": server, "text": text});
        story.add_with(0.001, start, json!([change]));
    }
    story.add_with(
        150.0,
        json!({"kind": "role", "what": "candidate", "server": 0, "term": 1,
            "text": "becomes a candidate in term 1"}),
        json!([{"server": 0, "role": "candidate", "term": 1, "vote": 0}]),
    );
    let vote = |to, call| Message { kind: "vote", from: 0, to, call, term: 1 };
    let detail = json!({"detail": "RequestVote { term: 1, candidate_id: 0 }"});
    let called = story.message(0.001, "called", &vote(1, 1), detail);
    let called_in_vain = story.message(0.001, "called", &vote(2, 2), json!({}));
    let arrived = story.message(0.5, "arrived", &vote(1, 1), json!({}));
    let granted = json!({"state": [{"server": 1, "term": 1, "vote": 0}]});
    let answered = story.message(0.1, "answered", &vote(1, 1), granted);
    let returned = story.message(0.7, "returned", &vote(1, 1), json!({}));
    story.add_with(
        0.0,
        json!({"kind": "role", "what": "leader", "server": 0, "term": 1, "text": "wins term 1",
            "why": "2 of 3 votes"}),
        json!([{"server": 0, "role": "leader"}]),
    );
    ([called, arrived, answered, returned], called_in_vain)
}

/// S0 gets a command, which S1 gets twice (call 3) and S2 late (call 4); call 5 is held for ever. A heartbeat is idle (call 6).
fn small_agreement(story: &mut Writer) -> (u64, u64) {
    let log = |server| json!([{"server": server, "log": {"keep": 0, "add": [[1, MARKUP]]}}]);
    let on_s0 = |kind: &str, what: &str, text: &str| {
        json!({"kind": kind, "what": what, "server": 0, "term": 1, "first": 1, "last": 1,
            "text": text})
    };
    let text = format!("gives {MARKUP} to S0");
    let command = story.add_with(2.0, on_s0("tester", "command", &text), log(0));
    story.add(0.0, on_s0("save", "saves", "saves entry 1"));
    let append = |to, call| Message { kind: "append", from: 0, to, call, term: 1 };
    let held = "a rule of the test holds it back";
    let entry = || json!({"first": 1, "last": 1});
    story.message(0.001, "called", &append(1, 3), entry());
    story.message(0.001, "called", &append(2, 4), entry());
    story.message(0.001, "held", &append(2, 4), json!({"first": 1, "last": 1, "why": held}));
    story.message(0.4, "arrived", &append(1, 3), entry());
    let taken = json!({"first": 1, "last": 1, "state": log(1)});
    story.message(0.1, "answered", &append(1, 3), taken);
    story.message(0.3, "arrived", &append(1, 3), entry());
    story.message(0.1, "answered", &append(1, 3), entry());
    story.message(0.2, "returned", &append(1, 3), entry());
    let commits = on_s0("commit", "commit", "commits up to index 1");
    let commit = story.add_with(0.001, commits, json!([{"server": 0, "commit": 1}]));
    let applies = on_s0("apply", "applies", "applies index 1");
    story.add_with(0.002, applies, json!([{"server": 0, "applied": 1}]));
    story.message(3.0, "arrived", &append(2, 4), entry());
    story.message(0.1, "answered", &append(2, 4), entry());
    story.message(1.0, "called", &append(2, 5), json!({}));
    story.message(0.001, "held", &append(2, 5), json!({"why": held}));
    for (later, what) in [(1.0, "called"), (0.5, "arrived"), (0.1, "answered"), (0.5, "returned")] {
        story.message(later, what, &append(1, 6), json!({"idle": true}));
    }
    (command, commit)
}

/// S1 is disconnected and crashes, the request from the beginning is known to be lost, and a client calls S0.
fn small_faults(story: &mut Writer) -> (u64, u64) {
    let fault = |what: &str, text: &str| json!({"kind": "fault", "what": what, "text": text});
    let on_s1 = |what: &str, text: &str| {
        let mut event = fault(what, text);
        event["server"] = json!(1);
        event
    };
    let cut = json!([{"server": 1, "connected": false}]);
    story.add_with(1.0, on_s1("disconnect", "S1 is disconnected"), cut);
    let dead = json!([{"server": 1, "alive": false}]);
    let crash = story.add_with(1.0, on_s1("crash", "S1 crashes"), dead);
    let vote = Message { kind: "vote", from: 0, to: 2, call: 2, term: 1 };
    let why = json!({"why": "it could not reach its receiver"});
    let known_lost = story.message(0.5, "lost", &vote, why);
    story.add(0.1, fault("cut", "partitions S0 from S1, S2"));
    for (later, what) in [(0.5, "called"), (0.5, "arrived"), (0.1, "answered"), (0.5, "returned")] {
        let server = (what == "arrived" || what == "answered").then_some(0);
        story.add(
            later,
            json!({"kind": "client", "what": what, "server": server, "client": "C0", "to": 0,
                "call": 7, "method": "Kv.Get", "text": format!("Get(\"k\") {what}")}),
        );
    }
    (crash, known_lost)
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
            // The new leader overwrites what its predecessor had not committed.
            index -= dice.below(4.min(index + 1));
        }
        if index > 20 && dice.below(20) == 0 {
            let text = format!("saves a snapshot up to index {}", index - 10);
            let log = json!({"from": index - 10, "keep": index, "add": []});
            story.add_with(
                0.1,
                json!({"kind": "save", "what": "snapshot", "server": leader, "text": text}),
                json!([{"server": leader, "log": log}]),
            );
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
    let role = |what: &str, text: String| json!({"kind": "role", "what": what, "server": new, "term": term, "text": text});
    let stands = json!([{"server": new, "role": "candidate", "term": term, "vote": new}]);
    let text = format!("becomes a candidate in term {term}");
    story.add_with(180.0, role("candidate", text), stands);
    for to in (0..5).filter(|to| *to != new) {
        *call += 1;
        let message = Message { kind: "vote", from: new, to, call: *call, term };
        let detail = format!("RequestVote {{ term: {term}, candidate_id: {new}, number: {call} }}");
        story.message(0.002, "called", &message, json!({"detail": detail}));
        if dice.below(5) == 0 {
            let why = json!({"why": "it could not reach its receiver"});
            story.message(0.5, "lost", &message, why);
            continue;
        }
        story.message(0.3, "arrived", &message, json!({}));
        let grants = json!([{"server": to, "term": term, "vote": new, "role": "follower"}]);
        story.message(0.1, "answered", &message, json!({"state": grants}));
        story.message(0.3, "returned", &message, json!({}));
    }
    let mut state = vec![json!({"server": new, "role": "leader"})];
    if old != new {
        state.push(json!({"server": old, "role": "follower", "term": term}));
    }
    story.add_with(0.001, role("leader", format!("wins term {term}")), json!(state));
}

fn replicate(
    story: &mut Writer,
    dice: &mut Dice,
    (leader, term, index): (u64, u64, u64),
    call: &mut u64,
) {
    let command = format!("\"{}\"", dice.below(1_000_000_000));
    let about = || json!({"first": index, "last": index});
    let log =
        |server| json!([{"server": server, "log": {"keep": index - 1, "add": [[term, command]]}}]);
    let event = |kind: &str, server: u64, text: String| {
        json!({"kind": kind, "what": kind, "server": server, "term": term, "first": index,
            "last": index, "text": text})
    };
    let gives = event("tester", leader, format!("gives {command} to S{leader}"));
    story.add_with(0.01, gives, log(leader));
    for to in (0..5).filter(|to| *to != leader) {
        *call += 1;
        let message = Message { kind: "append", from: leader, to, call: *call, term };
        let mut called = about();
        called["detail"] = json!(format!(
            "AppendEntries {{ term: {term}, leader_id: {leader}, prev_log_index: {before}, \
             prev_log_term: {term}, entries: [Entry {{ term: {term}, payload: Command({command}) }}], \
             leader_commit: {before} }}",
            before = index - 1
        ));
        story.message(0.002, "called", &message, called);
        let later = 0.2 + dice.below(100) as f64 / 100.0;
        story.message(later, "arrived", &message, about());
        story.add_with(0.001, event("save", to, format!("saves entry {index}")), log(to));
        story.message(0.001, "answered", &message, about());
        story.message(0.3, "returned", &message, about());
    }
    for server in 0..5 {
        let applies = event("apply", server, format!("applies {command} at index {index}"));
        let applied = json!([{"server": server, "commit": index, "applied": index}]);
        story.add_with(0.002, applies, applied);
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
    let text = "#22 reads \"x\", although #5 had appended \"y\" before it began.\n\
        No order of these operations explains this.";
    let histories = vec![
        json!({"key": "b", "verdict": "linearizable", "text": "", "operations": b}),
        json!({"key": "a", "verdict": "not linearizable", "text": text, "operations": a}),
    ];
    Writer { histories, ..Writer::default() }.json(0, None)
}
