//! A leadership is the leadership of one server: it is elected by a bare majority, appends a little, reaches only a few servers, and
//! is deposed.

use super::super::machine::{Machine, Members, Role};
use super::super::truth::Broken;
use super::super::world::World;
use super::calm::calm;
use super::{any_server, change_members, deliver_one, deliverable, pass, transfer};

/// The leaderships of a run. The next leadership is often related to earlier ones: an old leader comes back, or a server that the last
/// leader did not reach undoes what that leader did.
#[derive(Default)]
pub(super) struct Leaderships {
    past: Vec<Leadership>,
}

#[derive(Clone)]
struct Leadership {
    leader: usize,
    /// The servers that the leader reaches, including itself.
    reachable: Members,
}

impl Leaderships {
    /// Runs one more leadership.
    pub fn next<M: Machine>(&mut self, world: &mut World<M>) -> Result<(), Broken> {
        let candidate = self.candidate(world);
        let voters = self.voters(world, candidate);
        only_among(world, &voters);
        for voter in &voters {
            world.restart(*voter)?;
        }
        world.now += world.setup.election_timeout.end;
        if !elect(world, candidate, &voters)? {
            return Ok(());
        }
        let reachable = self.reachable(world, candidate);
        self.past.push(Leadership { leader: candidate, reachable: reachable.clone() });
        only_among(world, &reachable);
        act_as_leader(world, candidate)?;
        for _ in 0..world.dice.below("steps of a leadership", 40) {
            let within = world.setup.heartbeat / 4;
            pass(world, within);
            match world.dice.chance("the leader acts", 1, 5) {
                true => world.tick(candidate)?,
                false => deliver_one(world, &reachable)?,
            }
        }
        end_leadership(world, candidate)
    }

    fn candidate<M: Machine>(&self, world: &World<M>) -> usize {
        let any = any_server(world);
        let [.., last] = &self.past[..] else { return any };
        let before = self.past.iter().rev().find(|leadership| leadership.leader != last.leader);
        let outsiders: Vec<usize> =
            (0..world.servers.len()).filter(|server| !last.reachable.contains(server)).collect();
        match (world.dice.below("who leads next", 8), before, &outsiders[..]) {
            (0..=2, Some(before), _) => before.leader,
            (3..=5, _, [_, ..]) => {
                outsiders[world.dice.below("outsider", outsiders.len() as u64) as usize]
            }
            (6, ..) => last.leader,
            _ => any,
        }
    }

    /// A bare majority of the candidate's members: those that can vote for it, if there are enough, and often those that the
    /// last leader did not reach.
    fn voters<M: Machine>(&self, world: &World<M>, candidate: usize) -> Members {
        let ours = &world.looks[candidate];
        let heard = self.past.last().filter(|_| world.dice.chance("who has not heard", 1, 2));
        let reluctance = |voter: &usize| {
            let theirs = &world.looks[*voter];
            let refuses = theirs.log_end() > ours.log_end();
            let has_heard = heard.is_some_and(|leadership| leadership.reachable.contains(voter));
            (*voter != candidate, refuses, has_heard, world.dice.below("voter", 100))
        };
        let members = ours.configuration();
        let mut voters: Vec<usize> = members.iter().copied().collect();
        voters.sort_by_cached_key(reluctance);
        voters.truncate(members.len() / 2 + 1);
        voters.into_iter().chain([candidate]).collect()
    }

    /// The servers that the leader reaches: usually few, sometimes only the leader, often those that the last leader reached.
    fn reachable<M: Machine>(&self, world: &World<M>, leader: usize) -> Members {
        let again = world.dice.chance("the same hear", 1, 3);
        if let Some(last) = self.past.last().filter(|_| again) {
            return last.reachable.iter().copied().chain([leader]).collect();
        }
        let servers = world.servers.len() as u64;
        let most = [1, 2, 2, servers][world.dice.below("reachable", 4) as usize];
        let others = (0..world.dice.below("heard by", most + 1)).map(|_| any_server(world));
        others.chain([leader]).collect()
    }
}

