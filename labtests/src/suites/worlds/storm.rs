//! Storms: a time of random trouble, while clients give commands. Some kinds of trouble are not in the Go lab. The
//! [invariants](crate::invariants) watch what must hold during the storm. When the storm is over, all servers must agree again.

use crate::cluster::Cluster;
use crate::ledger::command;
use crate::suites::worlds::steps::{anybody, ms, random, restart};
use labrpc::Moment;
use labrpc::network::Duplication;
use labrpc::thread::Hiccups;
use labrpc::time::{Duration, Instant};

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A third of the requests arrive a second time, up to 1.5 s later.
    Duplicates,
    /// Requests and replies take up to 60 ms, so that they overtake each other.
    Reordering,
    /// Two thirds of replies come 200-2200 ms late, past several elections.
    LateReplies,
    /// Requests and replies get lost.
    Loss,
    /// For a while, nothing that one server sends reaches one other server.
    AsymmetricPartitions,
    /// One link is slower than the others for a while.
    SlowLinks,
    /// A server, often the leader, is cut off from everybody for a while.
    Partitions,
    /// A server crashes anywhere between two steps, and starts again.
    Crashes,
    /// A server crashes just before or just after it saves something, and starts again.
    CrashesAtSaves,
    /// Now and then all servers crash at once.
    Blackouts,
    /// A server's thread stops for a while, anywhere between two steps, and the other threads go on. What the thread has seen
    /// may no longer be true when it acts on it.
    SlowThreads,
}

/// Every kind of trouble.
const EVERY: [Fault; 11] = {
    use Fault::*;
    [
        Duplicates,
        Reordering,
        LateReplies,
        Loss,
        AsymmetricPartitions,
        SlowLinks,
        Partitions,
        Crashes,
        CrashesAtSaves,
        Blackouts,
        SlowThreads,
    ]
};

/// Every kind of trouble except these.
pub fn every_but(left_out: &[Fault]) -> Vec<Fault> {
    EVERY.into_iter().filter(|trouble| !left_out.contains(trouble)).collect()
}

/// How long a storm lasts.
const LASTS: Duration = Duration::from_secs(15);

/// How long a server may take to reach the step at which it is to crash. After that it is crashed anyway.
const PATIENCE: Duration = ms(1500);

/// Runs a storm with these troubles. If `commands`, all servers are given commands during the storm. After the storm all
/// servers must agree again.
pub fn storm(cluster: &Cluster, troubles: &[Fault], commands: bool) {
    let led = rage(cluster, troubles, commands);
    calm(cluster);
    let agreed = !commands || cluster.one(random(cluster), cluster.n(), true) > 1;
    // The invariants watch leaders and their entries, so a storm without a leader shows nothing.
    if led && agreed {
        cluster.reached_check();
    }
}

/// Runs a storm and does not end it. Returns whether a server led during the storm.
pub fn rage(cluster: &Cluster, troubles: &[Fault], commands: bool) -> bool {
    let on = |trouble| troubles.contains(&trouble);
    let net = cluster.net();
    net.duplicate(on(Fault::Duplicates).then_some(Duplication { one_in: 3, within: ms(1500) }));
    if on(Fault::Reordering) {
        net.delays(ms(0)..ms(60), ms(0)..ms(60));
    }
    net.long_reordering(on(Fault::LateReplies));
    net.reliable(!on(Fault::Loss));
    if on(Fault::SlowThreads) {
        cluster.hiccups(Some(Hiccups { one_in: 8, lasting: ms(1)..ms(300) }));
    }
    let storm = Storm::over(cluster, troubles, commands);
    let began = Instant::now();
    let mut led = false;
    while began.elapsed() < LASTS && cluster.draws().more("round") {
        led |= cluster.draws().part("round", || storm.round()) == Some(true);
    }
    if on(Fault::SlowThreads) {
        cluster.hiccups(None);
    }
    led
}

/// Whether a trouble comes and goes, and does not last for the whole storm.
fn passes(trouble: Fault) -> bool {
    use Fault::*;
    matches!(
        trouble,
        AsymmetricPartitions | SlowLinks | Partitions | Crashes | CrashesAtSaves | Blackouts
    )
}

/// What the rounds of a storm have in common. What a round consists of are [parts](labrpc::tape) of the run: a tape can leave out
/// each of them.
struct Storm<'a> {
    cluster: &'a Cluster,
    /// The troubles that come and go.
    passing: Vec<Fault>,
    commands: bool,
    /// The servers that a tape leaves out. They run again when the storm is over.
    absent: Vec<usize>,
}

