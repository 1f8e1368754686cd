//! `kill` ends every thread, whatever the thread waits for.

use labrpc::api::{ApplyMsg, Command, Raft as _};
use labrpc::run::Run;
use labrpc::thread::Group;
use labrpc::{Network, Persister, channel, thread, time};
use raftlab::raft::Raft;
use std::sync::Arc;
use std::time::Duration;

struct Server {
    raft: Arc<Raft>,
    group: Group,
    applied: channel::Receiver<ApplyMsg>,
    /// Calls stay under way as long as this exists.
    _network: Network,
}

/// A server of three that can reach no other, or a server alone; with the group of its threads.
fn server(servers: usize) -> Server {
    let network = Network::new();
    network.long_delays(true);
    let peers = (0..servers).map(|i| network.make_end(format!("S0->S{i}"))).collect();
    let (apply_ch, applied) = channel::bounded(0);
    let group = Group::new("S0");
    let made = group.enter(|| Raft::make(peers, 0, Persister::new(), apply_ch));
    let (raft, _) = made.expect("the group is alive");
    Server { raft, group, applied, _network: network }
}

fn in_both_worlds(body: fn()) {
    for seed in 1..=20 {
        Run::simulated(seed).run(body).result.unwrap();
    }
    Run::real(1).run(body).result.unwrap();
}

#[test]
fn an_applier_that_nobody_reads_from_is_woken() {
    in_both_worlds(|| {
        let Server { raft, group, applied, _network } = server(1);
        while raft.start(Command::from(vec![1])).is_err() {
            time::sleep(Duration::from_millis(10)); // until it has elected itself
        }
        time::sleep(Duration::from_millis(50)); // until the applier waits to deliver the command
        raft.kill();
        assert_eq!(group.alive(), [""; 0]);
        drop(applied);
    });
}

#[test]
fn threads_that_wait_for_replies_are_woken() {
    in_both_worlds(|| {
        let Server { raft, group, applied: _applied, _network } = server(3);
        time::sleep(Duration::from_millis(1200)); // until it is a candidate without any reply
        assert!(raft.get_state().0 > 0);
        raft.kill();
        assert_eq!(group.alive(), [""; 0]);
    });
}

#[test]
fn every_kill_returns_only_when_all_have_ended() {
    in_both_worlds(|| {
        let Server { raft, group, applied: _applied, _network } = server(3);
        let kill = || {
            let (raft, group) = (raft.clone(), group.clone());
            thread::spawn(move || {
                raft.kill();
                group.alive()
            })
        };
        for killer in [kill(), kill()] {
            assert_eq!(killer.join().unwrap(), [""; 0]);
        }
        raft.kill();
    });
}
