//! 2C: persistence (Figure 2), and networks that lose, delay and reorder.

use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::Cluster;
use crate::ledger::command;
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

/// All crash, the leader crashes, a follower crashes; nothing is forgotten.
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
    cluster.wait(4, n, None); // it has to catch up before the next one is down
    let follower = after(cluster, cluster.check_one_leader(), 1);
    cluster.crash(follower);
    cluster.one(15, n - 1, true);
    restart(cluster, follower);
    cluster.one(16, n, true);
}

/// Five rounds in which different majorities carry the log on, with nobody in common who didn't crash.
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
        restart(cluster, ring[3]); // without it, the two have a shorter log and no majority
        one(n - 2);
        [ring[4], ring[0]].iter().for_each(|&i| restart(cluster, i));
    }
    cluster.one(1000, n, true);
}

/// A leader comes back to a follower that missed what it had committed.
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

/// The tests around Figure 8 wait so long between two rounds: mostly not at all, sometimes for an election.
fn pause(cluster: &Cluster) {
    let draws = cluster.draws();
    let half = ELECTION_TIMEOUT.as_millis() as u64 / 2;
    let long = draws.chance("long pause", 1, 10);
    cluster.sleep(draws.millis("pause", if long { 0..half } else { 0..13 }));
}

/// Leaders crash as soon as they have taken a command, a thousand times: entries of many terms meet, as in Figure 8.
fn figure_8(cluster: &Cluster) {
    let n = cluster.n();
    cluster.one(random(cluster), 1, true);
    let mut up = n;
    for _ in 0..1000 {
        let mut leader = None;
        for i in 0..n {
            if cluster.start(i, &command(random(cluster))).is_ok() {
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
    }
    for i in 0..n {
        if cluster.raft(i).is_none() {
            restart(cluster, i);
        }
    }
    cluster.one(random(cluster), n, true);
}

/// Many commands at once, on a network that loses one in five calls.
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

/// Figure 8 with leaders that are cut off, on an unreliable network that from round 200 on delays most replies by up to
/// two seconds.
fn figure_8_unreliable(cluster: &Cluster) {
    let n = cluster.n();
    cluster.one(random(cluster), 1, true);
    for round in 0..1000 {
        if round == 200 {
            cluster.net().long_reordering(true);
        }
        let mut leader = None;
        for i in 0..n {
            if cluster.start(i, &command(random(cluster))).is_ok() && cluster.is_connected(i) {
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
    }
    for i in 0..n {
        if !cluster.is_connected(i) {
            cluster.connect(i);
        }
    }
    cluster.one(random(cluster), n, true);
}

fn reliable_churn(cluster: &Cluster) {
    churn(cluster);
}

fn unreliable_churn(cluster: &Cluster) {
    churn(cluster);
}

/// Servers come and go while three clients give commands. What a client saw committed stays committed.
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
        // Shorter than an election, so that not everything heals in between.
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
    // A client that failed has failed the test.
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
            "a client saw {} committed at index {index}, and it isn't there any more (Leader Completeness, \
             Figure 3, §5.4)",
            crate::ledger::show(lost)
        ));
    }
}

/// A client of the churn: what it saw committed.
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

/// Waits for something to be committed at `index`; gives it back if it is `value`.
fn poll(cluster: &Cluster, index: u64, value: Command) -> Option<(u64, Command)> {
    for pause in [10, 20, 50, 100, 200] {
        if let Some(found) = cluster.n_committed(index).1 {
            return (found == value).then_some((index, value));
        }
        cluster.sleep(Duration::from_millis(pause));
    }
    None
}
