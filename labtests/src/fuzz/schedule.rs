//! What happens in a run: episodes, each of its own kind, so that rare histories happen often.
//!
//! A uniform choice among all events seldom gets a leader elected, and never three in a row of which each has told a
//! single follower of its entries. So the most frequent episode is a *reign*: a chosen server is elected by a bare majority that is
//! drawn at random, appends a little, is heard by a few, and is deposed, mostly by a crash. Figure 8 is three reigns.

use super::machine::{Change, Machine, Members, Role};
use super::truth::Broken;
use super::world::World;
use labrpc::time::Duration;

/// How often each event happens in a run of its own, relative to the others. A run that lacks some kinds of events gets
/// deeper into others.
struct Temper {
    reigns: u64,
    chaos: u64,
    calm: u64,
    events: [u64; EVENTS.len()],
}

#[derive(Clone, Copy)]
enum Event {
    Deliver,
    Duplicate,
    Lose,
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

/// With their greatest weights.
const EVENTS: [(Event, u64); 15] = [
    (Event::Deliver, 150),
    (Event::Duplicate, 15),
    (Event::Lose, 20),
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

impl Temper {
    fn draw<M: Machine>(world: &World<M>) -> Temper {
        let dice = &world.dice;
        let weight = |(event, most): (Event, u64)| match event {
            Event::Deliver | Event::Tick | Event::Restart | Event::Heal => most,
            _ if dice.chance("no such event", 1, 3) => 0,
            _ => dice.range("weight", 1..most + 1),
        };
        Temper {
            reigns: dice.range("reigns", 2..12),
            chaos: dice.range("chaos", 1..6),
            calm: dice.range("calm", 1..4),
            events: EVENTS.map(weight),
        }
    }
}

/// A number below the sum of `weights`, as the place of the weight that it falls on.
fn weighted<M: Machine>(world: &World<M>, weights: &[u64]) -> usize {
    let mut rest = world.dice.below("which", weights.iter().sum());
    let falls_here = |weight: &u64| {
        let here = rest < *weight;
        rest = rest.saturating_sub(*weight);
        here
    };
    weights.iter().position(falls_here).unwrap_or_default()
}

/// The trouble of a run.
pub(super) fn trouble<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    let temper = Temper::draw(world);
    for _ in 0..world.dice.range("episodes", 20..50) {
        match weighted(world, &[temper.reigns, temper.chaos, temper.calm]) {
            0 => reign(world)?,
            1 => chaos(world, &temper.events)?,
            _ => calm(world)?,
        }
        if world.dice.chance("old messages get lost", 1, 3) {
            world.flights.clear();
        }
    }
    Ok(())
}

// A reign.

fn reign<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    let candidate = any_server(world);
    let members = world.looks[candidate].configuration().clone();
    let voters = bare_majority(world, candidate, &members);
    only_among(world, &voters);
    for voter in &voters {
        world.restart(*voter)?;
    }
    if !elect(world, candidate, &voters)? {
        return Ok(());
    }
    let audience = audience(world, candidate);
    only_among(world, &audience);
    act_as_leader(world, candidate)?;
    for _ in 0..world.dice.below("steps of a reign", 40) {
        let within = world.setup.heartbeat / 4;
        pass(world, within);
        match world.dice.chance("the leader acts", 1, 5) {
            true => world.tick(candidate)?,
            false => deliver_one(world, &audience)?,
        }
    }
    end_reign(world, candidate)
}

/// Any server, of which some lead more often than others: it takes one that comes back to undo what others have done.
fn any_server<M: Machine>(world: &World<M>) -> usize {
    let servers = world.servers.len() as u64;
    let two = [0; 2].map(|_| world.dice.below("server", servers) as usize);
    two[0].min(two[1])
}

fn bare_majority<M: Machine>(world: &World<M>, with: usize, members: &Members) -> Members {
    let mut others: Vec<usize> = members.iter().copied().filter(|member| *member != with).collect();
    let mut chosen = Members::from([with]);
    while chosen.intersection(members).count() * 2 <= members.len() && !others.is_empty() {
        let other = world.dice.below("voter", others.len() as u64) as usize;
        chosen.insert(others.swap_remove(other));
    }
    chosen
}

/// Few servers mostly, the leader alone sometimes.
fn audience<M: Machine>(world: &World<M>, leader: usize) -> Members {
    let servers = world.servers.len() as u64;
    let most = [1, 2, 2, servers][world.dice.below("audience", 4) as usize];
    let others = (0..world.dice.below("heard by", most + 1))
        .map(|_| world.dice.below("hears", servers) as usize);
    others.chain([leader]).collect()
}

/// Links between all others are cut.
fn only_among<M: Machine>(world: &mut World<M>, group: &Members) {
    let servers = 0..world.servers.len();
    let pairs = servers.clone().flat_map(|from| servers.clone().map(move |to| (from, to)));
    let apart = |(from, to): &(usize, usize)| !(group.contains(from) && group.contains(to));
    world.cut = pairs.filter(apart).collect();
}

/// Lets time pass for the candidate and its voters until it leads, if its log permits.
fn elect<M: Machine>(
    world: &mut World<M>,
    candidate: usize,
    voters: &Members,
) -> Result<bool, Broken> {
    world.now += world.setup.election_timeout.end;
    for _ in 0..60 {
        if world.looks[candidate].role == Role::Leader {
            return Ok(world.is_up(candidate));
        }
        match deliverable(world, voters) {
            flights if flights.is_empty() => {
                let within = world.setup.election_timeout.start / 2;
                pass(world, within);
                world.tick(candidate)?;
            }
            flights => {
                let flight = world.dice.below("message", flights.len() as u64) as usize;
                world.deliver(flights[flight], false)?;
            }
        }
    }
    Ok(false)
}

