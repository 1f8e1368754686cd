//! The schedule of a run: episodes of several kinds, so that rare histories happen often.
//!
//! If all events are chosen uniformly, a leader is seldom elected. Three leaders in a row, each of which has told only one
//! follower of its entries, never occur. So the most frequent episode is a [`leadership`]: a chosen server is elected by a bare
//! majority, appends a little, reaches only a few servers, and is deposed. Figure 8 is three leaderships.

mod calm;
mod chaos;
mod leadership;
mod rejoin;

use super::machine::{Change, Machine, Members};
use super::truth::Broken;
use super::world::World;
pub(super) use calm::recovery;
use chaos::{EVENTS, Event};
use labrpc::time::Duration;
use leadership::Leaderships;

/// How often each kind of episode and event happens in this run, relative to the others. A run without some kinds of events
/// gets further with the other kinds.
struct Temper {
    episodes: [u64; 5],
    events: [u64; EVENTS.len()],
}

impl Temper {
    fn draw<M: Machine>(world: &World<M>) -> Temper {
        let dice = &world.dice;
        let weight = |(event, most): (Event, u64)| match event {
            Event::Deliver | Event::Tick | Event::Restart | Event::Heal => most,
            _ if dice.chance("no such event", 1, 3) => 0,
            _ => dice.range("weight", 1..most + 1),
        };
        let episodes = [(6, 24), (0, 4), (1, 6), (1, 4), (0, 2)];
        let episodes = episodes.map(|(least, most)| dice.range("episodes of a kind", least..most));
        Temper { episodes, events: EVENTS.map(weight) }
    }
}

/// Chooses an index at random, with a probability in proportion to its weight.
fn weighted<M: Machine>(world: &World<M>, weights: &[u64]) -> usize {
    let mut rest = world.dice.below("which", weights.iter().sum());
    let falls_here = |weight: &u64| {
        let here = rest < *weight;
        rest = rest.saturating_sub(*weight);
        here
    };
    weights.iter().position(falls_here).unwrap_or_default()
}

/// The faults of a run.
pub(super) fn trouble<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    let temper = Temper::draw(world);
    let mut leaderships = Leaderships::default();
    for _ in 0..world.dice.range("episodes", 30..80) {
        match weighted(world, &temper.episodes) {
            0 => leaderships.next(world)?,
            1 => leadership::coup(world)?,
            2 => chaos::chaos(world, &temper.events)?,
            4 => rejoin::rejoin(world)?,
            _ => calm::calm(world)?,
        }
        if world.dice.chance("old messages get lost", 1, 3) {
            world.flights.clear();
        }
    }
    Ok(())
}

fn change_members<M: Machine>(world: &mut World<M>, leader: usize) -> Result<(), Broken> {
    let server = any_server(world);
    let change = match world.looks[leader].configuration().contains(&server) {
        true => Change::Remove(server),
        false => Change::Add(server),
    };
    world.change(leader, change)
}

fn transfer<M: Machine>(world: &mut World<M>, leader: usize) -> Result<(), Broken> {
    let to = any_server(world);
    world.transfer(leader, to)
}

fn any_server<M: Machine>(world: &World<M>) -> usize {
    world.dice.below("server", world.servers.len() as u64) as usize
}

/// Lets a random time pass, at most this.
fn pass<M: Machine>(world: &mut World<M>, at_most: Duration) {
    let most = at_most.as_micros() as u64 + 1;
    world.now += Duration::from_micros(world.dice.below("time", most));
}

/// The messages between servers of `group` that can arrive now, as indices.
fn deliverable<M: Machine>(world: &World<M>, group: &Members) -> Vec<usize> {
    let arrives = |(from, to): (usize, usize)| {
        group.contains(&from)
            && group.contains(&to)
            && world.is_up(to)
            && !world.cut.contains(&(from, to))
    };
    let flights = world.flights.iter().enumerate();
    flights.filter(|(_, flight)| arrives(flight.link())).map(|(number, _)| number).collect()
}

fn deliver_one<M: Machine>(world: &mut World<M>, group: &Members) -> Result<(), Broken> {
    let flights = deliverable(world, group);
    if flights.is_empty() {
        return Ok(());
    }
    let flight = world.dice.below("message", flights.len() as u64) as usize;
    world.deliver(flights[flight], false)
}
