//! The legs of a call: the request leaves, arrives, is answered, and the reply returns or is lost.

use super::call::{Asked, Call, after, ends_with, in_term, span, upto};
use super::logs::Entries;
use super::view::{Change, LogChange};
use super::{Kind, Message, Teller, Told, reasons};
use crate::names::name;
use crate::reading::{Ask, Logs, Place, Reply};
use labrpc::describe::Value;
use labrpc::time::Duration;

/// A message that takes at most this long is on time.
const PROMPT: Duration = Duration::from_millis(30);

impl Teller {
    /// A call is made.
    pub(super) fn called(&mut self, number: u64, end: &str, method: &'static str, args: &Value) {
        let Some(message) = self.ends(number, end, method) else { return };
        let call = match message.from {
            Some(from) => {
                let reading = self.reading.clone();
                reading.ask(end, method, args, |ask, _| self.asked(message, from, ask))
            }
            None => self.call(
                message,
                Kind::Client,
                None,
                Asked::Other,
                method.to_string(),
                method.to_string(),
            ),
        };
        let call = Call { repeats: self.repeats(&call), ..call };
        let who = call.caller();
        let text = match call.kind {
            Kind::Vote | Kind::Append | Kind::Snapshot => format!("{who} {}", call.words),
            _ => format!("{who} calls {}: {}", name(call.message.to), call.words),
        };
        let mut told = self.of_call(&call, "called", text);
        told.server = call.message.from;
        told.detail = Some(args.to_string());
        told.minor = call.repeats;
        self.push(told);
        self.remember(number, call);
    }

    fn call(
        &self,
        message: Message,
        kind: Kind,
        term: Option<u64>,
        what: Asked,
        words: String,
        about: String,
    ) -> Call {
        let (made, answered, yes, indices) = (self.now, None, None, None);
        let (idle, repeats) = (false, false);
        Call {
            message,
            kind,
            term,
            what,
            words,
            about,
            indices,
            idle,
            repeats,
            made,
            answered,
            yes,
        }
    }

    /// Whether the last call on this way said the same and is still unanswered.
    fn repeats(&mut self, call: &Call) -> bool {
        let Some(from) = call.message.from.filter(|_| call.kind != Kind::Message) else {
            return false;
        };
        let way = (from, call.message.to);
        if matches!(call.kind, Kind::Append | Kind::Snapshot) {
            self.answers.entry(way).or_default().asked(self.now);
        }
        let last = self.unanswered.insert(way, call.words.clone());
        last.as_ref() == Some(&call.words)
    }

    /// Reads a request between servers, and what it shows of its sender.
    fn asked(&mut self, message: Message, from: usize, ask: &Ask<'_>) -> Call {
        let to = name(message.to);
        match ask {
            Ask::Vote { term, last } => {
                term.iter().for_each(|term| self.is_candidate(from, *term));
                let words = format!("asks {to} for its vote{}{}", in_term(*term), ends_with(*last));
                let about = "a request for a vote".into();
                self.call(message, Kind::Vote, *term, Asked::Vote { last: *last }, words, about)
            }
            Ask::PreVote => {
                let words = format!("asks {to} for a pre-vote");
                self.call(message, Kind::Vote, None, Asked::Other, words, "a pre-vote".into())
            }
            Ask::Append { term, logs, commit } => {
                term.iter().for_each(|term| self.is_leader(from, *term));
                self.append(message, from, *term, logs, *commit)
            }
            Ask::Install { term, last, whole } => {
                term.iter().for_each(|term| self.is_leader(from, *term));
                let whole = whole.unwrap_or(false);
                let what = if whole { "its snapshot" } else { "a chunk of its snapshot" };
                let upto = last.map_or(String::new(), |last| format!(" up to {last}"));
                let words = format!("sends {to} {what}{upto}{}", in_term(*term));
                let asked = Asked::Install { last: *last, whole };
                let about = format!("{}{upto}", what.replace("its", "the"));
                let call = self.call(message, Kind::Snapshot, *term, asked, words, about);
                Call { indices: last.map(|last| (last.index, last.index)), ..call }
            }
            Ask::Harmless | Ask::Unknown => {
                let method = message.method.to_string();
                self.call(message, Kind::Message, None, Asked::Other, method.clone(), method)
            }
        }
    }

