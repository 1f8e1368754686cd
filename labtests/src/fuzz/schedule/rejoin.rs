//! Rejoin: a server becomes a member, leaves, loses its disk, and is to become a member again, mostly under the same leader.

use super::super::machine::{Change, Machine};
use super::super::truth::Broken;
use super::super::world::World;
use super::calm::{calm, changed, round};

/// One of the servers that are no members at first comes, goes, and comes back empty. Sometimes it restarts all the time when it is
/// back, and gets no further; then it must be given up.
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

/// Everybody learns of the last change, and the services make snapshots, so that no log holds an earlier configuration.
fn forget_members<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    for _ in 0..10 {
        round(world)?;
    }
    (0..world.servers.len()).try_for_each(|server| world.snapshot(server, 0))
}

/// Only of a server that nobody counts on, and that is in no configuration that a log or a snapshot still holds. A member that
/// forgets breaks Raft's assumptions (§5.2: votes are durable). So does one that gets an old configuration again, which it had
/// helped to replace, for with that it may be elected; and one that has acknowledged entries since a leader began to add it.
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
