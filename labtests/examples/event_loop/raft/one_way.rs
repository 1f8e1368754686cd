//! Messages that get no reply. The answer to a message is a separate message, which may come late, twice, or out of order.

use super::event::{Event, Letter, ask};
use super::messages::{
    self, AppendEntries, Appended, Base, InstallSnapshot, Installed, RequestVote, Term, Vote,
};
use super::words::{Convert, Words};
use labrpc::api::{Command, Snapshot};
use labrpc::channel::Sender;
use labrpc::{ClientEnd, Service};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A message from one server to another: a request or an answer.
pub enum Said {
    Asks(Letter),
    Voted(RequestVote, Vote),
    Appended(AppendEntries, Appended),
    Installed(InstallSnapshot, Installed),
}

impl Said {
    /// The answer to AppendEntries. It doesn't send the entries back: after a success, its `prev_index` is the index of the last entry.
    fn appended(mut args: AppendEntries, reply: Appended) -> Said {
        let entries = std::mem::take(&mut args.entries).len() as u64;
        args.prev_index += if reply.success { entries } else { 0 };
        Said::Appended(args, reply)
    }
}

/// A server's connection to its loop and to the other servers.
#[derive(Clone)]
struct Post {
    me: usize,
    inbox: Sender<Event>,
    ends: Arc<Vec<ClientEnd>>,
    send: fn(&ClientEnd, usize, Said),
}

impl Post {
    /// Passes a message to the loop, and sends the loop's answer. A killed server doesn't answer.
    fn deliver(&self, from: usize, said: Said) {
        let answer = match said {
            Said::Asks(Letter::RequestVote(args)) => {
                ask(&self.inbox, |to| Event::RequestVote(args.clone(), to))
                    .map(|vote| Said::Voted(args, vote))
            }
            Said::Asks(Letter::AppendEntries(args)) => {
                ask(&self.inbox, |to| Event::AppendEntries(args.clone(), to))
                    .map(|reply| Said::appended(args, reply))
            }
            Said::Asks(Letter::InstallSnapshot(args)) => {
                ask(&self.inbox, |to| Event::InstallSnapshot(args.clone(), to))
                    .map(|reply| Said::Installed(args, reply))
            }
            Said::Voted(args, vote) => return self.tell(Event::Voted(from, args, vote)),
            Said::Appended(args, reply) => return self.tell(Event::Appended(from, args, reply)),
            Said::Installed(args, reply) => return self.tell(Event::Installed(from, args, reply)),
        };
        if let Some(answer) = answer {
            (self.send)(&self.ends[from], self.me, answer);
        }
    }

    fn tell(&self, event: Event) {
        let _ = self.inbox.send(event);
    }
}

/// A service with the paper's three methods, and one more method for each kind of answer. An answer names its sender and
/// repeats the request.
pub fn answers<W: Words>(me: usize, inbox: Sender<Event>, ends: Vec<ClientEnd>) -> Service {
    let post = Post { me, inbox, ends: Arc::new(ends), send: send_answers::<W> };
    let to = || post.clone();
    let (votes, appends, installs) = (to(), to(), to());
    let (voted, appended, installed) = (to(), to(), to());
    Service::new("Raft")
        .method("RequestVote", move |args: W::RequestVote| {
            let args = args.back();
            votes.deliver(args.candidate, Said::Asks(Letter::RequestVote(args)));
        })
        .method("AppendEntries", move |args: W::AppendEntries| {
            let args = args.back();
            appends.deliver(args.leader, Said::Asks(Letter::AppendEntries(args)));
        })
        .method("InstallSnapshot", move |args: W::InstallSnapshot| {
            let args = args.back();
            installs.deliver(args.leader, Said::Asks(Letter::InstallSnapshot(args)));
        })
        .method("RequestVoteReply", move |(from, args, vote): (usize, W::RequestVote, W::Vote)| {
            voted.deliver(from, Said::Voted(args.back(), vote.back()));
        })
        .method(
            "AppendEntriesReply",
            move |(from, args, reply): (usize, W::AppendEntries, W::Appended)| {
                appended.deliver(from, Said::Appended(args.back(), reply.back()));
            },
        )
        .method(
            "InstallSnapshotReply",
            move |(from, args, reply): (usize, W::InstallSnapshot, W::Installed)| {
                installed.deliver(from, Said::Installed(args.back(), reply.back()));
            },
        )
}

/// Sends a message to a server that runs the service of [`answers`].
pub fn send_answers<W: Words>(end: &ClientEnd, me: usize, said: Said) {
    match said {
        Said::Asks(Letter::RequestVote(args)) => {
            end.send::<_, ()>("Raft.RequestVote", &W::RequestVote::of(args))
        }
        Said::Asks(Letter::AppendEntries(args)) => {
            end.send("Raft.AppendEntries", &W::AppendEntries::of(args))
        }
        Said::Asks(Letter::InstallSnapshot(args)) => {
            end.send("Raft.InstallSnapshot", &W::InstallSnapshot::of(args))
        }
        Said::Voted(args, vote) => {
            end.send("Raft.RequestVoteReply", &(me, W::RequestVote::of(args), W::Vote::of(vote)))
        }
        Said::Appended(args, reply) => end.send(
            "Raft.AppendEntriesReply",
            &(me, W::AppendEntries::of(args), W::Appended::of(reply)),
        ),
        Said::Installed(args, reply) => end.send(
            "Raft.InstallSnapshotReply",
            &(me, W::InstallSnapshot::of(args), W::Installed::of(reply)),
        ),
    };
}

