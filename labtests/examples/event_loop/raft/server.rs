//! The loop, and the state that it owns.

use super::event::{Event, Letter};
use super::log::Log;
use super::messages::{InstallSnapshot, Saved, Term};
use super::shape::{NoOp, Shape};
use super::words::{Convert, Words};
use labrpc::Persister;
use labrpc::api::{ApplyMsg, Command, Refused, Snapshot, Started};
use labrpc::channel::{self, Receiver, Sender, select};
use labrpc::rand::{RngExt, rng};
use labrpc::time::{Duration, Instant};
use std::collections::BTreeSet;

pub struct Server {
    pub shape: Shape,
    pub me: usize,
    pub term: Term,
    pub voted_for: Option<usize>,
    pub log: Log,
    /// The snapshot that covers the log up to its base.
    pub snapshot: Snapshot,
    pub role: Role,
    /// The leader of this term, if it is known.
    pub leader: Option<usize>,
    pub commit: u64,
    pub applied: u64,
    /// A leader's snapshot that the service has not accepted yet ([`super::shape::Install::OnDelivery`]).
    pub arriving: Option<InstallSnapshot>,
    /// When to become a candidate, unless this server leads.
    pub election: Instant,
    /// When to send everything again, unless this server is a follower.
    pub repeat: Instant,
    pub outside: Outside,
}

pub enum Role {
    Follower,
    Candidate { votes: BTreeSet<usize> },
    Leader { peers: Vec<Progress> },
}

/// What a leader knows of another server.
#[derive(Clone)]
pub struct Progress {
    pub next: u64,
    pub matched: u64,
    /// Whether a letter is on its way. The next letter waits for the reply, or for the next heartbeat.
    pub awaited: bool,
}

/// The receivers of what the loop sends.
pub struct Outside {
    pub persister: Persister,
    pub save: fn(&Persister, Saved, Option<Snapshot>),
    pub timer: Sender<Instant>,
    pub couriers: Vec<Sender<Letter>>,
}

/// Saves in the words of `W`. Without a snapshot, the saved snapshot stays.
pub fn save<W: Words>(persister: &Persister, saved: Saved, snapshot: Option<Snapshot>) {
    match snapshot {
        Some(snapshot) => persister.save(&W::Saved::of(saved), snapshot),
        None => persister.save_state(&W::Saved::of(saved)),
    }
}

impl Server {
    pub fn new(shape: Shape, me: usize, saved: Saved, outside: Outside) -> Server {
        let base = saved.base;
        let mut server = Server {
            log: Log::new(shape.numbers(), base, saved.entries),
            snapshot: outside.persister.snapshot().unwrap_or_default(),
            me,
            term: saved.term,
            voted_for: saved.voted_for,
            role: Role::Follower,
            leader: None,
            commit: base.index,
            applied: base.index,
            arriving: None,
            election: Instant::now(),
            repeat: Instant::now(),
            shape,
            outside,
        };
        server.restart_election_timer();
        server
    }

    /// Handles one event at a time, until the server is killed. While the loop waits for an event, it offers the next message
    /// to the service.
    pub fn run(mut self, events: &Receiver<Event>, apply: &Sender<ApplyMsg>) {
        let mut told = None;
        loop {
            let alarm = self.next_alarm();
            if told != Some(alarm) {
                let _ = self.outside.timer.send(alarm);
                told = Some(alarm);
            }
            let event = match self.next_delivery() {
                None => events.recv(),
                Some(message) => select! {
                    recv(events) -> event => event,
                    send(apply, message) -> sent => match sent {
                        Ok(()) => { self.delivered(); continue }
                        Err(_) => return,
                    },
                },
            };
            match event {
                Err(_) => return,
                Ok(Event::Kill) if self.shape.leaks_threads => _ = channel::never::<()>().recv(),
                Ok(Event::Kill) => return,
                Ok(event) => self.handle(event),
            }
        }
    }

