//! The servers, their disks and clocks, the messages under way, and everything that can happen to them.

use super::Figures;
use super::disk::Disk;
use super::machine::{Boot, Change, Look, Machine, Output, Role, Setup, digest};
use super::service::{self, Service};
use super::setup::Clock;
use super::trail::Trail;
use super::truth::{Broken, Step, Truth};
use labrpc::Persister;
use labrpc::api::Command;
use labrpc::rand::Stream;
use labrpc::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// At most so many messages are under way; further ones replace random ones, which are lost.
const MOST_FLIGHTS: usize = 150;

/// See the module.
pub(super) struct World<M: Machine> {
    pub setup: Setup,
    pub dice: Arc<Stream>,
    pub now: Duration,
    pub servers: Vec<Server<M>>,
    /// The servers' states after their last step; of crashed servers, as they would restart.
    pub looks: Vec<Look>,
    pub flights: Vec<Flight<M::Message>>,
    /// Links that carry nothing, by sender and receiver.
    pub cut: BTreeSet<(usize, usize)>,
    pub truth: Truth,
    pub figures: Figures,
    /// The reads that have not ended, with the commit index when they began.
    reads: BTreeMap<u64, u64>,
    trail: Trail,
}

/// A server, or a machine for one.
pub(super) struct Server<M> {
    disk: Disk,
    /// What a restart would find, and after how many saves.
    saved: Option<(u64, Look)>,
    incarnation: u64,
    running: Option<Running<M>>,
}

struct Running<M> {
    machine: M,
    clock: Clock,
    service: Service,
}

/// A message under way.
#[derive(Clone)]
pub(super) struct Flight<T> {
    pub from: usize,
    pub to: usize,
    message: T,
}

impl<M: Machine> World<M> {
    /// A cluster that has just been switched on.
    pub fn new(setup: Setup, dice: Arc<Stream>, trail: Trail) -> Result<World<M>, Broken> {
        let servers = setup.servers;
        let new = |_| Server { disk: Disk::default(), saved: None, incarnation: 0, running: None };
        let mut world = World {
            setup,
            dice,
            now: Duration::ZERO,
            servers: (0..servers).map(new).collect(),
            looks: Vec::new(),
            flights: Vec::new(),
            cut: BTreeSet::new(),
            truth: Truth::default(),
            figures: Figures::default(),
            reads: BTreeMap::new(),
            trail,
        };
        world.note(|world| format!("{:?}", world.setup));
        world.looks = (0..servers).map(|server| world.saved(server)).collect();
        (0..servers).try_for_each(|server| world.restart(server))?;
        Ok(world)
    }

    fn note(&self, step: impl FnOnce(&Self) -> String) {
        self.trail.note(self.now, || step(self));
    }

    pub fn is_up(&self, server: usize) -> bool {
        self.servers[server].running.is_some()
    }

    /// A server that leads, of the highest term if there are several.
    pub fn leader(&self) -> Option<usize> {
        let leads = |s: &usize| self.is_up(*s) && self.looks[*s].role == Role::Leader;
        (0..self.servers.len()).filter(leads).max_by_key(|s| self.looks[*s].term)
    }

    /// Whether a command that was offered after the first `offered` ones is committed, and all members know it.
    pub fn has_recovered(&self, offered: u64) -> bool {
        let ours: BTreeSet<u64> = (offered + 1..=self.figures.offered)
            .map(|number| digest(&number.to_le_bytes()))
            .collect();
        let is_ours =
            |index: &u64| self.truth.committed(*index).is_some_and(|it| ours.contains(&it.1));
        let Some(leader) = self.leader() else { return false };
        let members = self.looks[leader].configuration();
        let known = members.iter().map(|member| self.looks[*member].commit_index).min();
        (1..=known.unwrap_or_default()).rev().any(|index| is_ours(&index))
    }

    /// Who is what, in words.
    pub fn roles(&self) -> String {
        let of = |(server, look): (usize, &Look)| {
            let Look { role, term, commit_index, .. } = look;
            let (last, members) = (look.last_index(), look.configuration());
            format!(
                "S{server}: {role:?}, term {term}, log to {last}, committed to {commit_index}, members {members:?}"
            )
        };
        self.looks.iter().enumerate().map(of).collect::<Vec<_>>().join("; ")
    }

    /// What a restart of `server` would find.
    fn saved(&mut self, server: usize) -> Look {
        let saves = self.servers[server].disk.saves();
        if let Some((at, look)) = &self.servers[server].saved
            && *at == saves
        {
            return look.clone();
        }
        let disk = self.servers[server].disk.copy();
        let clock = Clock::draw(&self.dice, &self.setup, self.now);
        let look = M::start(self.boot(server, disk, &clock)).look();
        self.servers[server].saved = Some((saves, look.clone()));
        look
    }

    fn boot(&self, me: usize, disk: Disk, clock: &Clock) -> Boot<'_> {
        Boot {
            me,
            incarnation: self.servers[me].incarnation,
            setup: &self.setup,
            persister: Persister::over(format!("S{me}"), disk),
            now: clock.at(self.now),
        }
    }
}

