//! Tells the events of a run one after the other.

use super::call::Call;
use super::roles::Elections;
use super::standing::Answers;
use super::view::{Change, LogChange, View, Vote};
use super::{Kind, Message, Operation, Told, json};
use crate::names::{name, parse_end};
use crate::reading::{NUMBERING, Place, Reading, Saved};
use labrpc::describe::Value;
use labrpc::time::Duration;
use labrpc::trace::{Act, Deed, Event, Operated, What};
use std::collections::BTreeMap;

/// Tells a run. See the [module](super).
pub struct Teller {
    pub(super) reading: Reading,
    /// What is known of each server.
    pub(super) views: Vec<View>,
    pub(super) elections: Elections,
    /// The calls that may still be answered, by number.
    pub(super) calls: BTreeMap<u64, Call>,
    pub(super) answers: Answers,
    /// What the last call from one server to another said, if nothing was answered since then.
    pub(super) unanswered: BTreeMap<(usize, usize), String>,
    /// When the present event happened.
    pub(super) now: Duration,
    /// Changes that belong to what is told next.
    changes: Vec<Change>,
    /// What the present event has led to so far.
    told: Vec<Told>,
    /// How many items the log in each server's last saved state had.
    saved_logs: Vec<Option<u64>>,
    /// How many operations of clients have returned.
    operations: u64,
    /// How much was told in all.
    n: u64,
}

/// Calls that are older than this many later calls are forgotten. A late copy of such a call is told without its contents.
const REMEMBERED: usize = 20_000;

impl Teller {
    /// A teller for a run of this number of servers, whose messages are read in this way.
    pub fn new(servers: usize, reading: Reading) -> Teller {
        Teller {
            reading,
            views: (0..servers).map(|_| View::default()).collect(),
            elections: Elections::new(servers),
            calls: BTreeMap::new(),
            answers: Answers::new(),
            unanswered: BTreeMap::new(),
            now: Duration::ZERO,
            changes: Vec::new(),
            told: Vec::new(),
            saved_logs: vec![None; servers],
            operations: 0,
            n: 0,
        }
    }

    /// Tells an event. Most events are told as one thing; some also change a role or a commit index, which is told as well.
    pub fn tell(&mut self, event: &Event) -> Vec<Told> {
        self.now = event.at;
        match &event.what {
            What::Called { call, end, method, args } => self.called(*call, end, method, args),
            What::Delivered { call, .. } => self.arrived(*call),
            What::Answered { call, reply, .. } => self.answered(*call, reply),
            What::Returned { call, .. } => self.returned(*call),
            What::Lost { call, why, .. } => self.lost(*call, why),
            What::Held { call, .. } => self.held(*call),
            What::Saved { who, what, value } => self.saved(who, what, value),
            What::Applied { who, last, what } => self.applied(who, *last, what),
            What::Operated(operated) => self.operated(operated),
            What::Attached { what, data } => self.attached(what, data),
            What::Tester(deed) => self.does(deed),
            What::Logged { who, line } => self.logged(who, "logged", line),
            What::Note { who, text } => self.logged(who, "note", text),
            _ => {}
        }
        std::mem::take(&mut self.told)
    }

    /// Something to tell at this moment.
    pub(super) fn told(&self, kind: Kind, what: &'static str, text: String) -> Told {
        Told {
            n: 0,
            at: self.now,
            kind,
            what,
            server: None,
            message: None,
            term: None,
            indices: None,
            text,
            detail: None,
            why: None,
            idle: false,
            minor: false,
            changes: Vec::new(),
            operation: None,
            contradiction: None,
        }
    }

    /// Tells it, with the changes that were noted since the last thing that was told.
    pub(super) fn push(&mut self, mut told: Told) {
        told.n = self.n;
        self.n += 1;
        told.changes.append(&mut self.changes);
        self.told.push(told);
    }

    /// A server's state changes.
    pub(super) fn note(&mut self, change: Change) {
        self.views[change.server].change(&change);
        self.changes.push(change);
    }

    /// Remembers a call, and forgets the oldest.
    pub(super) fn remember(&mut self, number: u64, call: Call) {
        self.calls.insert(number, call);
        if self.calls.len() > REMEMBERED {
            self.calls.pop_first();
        }
    }

