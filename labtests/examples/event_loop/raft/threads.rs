//! The threads beside the loop. Each waits on its channel, and ends when the loop has dropped the sender.

use super::event::{Event, Letter};
use super::one_way::Said;
use super::words::{Convert, Words};
use labrpc::channel::{Receiver, Sender, select};
use labrpc::time::{Duration, Instant};
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

/// How long to wait before a request that got no answer is sent again.
const A_WHILE: Duration = Duration::from_millis(20);

/// Carries the loop's letters to one peer, and the replies back. It has one letter on its way at a time. When the next letter
/// comes, it ignores the reply to the letter before, which may be lost.
pub struct Courier {
    pub peer: usize,
    pub end: ClientEnd,
    pub letters: Receiver<Letter>,
    pub inbox: Sender<Event>,
    /// See [`super::shape::Shape::asks_on`].
    pub asks_on: bool,
}

impl Courier {
    pub fn run<W: Words>(self) {
        let mut next = self.letters.recv().ok();
        while let Some(letter) = next {
            next = self.carry::<W>(letter);
        }
    }

    /// The same, for messages that get no reply.
    pub fn run_one_way(self, me: usize, send: fn(&ClientEnd, usize, Said)) {
        while let Ok(letter) = self.letters.recv() {
            send(&self.end, me, Said::Asks(letter));
        }
    }

    /// Carries a letter. Returns the next letter.
    fn carry<W: Words>(&self, letter: Letter) -> Option<Letter> {
        let (end, peer) = (&self.end, self.peer);
        match letter {
            Letter::RequestVote(args) => {
                let reply = end.send("Raft.RequestVote", &W::RequestVote::of(args.clone()));
                let again = self.asks_on.then(|| Letter::RequestVote(args.clone()));
                self.wait(reply, again, |vote: W::Vote| Event::Voted(peer, args, vote.back()))
            }
            Letter::AppendEntries(args) => {
                let reply = end.send("Raft.AppendEntries", &W::AppendEntries::of(args.clone()));
                self.wait(reply, None, |said: W::Appended| Event::Appended(peer, args, said.back()))
            }
            Letter::InstallSnapshot(args) => {
                let reply = end.send("Raft.InstallSnapshot", &W::InstallSnapshot::of(args.clone()));
                self.wait(reply, None, |said: W::Installed| {
                    Event::Installed(peer, args, said.back())
                })
            }
        }
    }

    /// Waits for the reply or for the next letter. `unanswered` is the next letter if there is no reply.
    fn wait<R>(
        &self,
        reply: Pending<R>,
        unanswered: Option<Letter>,
        event: impl FnOnce(R) -> Event,
    ) -> Option<Letter>
    where
        R: DeserializeOwned,
    {
        select! {
            recv(self.letters) -> letter => letter.ok(),
            recv(reply) -> reply => {
                match reply {
                    Some(reply) => _ = self.inbox.send(event(reply)),
                    None if unanswered.is_some() => {
                        return select! {
                            recv(self.letters) -> letter => letter.ok(),
                            default(A_WHILE) => unanswered,
                        };
                    }
                    None => {}
                }
                self.letters.recv().ok()
            }
        }
    }
}