// What can happen.
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
        self.looks[server] = self.saved(server);
        self.truth.crashed(server, &self.looks)
    }

    /// The server crashes in its next step, after so many saves, unless it saves no more than that.
    pub fn crash_after_saves(&mut self, server: usize, saves: u64) {
        self.note(|_| format!("S{server} is about to crash after {saves} saves"));
        self.servers[server].disk.crash_after(saves);
    }

    /// The machine of a server that is no member is replaced by an empty one.
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
        self.figures.offered += 1;
        let command = Command::from(self.figures.offered.to_le_bytes().to_vec());
        self.step(server, "is offered a command", |machine, now| _ = machine.propose(command, now))
    }

    /// Asks where to read.
    pub fn read(&mut self, server: usize) -> Result<(), Broken> {
        self.figures.reads += 1;
        let read = self.figures.reads;
        self.reads.insert(read, self.truth.commit_index());
        self.step(server, "is to read", |machine, now| machine.read(read, now))
    }

    /// Wants the members changed.
    pub fn change(&mut self, server: usize, change: Change) -> Result<(), Broken> {
        self.note(|_| format!("{change:?} is asked for"));
        self.step(server, "is to change the members", |machine, now| machine.change(change, now))
    }

    /// Wants the leadership handed over.
    pub fn transfer(&mut self, server: usize, to: usize) -> Result<(), Broken> {
        self.note(|_| format!("to S{to}:"));
        self.step(server, "is to hand over", |machine, now| machine.transfer(to, now))
    }

    /// The service gives a snapshot of what it has applied, or applied some time ago.
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

    /// Delivers message number `flight`; `again`: a copy stays under way.
    pub fn deliver(&mut self, flight: usize, again: bool) -> Result<(), Broken> {
        let Flight { from, to, message } = match again {
            true => self.flights[flight].clone(),
            false => self.flights.remove(flight),
        };
        self.note(|_| format!("S{from} -> S{to}: {message:?}"));
        self.step(to, "gets it", |machine, now| machine.receive(from, message, now))
    }

    /// A step of a server that is up.
    fn step(
        &mut self,
        server: usize,
        what: &str,
        call: impl FnOnce(&mut M, labrpc::time::Instant),
    ) -> Result<(), Broken> {
        let now = self.now;
        let Some(running) = &mut self.servers[server].running else { return Ok(()) };
        self.trail.note(now, || format!("S{server} {what}"));
        self.figures.steps += 1;
        call(&mut running.machine, running.clock.at(now));
        self.finish_step(server, false)
    }
}

impl<T> Flight<T> {
    /// From whom, to whom.
    pub fn link(&self) -> (usize, usize) {
        (self.from, self.to)
    }
}

// What has come of it.
impl<M: Machine> World<M> {
    fn finish_step(&mut self, server: usize, fresh: bool) -> Result<(), Broken> {
        let Server { disk, running, .. } = &mut self.servers[server];
        let Some(running) = running else { return Ok(()) };
        let output = running.machine.take_output();
        if disk.take_crash() {
            return self.crash(server); // nobody hears of this step
        }
        let after = running.machine.look();
        let before = std::mem::replace(&mut self.looks[server], after);
        let known = self.truth.commit_index();
        let step = Step { server, before: (!fresh).then_some(&before), after: &self.looks[server] };
        self.figures.elections += u64::from(step.elected());
        self.truth.observe(&step, &self.looks)?;
        if !output.messages.is_empty() {
            self.truth.told(server, &self.looks[server])?;
        }
        if self.truth.commit_index() > known {
            self.committed(server, &before)?;
        }
        self.take(server, output)
    }

    /// Something was committed that was not committed before.
    fn committed(&mut self, server: usize, before: &Look) -> Result<(), Broken> {
        let saved: Vec<Look> = (0..self.servers.len()).map(|server| self.saved(server)).collect();
        let now = self.looks[server].configuration();
        self.truth.check_durable(&saved, &[now, before.configuration()])
    }

    fn take(&mut self, server: usize, output: Output<M::Message>) -> Result<(), Broken> {
        for message in output.applied {
            let Some(running) = &mut self.servers[server].running else { break };
            running.service.apply(server, message, &self.truth)?;
        }
        for (read, index) in output.reads {
            self.end_read(server, read, index)?;
        }
        for (to, message) in output.messages {
            if self.flights.len() >= MOST_FLIGHTS {
                let lost = self.dice.below("lost", MOST_FLIGHTS as u64) as usize;
                self.flights.remove(lost);
            }
            self.flights.push(Flight { from: server, to, message });
        }
        Ok(())
    }

    /// A read must see everything that was committed before it began (thesis §6.4).
    fn end_read(&mut self, server: usize, read: u64, index: Option<u64>) -> Result<(), Broken> {
        let (Some(committed), Some(index)) = (self.reads.remove(&read), index) else {
            return Ok(());
        };
        self.note(|_| format!("S{server} may read at index {index}"));
        self.figures.answered += 1;
        match () {
            () if index < committed => Err(format!(
                "S{server} gives index {index} to read at, but index {committed} was committed before the read began: it reads \
                 what is out of date (thesis §6.4)"
            )),
            () if index > self.truth.commit_index() => Err(format!(
                "S{server} gives index {index} to read at, but entries are committed up to index {} only: it reads what may be \
                 lost (thesis §6.4)",
                self.truth.commit_index()
            )),
            () => Ok(()),
        }
    }
}