    /// The asking thread may have ended in the meantime, so it is no error if an answer can't be delivered.
    fn handle(&mut self, event: Event) {
        match event {
            Event::Start(command, to) => _ = to.send(self.start(command)),
            Event::GetState(to) => {
                let leads = matches!(self.role, Role::Leader { .. });
                _ = to.send((self.term as u64, leads));
            }
            Event::Snapshot(number, snapshot) => self.take_snapshot(number, snapshot),
            Event::RequestVote(args, to) => _ = to.send(self.vote(&args)),
            Event::AppendEntries(args, to) => _ = to.send(self.append(args)),
            Event::InstallSnapshot(args, to) => _ = to.send(self.install(args)),
            Event::Voted(peer, args, vote) => self.count_vote(peer, &args, &vote),
            Event::Appended(peer, args, reply) => self.appended(peer, &args, &reply),
            Event::Installed(peer, args, reply) => self.installed(peer, &args, &reply),
            Event::Alarm => self.alarm(),
            Event::Kill => unreachable!("the loop has ended"),
        }
    }

    fn start(&mut self, command: Command) -> Result<Started, Refused> {
        if !matches!(self.role, Role::Leader { .. }) {
            return Err(Refused::NotLeader { leader: self.leader });
        }
        self.append_own(Some(command));
        Ok(Started { index: self.log.last_number(), term: self.term as u64 })
    }

    fn next_alarm(&self) -> Instant {
        match self.role {
            Role::Follower => self.election,
            Role::Candidate { .. } if self.shape.asks_for_votes_once => self.election,
            Role::Candidate { .. } => self.election.min(self.repeat),
            Role::Leader { .. } => self.repeat,
        }
    }

    /// Handles an alarm, which may be for a deadline that has been moved since.
    fn alarm(&mut self) {
        let now = Instant::now();
        if now < self.next_alarm() {
            return;
        }
        match self.role {
            Role::Leader { .. } => self.send_to_all(),
            _ if now >= self.election => self.campaign(),
            _ => self.ask_for_votes(),
        }
    }

    pub fn restart_election_timer(&mut self) {
        let timeout = rng().random_range(self.shape.timeout_ms.clone());
        self.election = Instant::now() + Duration::from_millis(timeout);
    }

    /// "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to follower" (Figure 2).
    /// Returns whether the term was newer. The caller saves.
    pub fn observe(&mut self, term: Term) -> bool {
        if term <= self.term {
            return false;
        }
        self.term = term;
        self.voted_for = None;
        self.leader = None;
        if matches!(self.role, Role::Leader { .. }) {
            self.restart_election_timer(); // a leader has no election timer
        }
        self.role = Role::Follower;
        true
    }

    pub fn save(&self) {
        let snapshot = self.shape.saves_empty_snapshots.then(|| self.snapshot.clone());
        self.save_with(snapshot);
    }

    pub fn save_with(&self, snapshot: Option<Snapshot>) {
        let saved = Saved {
            term: self.term,
            voted_for: self.voted_for,
            base: self.log.base(),
            entries: self.log.behind(self.log.base().index),
        };
        (self.outside.save)(&self.outside.persister, saved, snapshot);
    }

    pub fn servers(&self) -> usize {
        self.outside.couriers.len()
    }

    pub fn is_majority(&self, servers: usize) -> bool {
        servers > self.servers() / 2
    }

    pub fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let me = self.me;
        (0..self.servers()).filter(move |peer| *peer != me)
    }

    pub fn send(&self, peer: usize, letter: Letter) {
        let _ = self.outside.couriers[peer].send(letter);
    }

    /// The next message for the service: a snapshot that is ahead of it, or the next committed entry.
    fn next_delivery(&mut self) -> Option<ApplyMsg> {
        if let Some(snapshot) = self.next_snapshot() {
            return Some(snapshot);
        }
        while self.applied < self.commit {
            let index = self.applied + 1;
            let entry = self.log.entry(index).expect("committed entries are in the log");
            let (number, term) = (self.log.number(index)?, entry.term as u64);
            match (&entry.command, self.shape.no_op) {
                (Some(command), _) => {
                    return Some(ApplyMsg::Command {
                        index: number,
                        term,
                        command: command.clone(),
                    });
                }
                (None, NoOp::Hidden) => self.applied += 1,
                (None, _) => return Some(ApplyMsg::Internal { index: number, term }),
            }
        }
        None
    }

    /// The service has accepted what [`Server::next_delivery`] offered.
    fn delivered(&mut self) {
        if !self.delivered_snapshot() {
            self.applied += 1;
        }
    }
}
