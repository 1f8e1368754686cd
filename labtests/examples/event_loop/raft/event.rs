//! The events that the loop handles, and the letters that it sends.

use super::messages::{AppendEntries, Appended, InstallSnapshot, Installed, RequestVote, Vote};
use labrpc::api::{Command, Refused, Snapshot, Started};
use labrpc::channel::{self, Sender};

/// An event. A thread that needs an answer sends the channel along on which it waits.
pub enum Event {
    // From the service.
    Start(Command, Sender<Result<Started, Refused>>),
    GetState(Sender<(u64, bool)>),
    Snapshot(u64, Snapshot),
    Kill,
    // From other servers.
    RequestVote(RequestVote, Sender<Vote>),
    AppendEntries(AppendEntries, Sender<Appended>),
    InstallSnapshot(InstallSnapshot, Sender<Installed>),
    // From couriers: the server that answered, the request, and the answer.
    Voted(usize, RequestVote, Vote),
    Appended(usize, AppendEntries, Appended),
    Installed(usize, InstallSnapshot, Installed),
    // From the timer.
    Alarm,
}

/// What a courier carries.
pub enum Letter {
    RequestVote(RequestVote),
    AppendEntries(AppendEntries),
    InstallSnapshot(InstallSnapshot),
}

/// Asks the loop, and waits for the answer. Returns `None` if the loop has ended.
pub fn ask<T>(inbox: &Sender<Event>, question: impl FnOnce(Sender<T>) -> Event) -> Option<T> {
    let (answer_to, answer) = channel::bounded(1);
    inbox.send(question(answer_to)).ok()?;
    answer.recv().ok()
}