/// Cuts all links except those within the group.
fn only_among<M: Machine>(world: &mut World<M>, group: &Members) {
    let servers = 0..world.servers.len();
    let pairs = servers.clone().flat_map(|from| servers.clone().map(move |to| (from, to)));
    let apart = |(from, to): &(usize, usize)| !(group.contains(from) && group.contains(to));
    world.cut = pairs.filter(apart).collect();
}

/// Lets time pass for the candidate and delivers messages among its voters until it leads, if its log permits.
fn elect<M: Machine>(
    world: &mut World<M>,
    candidate: usize,
    voters: &Members,
) -> Result<bool, Broken> {
    for _ in 0..60 {
        if world.looks[candidate].role == Role::Leader {
            return Ok(world.is_up(candidate));
        }
        match deliverable(world, voters) {
            flights if flights.is_empty() => {
                world.tick(candidate)?;
                let within = world.setup.heartbeat;
                pass(world, within);
            }
            flights => {
                let flight = world.dice.below("message", flights.len() as u64) as usize;
                world.deliver(flights[flight], false)?;
            }
        }
    }
    Ok(false)
}

/// What clients and operators ask of a leader: often nothing, so that it has only old entries to replicate.
fn act_as_leader<M: Machine>(world: &mut World<M>, leader: usize) -> Result<(), Broken> {
    for _ in 0..world.dice.below("commands", 5).saturating_sub(1) {
        world.propose(leader)?;
    }
    if world.dice.chance("reads", 1, 4) {
        world.read(leader)?;
    }
    if world.dice.chance("changes members", 1, 6) {
        change_members(world, leader)?;
    }
    if world.dice.chance("hands over", 1, 20) {
        transfer(world, leader)?;
    }
    Ok(())
}

/// The leader crashes, perhaps during a save; or it goes on leading and does not hear of its successor.
fn end_leadership<M: Machine>(world: &mut World<M>, leader: usize) -> Result<(), Broken> {
    match world.dice.below("end of a leadership", 8) {
        0..=5 => {}
        6 => {
            let saves = world.dice.below("saves", 3);
            world.crash_after_saves(leader, saves);
            world.propose(leader)?;
        }
        _ => world.crash(leader)?,
    }
    match world.dice.chance("restarts at once", 1, 2) {
        true => world.restart(leader),
        false => Ok(()),
    }
}

/// A server that has not heard from the leader for a long time is elected by servers that have just heard from it. It commits a
/// command, and then the old leader is asked for a read. With a lease, the voters must refuse (thesis §6.4.1); without a lease,
/// the old leader must not answer the read.
pub(super) fn coup<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    calm(world)?;
    let Some(leader) = world.leader() else { return Ok(()) };
    let members = world.looks[leader].configuration().clone();
    let candidate = any_server(world);
    if candidate == leader || !members.contains(&candidate) {
        return Ok(());
    }
    let all: Members = (0..world.servers.len()).collect();
    let without = |server: usize| -> Members { &all - &Members::from([server]) };
    let (court, plotters) = (without(candidate), without(leader));
    only_among(world, &court);
    let until = world.now + world.setup.election_timeout.end;
    while world.now < until && world.leader() == Some(leader) {
        world.now += world.setup.heartbeat / 2;
        court.iter().try_for_each(|server| world.tick(*server))?;
        for _ in 0..4 * members.len() {
            deliver_one(world, &court)?;
        }
    }
    only_among(world, &plotters);
    world.flights.clear();
    if elect(world, candidate, &plotters)? {
        world.propose(candidate)?;
        for _ in 0..8 * members.len() {
            deliver_one(world, &plotters)?;
        }
    }
    world.read(leader)?;
    world.tick(leader)
}
