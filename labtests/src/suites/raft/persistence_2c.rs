//! 2C: persistence (Figure 2), and networks that lose, delay and reorder messages.

use crate::cluster::Cluster;
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{reliable, unreliable};
use crate::suites::worlds::steps::{after, anybody, random, restart};
use labrpc::api::Command;
use labrpc::run;
use labrpc::sync::Arc;
use labrpc::thread::{self, JoinHandle};
use labrpc::time::Duration;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

tests! { "2C", Raft:
    persist1 = "Persist1", reliable(3);
    persist2 = "Persist2", reliable(5);
    persist3 = "Persist3", reliable(3);
    figure_8 = "Figure8", reliable(5);
    unreliable_agree = "UnreliableAgree", unreliable(5);
    figure_8_unreliable = "Figure8Unreliable", unreliable(5);
    reliable_churn = "ReliableChurn", reliable(5);
    unreliable_churn = "UnreliableChurn", unreliable(5);
}

/// Crashes all servers, then the leader, then a follower, and starts them again. They must not lose anything that Figure 2 calls
/// persistent.
fn persist1(cluster: &Cluster) {
    let n = cluster.n();
    cluster.one(11, n, true);
    (0..n).for_each(|i| cluster.start_server(i));
    (0..n).for_each(|i| cluster.connect(i));
    cluster.one(12, n, true);
    restart(cluster, cluster.check_one_leader());
    cluster.one(13, n, true);
    let leader = cluster.check_one_leader();
    cluster.crash(leader);
    cluster.one(14, n - 1, true);
    restart(cluster, leader);
    cluster.wait(4, n, None); // the old leader has to catch up before the next server crashes
    let follower = after(cluster, cluster.check_one_leader(), 1);
    cluster.crash(follower);
    cluster.one(15, n - 1, true);
    restart(cluster, follower);
    cluster.one(16, n, true);
}

/// Lets two different majorities commit commands, five times. The servers that are in both majorities crash in between, so the
/// second majority knows the log only if it was persisted (Figure 2).
fn persist2(cluster: &Cluster) {
    let n = cluster.n();
    let mut value = 10;
    let mut one = |servers| {
        value += 1;
        cluster.one(value, servers, true);
    };
    for _ in 0..5 {
        one(n);
        let leader = cluster.check_one_leader();
        let ring: Vec<_> = (0..n).map(|steps| after(cluster, leader, steps)).collect();
        [ring[1], ring[2]].iter().for_each(|&i| cluster.crash(i));
        one(n - 2);
        [ring[0], ring[3], ring[4]].iter().for_each(|&i| cluster.crash(i));
        [ring[1], ring[2]].iter().for_each(|&i| restart(cluster, i));
        cluster.sleep(ELECTION_TIMEOUT);
        restart(cluster, ring[3]); // without it, the other two have a shorter log and no majority
        one(n - 2);
        [ring[4], ring[0]].iter().for_each(|&i| restart(cluster, i));
    }
    cluster.one(1000, n, true);
}

/// Restarts a leader together with a follower that missed a committed command. The command must not get lost (Figure 2).
fn persist3(cluster: &Cluster) {
    cluster.one(101, 3, true);
    let leader = cluster.check_one_leader();
    let [first, second] = [1, 2].map(|steps| after(cluster, leader, steps));
    cluster.disconnect(second);
    cluster.one(102, 2, true);
    cluster.crash(leader);
    cluster.crash(first);
    cluster.connect(second);
    restart(cluster, leader);
    cluster.one(103, 2, true);
    restart(cluster, first);
    cluster.one(104, 3, true);
}

/// How the tests of Figure 8 wait between two rounds: mostly at most 13 ms, sometimes long enough for an election.
fn pause(cluster: &Cluster) {
    let draws = cluster.draws();
    let half = ELECTION_TIMEOUT.as_millis() as u64 / 2;
    let long = draws.chance("long pause", 1, 10);
    cluster.sleep(draws.millis("pause", if long { 0..half } else { 0..13 }));
}

/// Gives a command to a server, unless a tape leaves it out. Returns whether the server took it.
fn takes_command(cluster: &Cluster, i: usize) -> bool {
    cluster.draws().optional("command") && cluster.start(i, &command(random(cluster))).is_ok()
}

/// Crashes leaders soon after they have accepted a command, in a thousand rounds. So the logs have entries of many terms, as in
/// Figure 8, and a leader must not commit an entry of an older term by counting replicas (§5.4.2).
fn figure_8(cluster: &Cluster) {
    let n = cluster.n();
    cluster.one(random(cluster), 1, true);
    let mut up = n;
    for _ in 0..1000 {
        cluster.draws().part("round", || {
            let mut leader = None;
            for i in 0..n {
                if takes_command(cluster, i) {
                    leader = Some(i);
                }
            }
            pause(cluster);
            if let Some(leader) = leader {
                cluster.crash(leader);
                up -= 1;
            }
            if up < 3 {
                let i = anybody(cluster);
                if cluster.raft(i).is_none() {
                    restart(cluster, i);
                    up += 1;
                }
            }
        });
    }
    for i in 0..n {
        if cluster.raft(i).is_none() {
            restart(cluster, i);
        }
    }
    cluster.one(random(cluster), n, true);
}