    fn append(
        &mut self,
        message: Message,
        from: usize,
        term: Option<u64>,
        logs: &Logs<'_>,
        commit: Option<u64>,
    ) -> Call {
        let to = name(message.to);
        let sent = if let Logs::Read(sent) = logs { Some(Entries::of(sent)) } else { None };
        if let Some(sent) = &sent
            && term == self.views[from].term
        {
            let change = self.views[from].with_entries(from, sent);
            change.into_iter().for_each(|change| self.note(change));
        }
        if let Some(commit) = commit.filter(|_| term == self.views[from].term) {
            self.commits(from, commit, term);
        }
        let indices = sent.as_ref().and_then(span);
        let carries = logs.carries();
        let what = match (carries, indices) {
            (Some(0), _) => "a heartbeat".to_string(),
            (_, Some((first, last))) if first == last => format!("entry {first}"),
            (_, Some((first, last))) => format!("entries {first} to {last}"),
            (Some(many), None) => format!("{many} entries"),
            (None, None) => "AppendEntries".into(),
        };
        let after = sent.as_ref().map_or(String::new(), |sent| match sent.prev.index {
            0 => String::new(),
            _ => format!(", after {}", sent.prev),
        });
        let commit_words = commit.map_or(String::new(), |commit| format!(", commit {commit}"));
        let words = format!("sends {to} {what}{}{after}{commit_words}", in_term(term));
        let asked = Asked::Append { sent, commit };
        let call = self.call(message, Kind::Append, term, asked, words, what);
        Call { indices, idle: carries == Some(0), ..call }
    }

    /// A request reaches its receiver.
    pub(super) fn arrived(&mut self, number: u64) {
        let Some(call) = self.calls.remove(&number) else { return };
        let took = self.now.saturating_sub(call.made);
        let text = format!("{} gets {} from {}", name(call.message.to), call.about, call.caller());
        let mut told = self.of_call(&call, "arrived", text);
        told.server = Some(call.message.to);
        told.minor = took <= PROMPT;
        told.why = late(took);
        self.push(told);
        self.calls.insert(number, call);
    }

    /// The receiver has handled the request.
    pub(super) fn answered(&mut self, number: u64, reply: &Value) {
        let Some(mut call) = self.calls.remove(&number) else { return };
        let read = call
            .part()
            .map(|part| self.reading.reply(&call.end(), call.message.method, part, reply));
        call.answered = Some(self.now);
        if let Some(from) = call.message.from {
            self.unanswered.remove(&(from, call.message.to));
        }
        let (text, why) = match (&read, call.message.from) {
            (Some(read), Some(from)) => {
                call.yes = read.yes;
                self.replied(&call, from, read)
            }
            _ => (
                format!("{} answers {}: {}", name(call.message.to), call.caller(), call.about),
                None,
            ),
        };
        let mut told = self.of_call(&call, "answered", text);
        told.idle &= call.yes == Some(true);
        call.idle = told.idle;
        (told.server, told.detail, told.why) =
            (Some(call.message.to), Some(reply.to_string()), why);
        self.push(told);
        self.calls.insert(number, call);
    }

    /// What a reply says, in words, and why. Also what it shows of the server that replies.
    fn replied(&mut self, call: &Call, from: usize, reply: &Reply) -> (String, Option<String>) {
        let (to, own) = (call.message.to, reply.term);
        let (who, asker) = (name(to), name(from));
        let why = self.reason(call, from, reply);
        own.iter().for_each(|own| self.has_term(to, *own));
        let current = own.is_none() || own == call.term;
        match &call.what {
            Asked::Vote { .. } => match reply.yes {
                Some(true) => {
                    if let Some(term) = call.term {
                        self.has_term(to, term);
                        self.has_voted(to, term, Some(from as u64));
                    }
                    (format!("{who} votes for {asker}{}", in_term(call.term)), None)
                }
                Some(false) => {
                    (format!("{who} refuses to vote for {asker}{}", in_term(call.term)), why)
                }
                None => (format!("{who} answers {asker}'s request for its vote"), None),
            },
            Asked::Append { sent, commit } => {
                if let Some(term) =
                    call.term.filter(|_| current && reply.yes != Some(false) || own == call.term)
                {
                    self.is_follower(to, term, from);
                }
                match reply.yes {
                    Some(true) => {
                        let last = sent.as_ref().map_or(0, Entries::last);
                        self.answers.entry((from, to)).or_default().agreed(last, self.now);
                        self.has_appended(call, sent.as_ref(), *commit);
                        (format!("{who} agrees with {asker}{}", upto(sent.as_ref())), None)
                    }
                    Some(false) => {
                        self.answers.entry((from, to)).or_default().refused(why.clone(), self.now);
                        self.lacks(call, sent.as_ref(), current);
                        let what = if call.idle { "heartbeat" } else { "entries" };
                        (
                            format!("{who} refuses the {what} of {asker}{}", after(sent.as_ref())),
                            why,
                        )
                    }
                    None => (format!("{who} answers {asker}: {}", call.about), why),
                }
            }
            Asked::Install { last, whole } => {
                if let Some(term) = call.term.filter(|_| current) {
                    self.is_follower(to, term, from);
                }
                if let Some(last) = last.filter(|_| *whole && current) {
                    let change = self.views[to].with_snapshot(to, last, true);
                    change.into_iter().for_each(|change| self.note(change));
                }
                (format!("{who} answers {asker}'s snapshot"), None)
            }
            Asked::Other => (format!("{who} answers {asker}: {}", call.about), None),
        }
    }

