//! Calm: everything works for a while; at the end of a run, it stays so.

use super::super::machine::Machine;
use super::super::truth::Broken;
use super::super::world::World;
use super::{any_server, change_members};
use labrpc::time::Duration;

/// Services make a snapshot when a log gets longer than this, because every step checks the whole log.
const LONG_LOG: usize = 40;

/// Everything works for a while.
pub(super) fn calm<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    world.cut.clear();
    for server in 0..world.servers.len() {
        if world.dice.chance("comes back", 4, 5) {
            world.restart(server)?;
        }
    }
    has_candidate(world)?;
    for _ in 0..world.dice.range("rounds of calm", 5..40) {
        round(world)?;
        let Some(leader) = world.leader() else { continue };
        match world.dice.below("in calm", 40) {
            0 => change_members(world, leader)?,
            1 | 2 => world.snapshot(leader, 0)?,
            3 | 4 => world.read(leader)?,
            _ => {}
        }
    }
    Ok(())
}

/// If there is no leader, one server reaches its election timeout before the others.
fn has_candidate<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    if world.leader().is_some() {
        return Ok(());
    }
    world.now += world.setup.election_timeout.end;
    let server = any_server(world);
    world.tick(server)
}

/// All messages arrive in order, time passes for every server, and the leader may get a command.
pub(super) fn round<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    world.now += world.setup.heartbeat / 4;
    for _ in 0..world.flights.len() {
        match world.is_up(world.flights[0].to) {
            true => world.deliver(0, false)?,
            false => _ = world.flights.remove(0),
        }
    }
    for server in 0..world.servers.len() {
        world.tick(server)?;
        if world.looks[server].entries.len() > LONG_LOG {
            world.snapshot(server, 0)?;
        }
    }
    match world.leader() {
        Some(leader) if world.dice.chance("a command", 1, 2) => world.propose(leader),
        _ => Ok(()),
    }
}

/// Within how many of the longest election timeouts a configuration change must end.
const CHANGE_ENDS: u32 = 50;

/// Calls `step` until no configuration change is under way. A server that is silent, or that answers but makes no progress,
/// must not keep the operator waiting: an "unavailable server" is never added (thesis §4.2.1), and a change that finds no
/// majority is given up.
pub(super) fn changed<M: Machine>(
    world: &mut World<M>,
    mut step: impl FnMut(&mut World<M>) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let (began, timeout) = (world.now, world.setup.election_timeout.end);
    let deadline = began + CHANGE_ENDS * timeout;
    while world.is_changing_members() {
        if world.now >= deadline {
            return Err(format!(
                "a requested configuration change was neither made nor given up within {CHANGE_ENDS} election timeouts \
                 (thesis §4.2.1). {}",
                world.roles()
            ));
        }
        step(world)?;
    }
    let took = timeouts_since(world, began);
    world.figures.slowest_change = world.figures.slowest_change.max(took);
    Ok(())
}

fn timeouts_since<M: Machine>(world: &World<M>, began: Duration) -> u64 {
    ((world.now - began).as_micros() / world.setup.election_timeout.end.as_micros()) as u64
}

/// Within how many of the longest election timeouts, counted from the end of all faults, a cluster must elect a leader, commit
/// a command and tell all members about it.
const PATIENCE: u32 = 100;

/// "The leader election is the aspect of Raft where timing is most critical" (§5.6): if all servers are up and all messages are
/// in time, there is a leader soon, and its commands are committed. Every configuration change ends, too.
pub(in super::super) fn recovery<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    world.cut.clear();
    world.call_off_crashes();
    (0..world.servers.len()).try_for_each(|server| world.restart(server))?;
    let began = world.now;
    let deadline = began + PATIENCE * world.setup.election_timeout.end;
    let offered = world.figures.offered;
    while !world.has_recovered(offered) {
        if world.now >= deadline {
            return Err(format!(
                "all servers are up and all messages arrive, but after {PATIENCE} election timeouts there is still no command that is committed and \
                 known to all members (§5.4.3, §5.6). {}",
                world.roles()
            ));
        }
        round(world)?;
    }
    let took = timeouts_since(world, began);
    world.figures.slowest_recovery = world.figures.slowest_recovery.max(took);
    if let Some(leader) = world.leader() {
        change_members(world, leader)?;
    }
    changed(world, round)
}
