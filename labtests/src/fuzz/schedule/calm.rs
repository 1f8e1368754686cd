//! Calm: everything works for a while, and at the end for good.

use super::super::machine::Machine;
use super::super::truth::Broken;
use super::super::world::World;
use super::{any_server, change_members};

/// Services make snapshots of logs that are longer, for every step looks at a whole log.
const LONG_LOG: usize = 40;

/// Everything works for a while.
pub(super) fn calm<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    world.cut.clear();
    for server in 0..world.servers.len() {
        if world.dice.chance("comes back", 4, 5) {
            world.restart(server)?;
        }
    }
    somebody_stands(world)?;
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

/// If there is no leader, some server notices before the others that it has waited for long enough.
fn somebody_stands<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    if world.leader().is_some() {
        return Ok(());
    }
    world.now += world.setup.election_timeout.end;
    let server = any_server(world);
    world.tick(server)
}

/// All messages arrive, in order; everybody notices the time; a command is offered to the leader.
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

/// When all trouble is over, how many of the longest election timeouts a cluster has to elect a leader, to commit a command
/// and to tell everybody of it. In 10,000 runs of the reference none took more than a quarter of this.
const PATIENCE: u32 = 100;

/// "The leader election is the aspect of Raft where timing is most critical" (§5.6): with all servers up and all messages in
/// time, there is a leader soon, and its commands are committed.
pub(in super::super) fn recovery<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    world.cut.clear();
    (0..world.servers.len()).try_for_each(|server| world.restart(server))?;
    let began = world.now;
    let deadline = began + PATIENCE * world.setup.election_timeout.end;
    let offered = world.figures.offered;
    while world.now < deadline {
        round(world)?;
        if world.has_recovered(offered) {
            let timeouts =
                (world.now - began).as_micros() / world.setup.election_timeout.end.as_micros();
            world.figures.slowest_recovery = world.figures.slowest_recovery.max(timeouts as u64);
            return Ok(());
        }
    }
    Err(format!(
        "all servers are up and all messages arrive, but within {PATIENCE} election timeouts no command was committed and known to \
         all members (§5.4.3, §5.6). {}",
        world.roles()
    ))
}