    fn reason(&self, call: &Call, from: usize, reply: &Reply) -> Option<String> {
        let view = &self.views[call.message.to];
        match &call.what {
            Asked::Vote { last } => reasons::refused_vote(view, reply.term, from, call.term, *last),
            Asked::Append { sent, .. } => {
                let prev = sent.as_ref().map(|sent| sent.prev);
                reasons::refused_entries(view, reply.term, from, call.term, prev)
            }
            _ => None,
        }
    }

    /// The receiver of a call refuses the entry before those that were sent. So nothing is certain about this entry any more, unless
    /// it is committed: there are other reasons to refuse such an entry, for example a snapshot.
    fn lacks(&mut self, call: &Call, sent: Option<&Entries>, current: bool) {
        let to = call.message.to;
        let Some(prev) = sent.map(|sent| sent.prev).filter(|_| current) else { return };
        let view = &self.views[to];
        if prev.index > view.commit.unwrap_or(0).max(view.base)
            && view.term_at(prev.index) == Some(prev.term)
        {
            let log = LogChange { from: None, keep: prev.index - 1, add: Vec::new() };
            self.note(Change { log: Some(log), ..Change::of(to) });
        }
    }

    /// The receiver of a call has the entries that were sent.
    fn has_appended(&mut self, call: &Call, sent: Option<&Entries>, commit: Option<u64>) {
        let to = call.message.to;
        let Some(sent) = sent.filter(|_| call.term == self.views[to].term) else { return };
        let change = self.views[to].with_entries(to, sent);
        change.into_iter().for_each(|change| self.note(change));
        // Figure 2: "set commitIndex = min(leaderCommit, index of last new entry)".
        if let Some(commit) = commit {
            self.commits(to, commit.min(sent.last()), call.term);
        }
    }

    /// Server `i` has accepted a command of the tester, at this place.
    pub(super) fn accepts(&mut self, i: usize, place: Place, text: &str) {
        let command = text.strip_prefix("gave ").and_then(|rest| rest.split_once(" to S"));
        let command = command.map(|(command, _)| command.to_string());
        self.has_entry(i, place, command);
    }

    /// The log of server `i` has this entry.
    pub(super) fn has_entry(&mut self, i: usize, place: Place, command: Option<String>) {
        let change = self.views[i].with_entry(i, place, command);
        change.into_iter().for_each(|change| self.note(change));
    }

    /// A reply is back at its caller.
    pub(super) fn returned(&mut self, number: u64) {
        let Some(call) = self.calls.remove(&number) else { return };
        let took = self.now.saturating_sub(call.answered.unwrap_or(self.now));
        if let (Kind::Vote, Some(true), Some(from), Some(term)) =
            (call.kind, call.yes, call.message.from, call.term)
        {
            self.elections.counts(from, term, call.message.to);
        }
        let what = match call.yes {
            Some(true) => "yes",
            Some(false) => "no",
            None => "its reply",
        };
        let text = format!("{} hears from {}: {what}", call.caller(), name(call.message.to));
        let mut told = self.of_call(&call, "returned", text);
        told.server = call.message.from;
        told.minor = took <= PROMPT;
        told.why = late(took);
        self.push(told);
        self.calls.insert(number, call);
    }

    /// There will be no reply.
    pub(super) fn lost(&mut self, number: u64, why: &str) {
        let Some(call) = self.calls.remove(&number) else { return };
        if let (Some(from), Kind::Append | Kind::Snapshot) = (call.message.from, call.kind) {
            self.answers.entry((from, call.message.to)).or_default().lost(why);
        }
        let (who, to) = (call.caller(), name(call.message.to));
        let text = match call.answered {
            Some(_) => format!("{who} gets no reply from {to} about {}", call.about),
            None => format!("{who}'s message to {to} is lost: {}", call.about),
        };
        let mut told = self.of_call(&call, "lost", text);
        told.server = call.message.from;
        told.why = Some(why.to_string());
        told.minor = call.repeats;
        self.push(told);
        self.calls.insert(number, call);
    }

    /// The test holds a request or a reply back.
    pub(super) fn held(&mut self, number: u64) {
        let Some(call) = self.calls.remove(&number) else { return };
        let (server, text) = match call.answered {
            Some(_) => {
                let to = call.message.to;
                (
                    Some(to),
                    format!("the test holds back the reply of {} to {}", name(to), call.caller()),
                )
            }
            None => (
                call.message.from,
                format!("the test holds back that {} {}", call.caller(), call.words),
            ),
        };
        let mut told = self.of_call(&call, "held", text);
        told.server = server;
        self.push(told);
        self.calls.insert(number, call);
    }

    fn of_call(&self, call: &Call, what: &'static str, text: String) -> Told {
        let mut told = self.told(call.kind, what, text);
        told.message = Some(call.message.clone());
        (told.term, told.indices, told.idle) = (call.term, call.indices, call.idle);
        told
    }
}

fn late(took: Duration) -> Option<String> {
    (took > PROMPT).then(|| format!("{:.0} ms later", took.as_secs_f64() * 1e3))
}
