//! The servers, their disks and clocks, and the messages under way.

mod events;
mod outcome;

use super::Figures;
use super::disk::Disk;
use super::machine::{Boot, Look, Machine, Role, Setup, digest};
use super::service::Service;
use super::setup::Clock;
use super::trail::Trail;
use super::truth::{Broken, Truth};
use labrpc::Persister;
use labrpc::rand::Stream;
use labrpc::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// At most this many messages are under way. A further one replaces a random one, which is dropped.
const MOST_FLIGHTS: usize = 150;

/// See the module.
pub(super) struct World<M: Machine> {
    pub setup: Setup,
    pub dice: Arc<Stream>,
    pub now: Duration,
    pub servers: Vec<Server<M>>,
    /// The servers' states after their last step; for a crashed server, the state that it would have after a restart.
    pub looks: Vec<Look>,
    pub flights: Vec<Flight<M::Message>>,
    /// Links that drop all messages, by sender and receiver.
    pub cut: BTreeSet<(usize, usize)>,
    pub truth: Truth,
    pub figures: Figures,
    /// The reads that have not ended, with the commit index at their start.
    reads: BTreeMap<u64, u64>,
    /// The configuration changes that have not ended, with the server that was asked.
    changes: BTreeMap<u64, usize>,
    trail: Trail,
}

/// A server with its machine.
pub(super) struct Server<M> {
    disk: Disk,
    /// The state that a restart would find, and the number of saves before it.
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
    /// A cluster that was just switched on.
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
            changes: BTreeMap::new(),
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

    /// Whether the server is running.
    pub fn is_up(&self, server: usize) -> bool {
        self.servers[server].running.is_some()
    }

    /// A server that leads; if there are several, the one of the highest term.
    pub fn leader(&self) -> Option<usize> {
        let leads = |s: &usize| self.is_up(*s) && self.looks[*s].role == Role::Leader;
        (0..self.servers.len()).filter(leads).max_by_key(|s| self.looks[*s].term)
    }

    /// Whether a requested configuration change has not ended.
    pub fn is_changing_members(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whether a command that was proposed after the first `offered` ones is committed and known to all members.
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

    /// Describes the role and the state of each server.
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

    /// The state that `server` would have after a restart.
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

impl<T> Flight<T> {
    /// The sender and the receiver.
    pub fn link(&self) -> (usize, usize) {
        (self.from, self.to)
    }
}