/// What a leader is asked to do: often nothing, so that it has only old entries to replicate.
fn act_as_leader<M: Machine>(world: &mut World<M>, leader: usize) -> Result<(), Broken> {
    for _ in 0..world.dice.below("commands", 4).saturating_sub(1) {
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

fn end_reign<M: Machine>(world: &mut World<M>, leader: usize) -> Result<(), Broken> {
    match world.dice.below("end of a reign", 6) {
        0 => {} // it leads on, and does not hear of the next one
        1 => {
            let saves = world.dice.below("saves", 3);
            world.crash_after_saves(leader, saves);
            world.propose(leader)?;
            world.restart(leader)?;
        }
        2 | 3 => {
            world.crash(leader)?;
            world.restart(leader)?;
        }
        _ => world.crash(leader)?,
    }
    Ok(())
}

// Chaos.

fn chaos<M: Machine>(world: &mut World<M>, weights: &[u64]) -> Result<(), Broken> {
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
    let servers = world.servers.len() as u64;
    let all: Members = (0..world.servers.len()).collect();
    let server = world.dice.below("server", servers) as usize;
    let leader = world.leader().unwrap_or(server);
    let under_way = world.flights.len() as u64;
    match event {
        Event::Deliver => deliver_one(world, &all),
        Event::Duplicate if under_way > 0 => {
            let flight = world.dice.below("message", under_way) as usize;
            let whole = !world.cut.contains(&world.flights[flight].link());
            if whole { world.deliver(flight, true) } else { Ok(()) }
        }
        Event::Lose if under_way > 0 => {
            let flight = world.dice.below("message", under_way) as usize;
            world.flights.remove(flight);
            Ok(())
        }
        Event::Duplicate | Event::Lose => Ok(()),
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
            world.cut.insert((server, world.dice.below("receiver", servers) as usize));
            Ok(())
        }
        Event::Heal => {
            world.cut.clear();
            Ok(())
        }
    }
}

fn change_members<M: Machine>(world: &mut World<M>, leader: usize) -> Result<(), Broken> {
    let server = world.dice.below("server", world.servers.len() as u64) as usize;
    let change = match world.looks[leader].configuration().contains(&server) {
        true => Change::Remove(server),
        false => Change::Add(server),
    };
    world.change(leader, change)
}

fn transfer<M: Machine>(world: &mut World<M>, leader: usize) -> Result<(), Broken> {
    let to = world.dice.below("successor", world.servers.len() as u64) as usize;
    world.transfer(leader, to)
}

/// Only of a server that nobody counts on: a member that forgets breaks Raft's assumptions (§5.2: votes are durable), and so does one
/// that could be elected again by the first members.
fn replace_machine<M: Machine>(world: &mut World<M>, server: usize) -> Result<(), Broken> {
    let counted = world.looks.iter().any(|look| look.configuration().contains(&server));
    match counted || world.setup.members.contains(&server) {
        true => Ok(()),
        false => world.replace_machine(server),
    }
}

// Calm.

/// Everything works for a while.
fn calm<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    world.cut.clear();
    for server in 0..world.servers.len() {
        if world.dice.chance("comes back", 4, 5) {
            world.restart(server)?;
        }
    }
    for _ in 0..world.dice.range("rounds of calm", 5..40) {
        round(world)?;
    }
    Ok(())
}

/// All messages arrive, in order; everybody notices the time; a command is offered to the leader.
fn round<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    world.now += world.setup.heartbeat / 4;
    for _ in 0..world.flights.len() {
        match world.is_up(world.flights[0].to) {
            true => world.deliver(0, false)?,
            false => _ = world.flights.remove(0),
        }
    }
    (0..world.servers.len()).try_for_each(|server| world.tick(server))?;
    match world.leader() {
        Some(leader) if world.dice.chance("a command", 1, 3) => world.propose(leader),
        _ => Ok(()),
    }
}

/// When all trouble is over, how many of the longest election timeouts a cluster has to elect a leader, to commit a command
/// and to tell everybody of it. In 10,000 runs of the reference none took more than a quarter of this.
const PATIENCE: u32 = 100;

/// "The leader election is the aspect of Raft where timing is most critical" (§5.6): with all servers up and all messages in
/// time, there is a leader soon, and its commands are committed.
pub(super) fn recovery<M: Machine>(world: &mut World<M>) -> Result<(), Broken> {
    world.cut.clear();
    (0..world.servers.len()).try_for_each(|server| world.restart(server))?;
    let began = world.now;
    let deadline = began + PATIENCE * world.setup.election_timeout.end;
    let offered = world.figures.offered;
    while world.now < deadline {
        round(world)?;
        if world.has_recovered(offered) {
            let timeouts = (world.now - began).as_micros() / world.setup.election_timeout.end.as_micros();
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

// Messages and time.

/// Some time passes, up to this.
fn pass<M: Machine>(world: &mut World<M>, at_most: Duration) {
    let most = at_most.as_micros() as u64 + 1;
    world.now += Duration::from_micros(world.dice.below("time", most));
}

/// The messages between servers of `group` that can arrive now, by their numbers.
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