    /// The server with this name, if it is one of the servers of the run.
    fn server(&self, name: &str) -> Option<usize> {
        let i: usize = name.strip_prefix('S')?.parse().ok()?;
        (i < self.views.len()).then_some(i)
    }

    /// The caller and the receiver of the calls on this end.
    pub(super) fn ends(&self, call: u64, end: &str, method: &'static str) -> Option<Message> {
        let (from, to, client) = match parse_end(end) {
            Some((from, _, to)) => (Some(from), to, None),
            None => {
                let (client, to) = end.split_once("->")?;
                (None, self.server(to)?, Some(client.to_string()))
            }
        };
        let known = to < self.views.len() && from.is_none_or(|from| from < self.views.len());
        known.then_some(Message { call, from, client, to, method })
    }

    fn saved(&mut self, who: &str, what: &str, value: &Value) {
        let who = who.split('.').next().unwrap_or(who);
        let Some(i) = self.server(who) else { return };
        let mut text = format!("{} saves its {what}", name(i));
        let indices = self.reading.saved_entries(who, what, value);
        let mut term = None;
        if let Saved::Read(saved, vote) = self.reading.saved(who, what, value) {
            term = Some(saved);
            text += &format!(": term {saved}");
            match vote {
                Some(Some(vote)) => text += &format!(", vote for S{vote}"),
                Some(None) => text += ", no vote",
                None => {}
            }
            if vote == Some(Some(i as u64)) && self.views[i].term < Some(saved) {
                self.is_candidate(i, saved);
            } else {
                self.has_term(i, saved);
            }
            if let Some(vote) = vote {
                self.has_voted(i, saved, vote);
            }
        }
        if let Some((first, last)) = indices {
            let many = if first == last {
                format!("entry {first}")
            } else {
                format!("entries {first} to {last}")
            };
            text = format!("{} saves {many}", name(i));
        }
        let mut told = self.told(Kind::Save, "saved", text);
        told.indices = indices;
        if let Some(now) = self.reading.saved_log(who, what, value) {
            let before = self.saved_logs[i].replace(now).filter(|before| *before > now);
            told.why =
                before.map(|before| format!("the saved log shrinks from {before} to {now} items"));
        }
        (told.server, told.term, told.detail) = (Some(i), term, Some(value.to_string()));
        self.push(told);
    }

    fn applied(&mut self, who: &str, (index, term): (u64, u64), what: &str) {
        let Some(i) = self.server(who) else { return };
        let first = self.views[i].applied.map_or(index, |applied| index.min(applied + 1));
        let numbered = self.reading.trusts(NUMBERING);
        if numbered && first == index {
            self.has_entry(i, Place { index, term }, None);
        }
        let mut change = Change { applied: Some(index), ..Change::of(i) };
        if numbered {
            self.commits(i, index, None);
            let last = Place { index, term };
            change.log = self.views[i]
                .with_snapshot(i, last, true)
                .filter(|_| first < index)
                .and_then(|c| c.log);
        }
        self.note(change);
        let mut told = self.told(Kind::Apply, "applied", format!("{} applies {what}", name(i)));
        (told.server, told.term, told.indices) = (Some(i), Some(term), Some((first, index)));
        self.push(told);
    }

    /// Server `i` has shown that its commit index is at least `index`.
    pub(super) fn commits(&mut self, i: usize, index: u64, term: Option<u64>) {
        let before = self.views[i].commit.unwrap_or(0);
        if index <= before {
            return;
        }
        let leads = self.views[i].role == Some(super::Role::Leader);
        let verb = if leads { "commits" } else { "learns that the leader has committed" };
        let what = match before + 1 {
            first if first == index => format!("index {index}"),
            first => format!("indices {first} to {index}"),
        };
        self.note(Change { commit: Some(index), ..Change::of(i) });
        let mut told = self.told(Kind::Commit, "commit", format!("{} {verb} {what}", name(i)));
        (told.server, told.term, told.indices) = (Some(i), term, Some((before + 1, index)));
        self.push(told);
    }