/// Gives many commands at once, on a network that loses one in five calls. All servers must agree on all of them (§5.3).
fn unreliable_agree(cluster: &Cluster) {
    let mut others = Vec::new();
    for round in 1..50 {
        for j in 0..4 {
            let cluster = cluster.clone();
            others.push(thread::spawn(move || cluster.one(100 * round + j, 1, true)));
        }
        cluster.one(round, 1, true);
    }
    cluster.net().reliable(true);
    for other in others {
        let _ = other.join();
    }
    cluster.one(100, cluster.n(), true);
}

/// Plays Figure 8 with leaders that are cut off, not crashed, on an unreliable network. From round 200 on, the network delays
/// most replies by up to two seconds.
fn figure_8_unreliable(cluster: &Cluster) {
    let n = cluster.n();
    cluster.one(random(cluster), 1, true);
    for round in 0..1000 {
        if round == 200 {
            cluster.net().long_reordering(true);
        }
        cluster.draws().part("round", || {
            let mut leader = None;
            for i in 0..n {
                if takes_command(cluster, i) && cluster.is_connected(i) {
                    leader = Some(i);
                }
            }
            pause(cluster);
            if let Some(leader) = leader
                && cluster.draws().chance("cut off the leader", 1, 2)
            {
                cluster.disconnect(leader);
            }
            if cluster.connected() < 3 {
                let i = anybody(cluster);
                if !cluster.is_connected(i) {
                    cluster.connect(i);
                }
            }
        });
    }
    for i in 0..n {
        if !cluster.is_connected(i) {
            cluster.connect(i);
        }
    }
    cluster.one(random(cluster), n, true);
}

/// Runs [`churn`] on a network that loses nothing.
fn reliable_churn(cluster: &Cluster) {
    churn(cluster);
}

/// Runs [`churn`] on an unreliable network.
fn unreliable_churn(cluster: &Cluster) {
    churn(cluster);
}

/// Cuts servers off, crashes them and brings them back while three clients give commands. What a client saw committed must stay
/// committed (Leader Completeness, §5.4).
fn churn(cluster: &Cluster) {
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..3).map(|me| client(cluster, me, &stop)).collect();
    let draws = cluster.draws();
    for _ in 0..20 {
        if draws.chance("cut one off", 1, 5) {
            cluster.disconnect(anybody(cluster));
        }
        if draws.chance("bring one back", 1, 2) {
            let i = anybody(cluster);
            if cluster.raft(i).is_none() {
                cluster.start_server(i);
            }
            cluster.connect(i);
        }
        if draws.chance("crash one", 1, 5) {
            let i = anybody(cluster);
            if cluster.raft(i).is_some() {
                cluster.crash(i);
            }
        }
        // This is shorter than an election, so that the servers can't recover fully before the next trouble.
        cluster.sleep(ELECTION_TIMEOUT * 7 / 10);
    }
    cluster.sleep(ELECTION_TIMEOUT);
    cluster.net().reliable(true);
    for i in 0..cluster.n() {
        if cluster.raft(i).is_none() {
            cluster.start_server(i);
        }
        cluster.connect(i);
    }
    stop.store(true, Ordering::Relaxed);
    // If a client failed, the test has failed already.
    let seen = clients.into_iter().map(|client| client.join().unwrap_or_default());
    let seen: Vec<(u64, Command)> = seen.flatten().collect();
    if seen.is_empty() {
        run::fail("in 14 s of churn no client saw a single command committed");
    }
    cluster.sleep(ELECTION_TIMEOUT);
    let last = cluster.one(random(cluster), cluster.n(), true);
    let log: BTreeMap<_, _> = (1..=last)
        .filter_map(|index| Some((index, cluster.wait(index, cluster.n(), None)?)))
        .collect();
    if let Some((index, lost)) = seen.iter().find(|(index, seen)| log.get(index) != Some(seen)) {
        run::fail(format!(
            "a client saw that {0} was committed at index {index}, but {0} isn't at that index any more (Leader Completeness, \
             Figure 3, §5.4)",
            crate::ledger::show(lost)
        ));
    }
}

/// Starts a client of the churn. The client returns what it saw committed.
fn client(cluster: &Cluster, me: u64, stop: &Arc<AtomicBool>) -> JoinHandle<Vec<(u64, Command)>> {
    let (cluster, stop) = (cluster.clone(), stop.clone());
    let body = move || {
        let mut seen = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let value = command(random(&cluster));
            let mut index = None;
            for i in 0..cluster.n() {
                if let Ok(started) = cluster.start(i, &value) {
                    index = Some(started.index);
                }
            }
            match index {
                Some(index) => seen.extend(poll(&cluster, index, value)),
                None => cluster.sleep(Duration::from_millis(79 + me * 17)),
            }
        }
        seen
    };
    let thread = thread::Builder::new().name(format!("client {me}")).spawn(body);
    thread.expect("the system refuses another thread")
}

/// Waits until something is committed at `index`. Returns it if it is `value`.
fn poll(cluster: &Cluster, index: u64, value: Command) -> Option<(u64, Command)> {
    for pause in [10, 20, 50, 100, 200] {
        if let Some(found) = cluster.n_committed(index).1 {
            return (found == value).then_some((index, value));
        }
        cluster.sleep(Duration::from_millis(pause));
    }
    None
}
