//! Chaos: independent events, one after another.

use super::super::machine::{Machine, Members};
use super::super::truth::Broken;
use super::super::world::World;
use super::rejoin::replace_machine;
use super::{any_server, change_members, deliver_one, pass, transfer, weighted};
use labrpc::time::Duration;

#[derive(Clone, Copy)]
pub(super) enum Event {
    Deliver,
    Duplicate,
    Drop,
    Corrupt,
    Tick,
    Propose,
    Read,
    Snapshot,
    ChangeMembers,
    Transfer,
    Crash,
    CrashInSave,
    Restart,
    ReplaceMachine,
    Cut,
    Heal,
}

/// All events, with their largest weights.
pub(super) const EVENTS: [(Event, u64); 16] = [
    (Event::Deliver, 150),
    (Event::Duplicate, 15),
    (Event::Drop, 20),
    (Event::Corrupt, 5),
    (Event::Tick, 60),
    (Event::Propose, 30),
    (Event::Read, 15),
    (Event::Snapshot, 12),
    (Event::ChangeMembers, 6),
    (Event::Transfer, 3),
    (Event::Crash, 4),
    (Event::CrashInSave, 4),
    (Event::Restart, 12),
    (Event::ReplaceMachine, 2),
    (Event::Cut, 4),
    (Event::Heal, 6),
];

pub(super) fn chaos<M: Machine>(world: &mut World<M>, weights: &[u64]) -> Result<(), Broken> {
    let heartbeat = world.setup.heartbeat;
    let pause = match world.dice.below("pace", 3) {
        0 => Duration::from_millis(1),
        1 => heartbeat / 4,
        _ => heartbeat,
    };
    if world.dice.chance("all links are whole", 1, 2) {
        world.cut.clear();
    }
    for _ in 0..world.dice.range("steps of chaos", 20..150) {
        pass(world, pause);
        let (event, _) = EVENTS[weighted(world, weights)];
        happen(world, event)?;
    }
    Ok(())
}

fn happen<M: Machine>(world: &mut World<M>, event: Event) -> Result<(), Broken> {
    let all: Members = (0..world.servers.len()).collect();
    let server = any_server(world);
    let leader = world.leader().unwrap_or(server);
    let under_way = world.flights.len() as u64;
    match event {
        Event::Deliver => deliver_one(world, &all),
        Event::Duplicate if under_way > 0 => {
            let flight = world.dice.below("message", under_way) as usize;
            let whole = !world.cut.contains(&world.flights[flight].link());
            if whole { world.deliver(flight, true) } else { Ok(()) }
        }
        Event::Drop if under_way > 0 => {
            let flight = world.dice.below("message", under_way) as usize;
            world.flights.remove(flight);
            Ok(())
        }
        Event::Corrupt if under_way > 0 => {
            let flight = world.dice.below("message", under_way) as usize;
            let whole = !world.cut.contains(&world.flights[flight].link());
            if whole { world.deliver_spoilt(flight) } else { Ok(()) }
        }
        Event::Duplicate | Event::Drop | Event::Corrupt => Ok(()),
        Event::Tick => world.tick(server),
        Event::Propose => world.propose(leader),
        Event::Read => world.read([server, leader][world.dice.below("reader", 2) as usize]),
        Event::Snapshot => {
            let back = world.dice.below("older", 8).saturating_sub(5);
            world.snapshot(server, back)
        }
        Event::ChangeMembers => change_members(world, leader),
        Event::Transfer => transfer(world, leader),
        Event::Crash => world.crash([server, leader][world.dice.below("who", 2) as usize]),
        Event::CrashInSave => {
            let saves = world.dice.below("saves", 3);
            world.crash_after_saves([server, leader][world.dice.below("who", 2) as usize], saves);
            Ok(())
        }
        Event::Restart => world.restart(server),
        Event::ReplaceMachine => replace_machine(world, server),
        Event::Cut => {
            world.cut.insert((server, any_server(world)));
            Ok(())
        }
        Event::Heal => {
            world.cut.clear();
            Ok(())
        }
    }
}