impl Storm<'_> {
    fn over<'a>(cluster: &'a Cluster, troubles: &[Fault], commands: bool) -> Storm<'a> {
        let passing = troubles.iter().copied().filter(|trouble| passes(*trouble)).collect();
        let absent = (0..cluster.n()).filter(|_| !cluster.draws().optional("takes part")).collect();
        let storm = Storm { cluster, passing, commands, absent };
        storm.absent.iter().for_each(|&i| cluster.crash(i));
        storm
    }

    /// Returns whether a server leads at the end of the round.
    fn round(&self) -> bool {
        let (cluster, draws) = (self.cluster, self.cluster.draws());
        if self.commands {
            (0..3).for_each(|_| self.commands_for_all());
        }
        if !self.passing.is_empty() {
            draws.part("trouble", || {
                let which = draws.below("which trouble", self.passing.len() as u64);
                self.trouble(self.passing[which as usize]);
            });
        }
        draws.part("between troubles", || cluster.sleep(draws.millis("between troubles", 0..150)));
        let leads = |i| matches!(cluster.state(i), Some((_, true)));
        (0..cluster.n()).filter(|&i| leads(i)).count() > 0 // `count` asks every server
    }

    /// Gives a command to every server, which may refuse it.
    fn commands_for_all(&self) {
        let (cluster, draws) = (self.cluster, self.cluster.draws());
        draws.part("commands", || {
            for i in 0..cluster.n() {
                if draws.optional("command") {
                    let _ = cluster.start(i, &command(random(cluster)));
                }
            }
            cluster.sleep(draws.millis("between commands", 0..20));
        });
    }

    fn while_it_lasts(&self, longest: u64) {
        let draws = self.cluster.draws();
        let until = Instant::now() + draws.millis("trouble lasts", 0..longest);
        while Instant::now() < until && draws.more("meanwhile") {
            draws.part("meanwhile", || {
                if self.commands {
                    self.commands_for_all();
                }
                self.cluster.sleep(draws.millis("meanwhile", 1..100));
            });
        }
    }

    fn trouble(&self, trouble: Fault) {
        let (cluster, draws) = (self.cluster, self.cluster.draws());
        let (victim, other) = (likely_leader(cluster), anybody(cluster));
        match trouble {
            _ if self.absent.contains(&victim) => {}
            Fault::AsymmetricPartitions if victim != other => {
                cluster.cut_one_way(victim, other, true);
                self.while_it_lasts(2500);
                cluster.cut_one_way(victim, other, draws.chance("stays cut", 1, 4));
            }
            Fault::SlowLinks if victim != other => {
                cluster.delay_link(victim, other, ms(0)..draws.millis("link delay", 20..1500));
            }
            Fault::Partitions => {
                cluster.disconnect(victim);
                self.while_it_lasts(2500);
                cluster.connect(victim);
            }
            Fault::Crashes => {
                cluster.crash_after_steps(victim, draws.below("steps to the crash", 120));
                self.crash_and_restart(victim);
            }
            Fault::CrashesAtSaves => {
                let after = draws.chance("after the save", 1, 2);
                let moment = if after { Moment::After } else { Moment::Before };
                cluster.crash_at_save(victim, draws.range("saves to the crash", 1..4), moment);
                self.crash_and_restart(victim);
            }
            Fault::Blackouts if draws.chance("blackout", 1, 5) => {
                (0..cluster.n()).for_each(|i| cluster.crash(i));
                let present = (0..cluster.n()).filter(|i| !self.absent.contains(i));
                present.for_each(|i| restart(cluster, i));
            }
            _ => {}
        }
    }

    /// Waits until the planned crash has happened, and starts the server again.
    fn crash_and_restart(&self, victim: usize) {
        let cluster = self.cluster;
        let until = Instant::now() + PATIENCE;
        while !cluster.wait_crashed(victim, ms(5)) {
            if self.commands {
                self.commands_for_all(); // a server that has nothing to do saves nothing
            }
            if Instant::now() > until {
                cluster.crash(victim);
            }
        }
        self.while_it_lasts(if cluster.draws().chance("long down", 1, 4) { 2000 } else { 50 });
        restart(cluster, victim);
    }
}

/// Half of the time a server that says that it leads, otherwise a random server.
fn likely_leader(cluster: &Cluster) -> usize {
    let leads = |i: &usize| matches!(cluster.state(*i), Some((_, true)));
    let leader = (0..cluster.n()).rev().find(leads);
    match leader.filter(|_| cluster.draws().chance("the leader", 1, 2)) {
        Some(leader) => leader,
        None => anybody(cluster),
    }
}

/// Ends the storm: all servers run and hear each other, and one of them must lead.
pub fn calm(cluster: &Cluster) {
    cluster.net().duplicate(None);
    cluster.net().delays(ms(0)..ms(0), ms(0)..ms(0));
    cluster.net().long_reordering(false);
    cluster.net().reliable(true);
    cluster.mend_links();
    for i in 0..cluster.n() {
        if cluster.raft(i).is_none() {
            cluster.start_server(i);
        }
        cluster.connect(i);
    }
    // Calls that have not ended yet may take seconds.
    cluster.sleep(Duration::from_secs(2));
    cluster.check_one_leader();
}
