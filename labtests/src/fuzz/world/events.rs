//! What can happen to servers.

use super::super::disk::Disk;
use super::super::machine::{Change, Look, Machine};
use super::super::service::{self, Service};
use super::super::setup::Clock;
use super::super::truth::Broken;
use super::{Flight, Running, Server, World};
use labrpc::api::Command;
use labrpc::time::Instant;

/// Numbers that no cluster can have reached by counting. Adding one, or doubling, overflows.
const IMPOSSIBLE: [u64; 3] = [u64::MAX, u64::MAX - 1, u64::MAX / 2 + 1];

/// A leader whose messages reach no one gets no more commands than this. If each message holds one entry, replicating more
/// entries would take its followers longer than a recovery may take.
const MOST_UNCOMMITTED: u64 = 200;

impl<M: Machine> World<M> {
    /// Starts a server that is down.
    pub fn restart(&mut self, server: usize) -> Result<(), Broken> {
        if self.is_up(server) {
            return Ok(());
        }
        self.note(|_| format!("S{server} starts"));
        self.servers[server].incarnation += 1;
        let clock = Clock::draw(&self.dice, &self.setup, self.now);
        let disk = self.servers[server].disk.clone();
        let service = Service::restarted(&disk, &self.truth)?;
        let machine = M::start(self.boot(server, disk, &clock));
        self.truth.check_memory(server, &machine.look())?;
        self.servers[server].running = Some(Running { machine, clock, service });
        self.finish_step(server, true)
    }

    /// Stops a server. It keeps what it has saved, and nothing else.
    pub fn crash(&mut self, server: usize) -> Result<(), Broken> {
        if self.servers[server].running.take().is_none() {
            return Ok(());
        }
        self.note(|_| format!("S{server} crashes"));
        self.figures.crashes += 1;
        self.changes.retain(|_, asked| *asked != server); // those who waited for an answer get none
        self.looks[server] = self.saved(server);
        self.truth.crashed(server, &self.looks)
    }

    /// The server crashes in its next step, after this many saves, unless it makes no more saves than that.
    pub fn crash_after_saves(&mut self, server: usize, saves: u64) {
        self.note(|_| format!("S{server} is about to crash after {saves} saves"));
        self.servers[server].disk.crash_after(saves);
    }

    /// Cancels all crashes that were about to happen.
    pub fn call_off_crashes(&mut self) {
        for server in &self.servers {
            server.disk.take_crash();
        }
    }

    /// Replaces the machine of a server that is not a member by an empty one.
    pub fn replace_machine(&mut self, server: usize) -> Result<(), Broken> {
        self.crash(server)?;
        self.note(|_| format!("S{server} is replaced by an empty machine"));
        let incarnation = self.servers[server].incarnation;
        self.servers[server] =
            Server { disk: Disk::default(), saved: None, incarnation, running: None };
        self.truth.forget(server);
        self.looks[server] = self.saved(server);
        Ok(())
    }

    /// Lets a server notice that time has passed.
    pub fn tick(&mut self, server: usize) -> Result<(), Broken> {
        self.step(server, "notices the time", |machine, now| machine.tick(now))
    }

    /// Offers a command.
    pub fn propose(&mut self, server: usize) -> Result<(), Broken> {
        let Look { base, entries, commit_index, term, .. } = &self.looks[server];
        let many = base.index + entries.len() as u64 > commit_index + MOST_UNCOMMITTED;
        // Without an entry of its own term a leader commits nothing (§5.4.2).
        if many && entries.last().is_some_and(|last| last.term == *term) {
            return Ok(());
        }
        self.figures.offered += 1;
        let command = Command::from(self.figures.offered.to_le_bytes().to_vec());
        self.step(server, "is offered a command", |machine, now| _ = machine.propose(command, now))
    }

    /// Asks for a read index.
    pub fn read(&mut self, server: usize) -> Result<(), Broken> {
        self.figures.reads += 1;
        let read = self.figures.reads;
        self.reads.insert(read, self.truth.commit_index());
        self.step(server, "is asked to read", |machine, now| machine.read(read, now))
    }

    /// Requests a configuration change.
    pub fn change(&mut self, server: usize, change: Change) -> Result<(), Broken> {
        self.note(|_| format!("an operator requests {change:?}"));
        self.figures.wishes += 1;
        let (number, mut begun) = (self.figures.wishes, false);
        self.changes.insert(number, server);
        self.step(server, "is asked to change the members", |machine, now| {
            begun = machine.change(number, change, now);
        })?;
        if !begun {
            self.changes.remove(&number);
        }
        Ok(())
    }

    /// Requests a transfer of leadership.
    pub fn transfer(&mut self, server: usize, to: usize) -> Result<(), Broken> {
        self.note(|_| format!("an operator requests a transfer to S{to}"));
        self.step(server, "is asked to transfer leadership", |machine, now| {
            machine.transfer(to, now)
        })
    }

    /// The service delivers a snapshot of what it has applied, or had applied some time ago.
    pub fn snapshot(&mut self, server: usize, back: u64) -> Result<(), Broken> {
        let Some(running) = &self.servers[server].running else { return Ok(()) };
        let index = running.service.applied().saturating_sub(back);
        if index == 0 {
            return Ok(());
        }
        self.figures.snapshots += 1;
        let snapshot = service::snapshot_at(index, &self.truth);
        self.note(|_| format!("the service of S{server} has a snapshot up to index {index}"));
        self.step(server, "gets it", |machine, now| machine.snapshot(index, snapshot, now))
    }

    /// Delivers message number `flight`; `again`: a copy of it stays under way.
    pub fn deliver(&mut self, flight: usize, again: bool) -> Result<(), Broken> {
        let Flight { from, to, message } = match again {
            true => self.flights[flight].clone(),
            false => self.flights.remove(flight),
        };
        self.note(|_| format!("S{from} -> S{to}: {message:?}"));
        self.step(to, "gets it", |machine, now| machine.receive(from, message, now))
    }

    /// Delivers message number `flight` with an impossible value in one of its numbers, if this Raft claims to refuse such
    /// values.
    pub fn deliver_spoilt(&mut self, flight: usize) -> Result<(), Broken> {
        let which = self.dice.below("number", 1 << 32);
        let value = IMPOSSIBLE[self.dice.below("value", IMPOSSIBLE.len() as u64) as usize];
        let Flight { from, to, message } = &self.flights[flight];
        let (from, to) = (*from, *to);
        let Some(message) = M::corrupt(message, which, value) else { return Ok(()) };
        self.flights.remove(flight);
        self.note(|_| format!("S{from} -> S{to}, with an impossible value: {message:?}"));
        self.step(to, "gets it", |machine, now| machine.receive(from, message, now))?;
        match self.looks[to].term < u64::MAX / 2 {
            true => Ok(()),
            false => Err(format!(
                "S{to} entered term {} because a message said so. No cluster can reach that term, and the term after it overflows to 0",
                self.looks[to].term
            )),
        }
    }

    /// Runs one step of a server that is up.
    fn step(
        &mut self,
        server: usize,
        what: &str,
        call: impl FnOnce(&mut M, Instant),
    ) -> Result<(), Broken> {
        let now = self.now;
        let Some(running) = &mut self.servers[server].running else { return Ok(()) };
        self.trail.note(now, || format!("S{server} {what}"));
        self.figures.steps += 1;
        call(&mut running.machine, running.clock.at(now));
        self.finish_step(server, false)
    }
}
