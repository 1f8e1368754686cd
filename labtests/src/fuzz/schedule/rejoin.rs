//! Rejoin: a server becomes a member, leaves, loses its disk, and is added again, usually under the same leader.

use super::super::machine::{Change, Machine};
use super::super::truth::Broken;
use super::super::world::World;
use super::calm::{calm, changed, round};

/// A server that is not an initial member is added and removed, and comes back with an empty disk. Sometimes it then restarts
/// again and again and makes no progress. In that case the leader must give it up.
pub(super) fn rejoin<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    let first = world.setup.members.len() as u64;
    let servers = world.servers.len() as u64;
    if first == servers {
        return Ok(());
    }
    let server = world.dice.range("spare server", first..servers) as usize;
    calm(world)?;
    for change in [Change::Add(server), Change::Remove(server)] {
        ask(world, change)?;
        changed(world, round)?;
    }
    forget_members(world)?;
    replace_machine(world, server)?;
    world.restart(server)?;
    let restless = world.dice.chance("restarts all the time", 1, 2);
    ask(world, Change::Add(server))?;
    changed(world, |world| {
        round(world)?;
        if restless {
            world.crash(server)?;
            world.restart(server)?;
        }
        Ok(())
    })
}

fn ask<M: Machine>(world: &mut World<M>, change: Change) -> Result<(), Broken> {
    world.leader().map_or(Ok(()), |leader| world.change(leader, change))
}

/// All servers learn of the last change, and the services make snapshots, so that no log holds an earlier configuration.
fn forget_members<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    for _ in 0..10 {
        round(world)?;
    }
    (0..world.servers.len()).try_for_each(|server| world.snapshot(server, 0))
}

/// This is allowed only for a server that is not in any configuration which a log or a snapshot still holds, and whose addition
/// is not under way. A member that forgets breaks Raft's assumptions (§5.2: votes are durable). So does a server that gets back
/// an old configuration which it had helped to replace, because it could then be elected. So does a server that has
/// acknowledged entries since a leader began to add it.
pub(super) fn replace_machine<M: Machine>(
    world: &mut World<M>,
    server: usize,
) -> Result<(), Broken> {
    let counted =
        world.looks.iter().any(|look| look.configurations().any(|it| it.contains(&server)));
    match counted || world.is_changing_members() || world.setup.members.contains(&server) {
        true => Ok(()),
        false => world.replace_machine(server),
    }
}
