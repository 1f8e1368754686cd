//! The outcome of a step: the invariants, and what the server sends.

use super::super::machine::{Look, Machine, Output};
use super::super::truth::{Broken, Step};
use super::{Flight, MOST_FLIGHTS, Server, World};

/// The disks are read after one in this many commits, because reading all of them takes longer than many steps.
const DISKS_ARE_READ: u64 = 4;

impl<M: Machine> World<M> {
    /// Processes the results of a step. `fresh`: the server has just started.
    pub(super) fn finish_step(&mut self, server: usize, fresh: bool) -> Result<(), Broken> {
        let Server { disk, running, .. } = &mut self.servers[server];
        let Some(running) = running else { return Ok(()) };
        let output = running.machine.take_output();
        if disk.take_crash() {
            return self.crash(server); // nothing of this step reaches others
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

    /// Called when an entry was committed that was not committed before.
    fn committed(&mut self, server: usize, before: &Look) -> Result<(), Broken> {
        if !self.dice.chance("disks are read", 1, DISKS_ARE_READ) {
            return Ok(());
        }
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
        for change in output.changes {
            self.changes.remove(&change);
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
                "S{server} returned read index {index}, but index {committed} was committed before the read began: a stale \
                 read (thesis §6.4)"
            )),
            () if index > self.truth.commit_index() => Err(format!(
                "S{server} returned read index {index}, but entries are committed only up to index {}: the read may see entries that are \
                 lost later (thesis §6.4)",
                self.truth.commit_index()
            )),
            () => Ok(()),
        }
    }
}