/// A service with one method and one struct for all messages. The meaning of a field depends on the message's type.
pub fn steps(me: usize, inbox: Sender<Event>, ends: Vec<ClientEnd>) -> Service {
    let post = Post { me, inbox, ends: Arc::new(ends), send: send_steps };
    Service::new("Raft").method("Step", move |message: Message| {
        post.deliver(message.from, message.back());
    })
}

/// Sends a message to a server that runs the service of [`steps`].
pub fn send_steps(end: &ClientEnd, me: usize, said: Said) {
    let _ = end.send::<_, ()>("Raft.Step", &Message { from: me, ..Message::of(said) });
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
enum MsgType {
    #[default]
    Vote,
    VoteResp,
    Append,
    AppendResp,
    Snapshot,
    SnapshotResp,
}

#[derive(Default, Serialize, Deserialize)]
struct Message {
    msg_type: MsgType,
    from: usize,
    term: Term,
    /// In an answer: the term in which the request was made.
    of_term: Term,
    log_term: Term,
    index: u64,
    entries: Vec<Entry>,
    commit: u64,
    reject: bool,
    reject_hint: u64,
    /// How many commands the snapshot covers.
    count: u64,
    data: Option<Snapshot>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    term: Term,
    data: Option<Command>,
}

impl Message {
    fn of(said: Said) -> Message {
        let none = Message::default();
        match said {
            Said::Asks(Letter::RequestVote(args)) => Message {
                msg_type: MsgType::Vote,
                term: args.term,
                index: args.last_index,
                log_term: args.last_term,
                ..none
            },
            Said::Voted(args, vote) => Message {
                msg_type: MsgType::VoteResp,
                term: vote.term,
                of_term: args.term,
                reject: !vote.granted,
                ..none
            },
            Said::Asks(Letter::AppendEntries(args)) => {
                let entry =
                    |entry: messages::Entry| Entry { term: entry.term, data: entry.command };
                Message {
                    msg_type: MsgType::Append,
                    term: args.term,
                    index: args.prev_index,
                    log_term: args.prev_term,
                    entries: args.entries.into_iter().map(entry).collect(),
                    commit: args.commit,
                    ..none
                }
            }
            Said::Appended(args, reply) => Message {
                msg_type: MsgType::AppendResp,
                term: reply.term,
                of_term: args.term,
                index: args.prev_index + if reply.success { args.entries.len() as u64 } else { 0 },
                reject: !reply.success,
                reject_hint: reply.conflict_index,
                log_term: reply.conflict_term.unwrap_or(-1),
                ..none
            },
            Said::Asks(Letter::InstallSnapshot(args)) => Message {
                msg_type: MsgType::Snapshot,
                term: args.term,
                index: args.base.index,
                log_term: args.base.term,
                count: args.base.number,
                data: Some(args.data),
                ..none
            },
            Said::Installed(args, reply) => Message {
                msg_type: MsgType::SnapshotResp,
                term: reply.term,
                of_term: args.term,
                index: args.base.index,
                ..none
            },
        }
    }

    fn back(self) -> Said {
        let (term, of_term) = (self.term, self.of_term);
        let base = Base { index: self.index, term: self.log_term, number: self.count };
        match self.msg_type {
            MsgType::Vote => Said::Asks(Letter::RequestVote(RequestVote {
                term,
                candidate: self.from,
                last_index: self.index,
                last_term: self.log_term,
            })),
            MsgType::VoteResp => Said::Voted(
                RequestVote { term: of_term, ..RequestVote::default() },
                Vote { term, granted: !self.reject },
            ),
            MsgType::Append => {
                let entry =
                    |entry: Entry| messages::Entry { term: entry.term, command: entry.data };
                Said::Asks(Letter::AppendEntries(AppendEntries {
                    term,
                    leader: self.from,
                    prev_index: self.index,
                    prev_term: self.log_term,
                    entries: self.entries.into_iter().map(entry).collect(),
                    commit: self.commit,
                }))
            }
            MsgType::AppendResp => Said::Appended(
                AppendEntries { term: of_term, prev_index: self.index, ..AppendEntries::default() },
                Appended {
                    term,
                    success: !self.reject,
                    conflict_term: (self.log_term >= 0).then_some(self.log_term),
                    conflict_index: self.reject_hint,
                },
            ),
            MsgType::Snapshot => Said::Asks(Letter::InstallSnapshot(InstallSnapshot {
                term,
                leader: self.from,
                base,
                data: self.data.unwrap_or_default(),
            })),
            MsgType::SnapshotResp => Said::Installed(
                InstallSnapshot { term: of_term, base, ..InstallSnapshot::default() },
                Installed { term },
            ),
        }
    }
}