    fn does(&mut self, deed: &Deed) {
        let servers: Vec<_> = deed.who.iter().filter_map(|who| self.server(who)).collect();
        let (kind, what) = match deed.act {
            Act::Start => (Kind::Fault, "start"),
            Act::Crash => (Kind::Fault, "crash"),
            Act::Connect => (Kind::Fault, "connect"),
            Act::Disconnect => (Kind::Fault, "disconnect"),
            Act::Links => (Kind::Fault, "links"),
            Act::LoseDisk => (Kind::Fault, "lose-disk"),
            Act::Command => (Kind::Tester, "command"),
            Act::Operation => (Kind::Client, "operation"),
            Act::Leads | Act::Follows => (Kind::Tester, "state"),
            Act::Snapshot => (Kind::Snapshot, "given"),
            Act::SnapshotDone => (Kind::Snapshot, "taken"),
            Act::Caption => (Kind::Tester, "caption"),
            _ => (Kind::Tester, "tester"),
        };
        let text = match deed.act {
            Act::Operation | Act::Caption => deed.text.clone(),
            _ => format!("tester {}", deed.text),
        };
        let mut told = self.told(kind, what, text);
        told.server = if servers.len() == 1 { servers.first().copied() } else { None };
        let entry = deed.entry.filter(|(index, _)| *index > 0);
        told.indices = entry.map(|(index, _)| (index, index));
        told.term = deed.entry.map(|(_, term)| term).filter(|term| *term > 0);
        told.idle = matches!(deed.act, Act::Leads | Act::Follows);
        servers.iter().for_each(|i| self.is_done_to(deed, *i));
        self.push(told);
    }

    fn operated(&mut self, operated: &Operated) {
        let Operated { client, took, key, operation, answer } = operated;
        self.operations += 1;
        let text = format!("C{client} is answered: {operation}: {answer}");
        let mut told = self.told(Kind::Client, "result", text);
        told.operation = Some(Box::new(Operation {
            name: self.operations.to_string(),
            client: *client,
            call: json::ms(self.now.saturating_sub(*took)),
            returned: Some(json::ms(self.now)),
            operation: operation.clone(),
            answer: answer.clone(),
            order: None,
            misfit: false,
            key: key.clone(),
        }));
        self.push(told);
    }

    fn attached(&mut self, what: &'static str, data: &str) {
        if what != crate::linearizability::Contradiction::NAME {
            return;
        }
        let text = "the operations of the clients are not linearizable (§8)".into();
        let mut told = self.told(Kind::Tester, what, text);
        told.contradiction = serde_json::from_str(data).ok().map(Box::new);
        self.push(told);
    }

    /// What a deed changes for this server.
    fn is_done_to(&mut self, deed: &Deed, i: usize) {
        let (index, term) = deed.entry.unwrap_or_default();
        match deed.act {
            Act::Start => self.note(Change {
                alive: Some(true),
                role: Some(Some(super::Role::Follower)),
                commit: Some(self.views[i].base),
                applied: Some(self.views[i].base),
                ..Change::of(i)
            }),
            Act::Crash => {
                self.note(Change { alive: Some(false), role: Some(None), ..Change::of(i) })
            }
            Act::LoseDisk => self.note(Change {
                term: Some(0),
                vote: Some(Vote::Nobody),
                log: Some(LogChange { from: Some(0), ..LogChange::default() }),
                ..Change::of(i)
            }),
            Act::Connect => self.note(Change { connected: Some(true), ..Change::of(i) }),
            Act::Disconnect => self.note(Change { connected: Some(false), ..Change::of(i) }),
            Act::Leads => self.is_leader(i, term),
            Act::Follows => self.does_not_lead(i, term),
            Act::Command => {
                self.is_leader(i, term);
                self.accepts(i, Place { index, term }, &deed.text);
            }
            Act::SnapshotDone if self.reading.trusts(NUMBERING) => {
                let change = self.views[i].with_snapshot(i, Place { index, term: 0 }, false);
                change.into_iter().for_each(|change| self.note(change));
            }
            _ => {}
        }
    }

    fn logged(&mut self, who: &str, what: &'static str, line: &str) {
        let server = who.split([' ', '.']).find_map(|word| self.server(word));
        let mut told = self.told(Kind::Log, what, format!("{who}: {line}"));
        told.server = server;
        self.push(told);
    }
}
