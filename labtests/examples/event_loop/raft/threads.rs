//! The threads beside the loop. Each waits for what its channel says, and ends when the loop has dropped that.

use super::event::{Event, Letter};
use super::words::{Convert, Words};
use labrpc::channel::{Receiver, Sender, select};
use labrpc::time::Instant;
use labrpc::{ClientEnd, Pending};
use serde::de::DeserializeOwned;

/// Tells the loop when a deadline has come. A new deadline replaces the one before.
pub fn timer(deadlines: &Receiver<Instant>, inbox: &Sender<Event>) {
    let mut deadline = deadlines.recv();
    while let Ok(at) = deadline {
        deadline = select! {
            recv(deadlines) -> other => other,
            default(at - Instant::now()) => {
                let _ = inbox.send(Event::Alarm);
                deadlines.recv()
            }
        };
    }
}

/// Carries the loop's letters to one peer, and the replies back. It has one letter under way: the next one makes it
/// forget the reply to the one before, which may be lost.
pub struct Courier {
    pub peer: usize,
    pub end: ClientEnd,
    pub letters: Receiver<Letter>,
    pub inbox: Sender<Event>,
}

impl Courier {
    pub fn run<W: Words>(self) {
        let mut next = self.letters.recv().ok();
        while let Some(letter) = next {
            next = self.carry::<W>(letter);
        }
    }

    /// Returns the letter after this one.
    fn carry<W: Words>(&self, letter: Letter) -> Option<Letter> {
        let (end, peer) = (&self.end, self.peer);
        match letter {
            Letter::RequestVote(args) => {
                let reply = end.send("Raft.RequestVote", &W::RequestVote::of(args.clone()));
                self.wait(reply, |vote: W::Vote| Event::Voted(peer, args, vote.back()))
            }
            Letter::AppendEntries(args) => {
                let reply = end.send("Raft.AppendEntries", &W::AppendEntries::of(args.clone()));
                self.wait(reply, |said: W::Appended| Event::Appended(peer, args, said.back()))
            }
            Letter::InstallSnapshot(args) => {
                let reply = end.send("Raft.InstallSnapshot", &W::InstallSnapshot::of(args.clone()));
                self.wait(reply, |said: W::Installed| Event::Installed(peer, args, said.back()))
            }
        }
    }

    fn wait<R>(&self, reply: Pending<R>, event: impl FnOnce(R) -> Event) -> Option<Letter>
    where
        R: DeserializeOwned,
    {
        select! {
            recv(self.letters) -> letter => letter.ok(),
            recv(reply) -> reply => {
                if let Some(reply) = reply {
                    let _ = self.inbox.send(event(reply));
                }
                self.letters.recv().ok()
            }
        }
    }
}
