//! A cluster of the reference with any options, on a network that the test plays with.

use labrpc::api::{ApplyMsg, Command, Raft as _};
use labrpc::channel;
use labrpc::run::Run;
use labrpc::thread::{Builder, Group, bury};
use labrpc::time::{Duration, Instant, sleep};
use labrpc::{Network, Persister, Server};
use parking_lot::Mutex;
use raftlab::raft::{Options, Raft};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Runs `body` in a simulation, under each of three seeds.
pub fn simulated(body: impl Fn() + Send + Clone + 'static) {
    for seed in 1..=3 {
        let run = Run::simulated(seed).time_limit(Duration::from_secs(600));
        run.run(body.clone()).result.unwrap_or_else(|failure| panic!("seed {seed}: {failure:?}"));
    }
}

/// So many milliseconds.
pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The servers.
pub struct Cluster {
    network: Network,
    options: Options,
    servers: Vec<Incarnation>,
    /// The commands that each server has applied, over all its incarnations.
    applied: Vec<Arc<Mutex<BTreeSet<u64>>>>,
    /// Grows with every server that is started.
    started: usize,
}

/// One life of a server.
struct Incarnation {
    raft: Arc<Raft>,
    group: Group,
    persister: Persister,
    ends: Vec<String>,
}

impl Cluster {
    /// So many servers with these options.
    pub fn new(servers: usize, options: Options) -> Cluster {
        let applied = (0..servers).map(|_| Arc::default()).collect();
        let network = Network::new();
        let mut cluster = Cluster { network, options, servers: Vec::new(), applied, started: 0 };
        for me in 0..servers {
            let server = cluster.start(me, Persister::new());
            cluster.servers.push(server);
        }
        cluster
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Server `i`.
    pub fn raft(&self, i: usize) -> &Arc<Raft> {
        &self.servers[i].raft
    }

    /// The end on which server `from` calls server `to`.
    pub fn end(&self, from: usize, to: usize) -> &str {
        &self.servers[from].ends[to]
    }

    /// Cuts server `i` off from the others, or takes it back.
    pub fn cut_off(&self, i: usize, yes: bool) {
        for j in (0..self.servers.len()).filter(|j| *j != i) {
            self.network.enable(self.end(i, j), !yes);
            self.network.enable(self.end(j, i), !yes);
        }
    }

    /// Crashes server `i` and starts it again with what it had saved, or with an empty disk.
    pub fn restart(&mut self, i: usize, empty: bool) {
        let before = &self.servers[i];
        before.ends.iter().for_each(|end| self.network.delete_end(end));
        self.network.delete_server(&format!("S{i}"));
        before.group.crash();
        let persister = if empty { Persister::new() } else { before.persister.succeed() };
        let server = self.start(i, persister);
        bury(std::mem::replace(&mut self.servers[i], server));
    }

    fn start(&mut self, me: usize, persister: Persister) -> Incarnation {
        self.started += 1;
        let incarnation = self.started;
        let ends: Vec<_> =
            (0..self.applied.len()).map(|to| format!("S{me}.{incarnation}->S{to}")).collect();
        let peers = ends.iter().enumerate().map(|(to, end)| {
            let peer = self.network.make_end(end.as_str());
            self.network.connect(end, &format!("S{to}"));
            self.network.enable(end, true);
            peer
        });
        let peers = peers.collect();
        let (apply_ch, messages) = channel::bounded(0);
        let group = Group::new(format!("S{me}"));
        let raft = group.enter(|| {
            let options = self.options.clone();
            let (raft, services) = Raft::make_with(options, peers, me, persister.clone(), apply_ch);
            self.network.add_server(format!("S{me}"), Server::new(services));
            let applied = self.applied[me].clone();
            let reader = Builder::new().name("service").spawn(move || {
                for message in messages.iter() {
                    if let ApplyMsg::Command { index, .. } = message {
                        applied.lock().insert(index);
                    }
                }
            });
            reader.expect("a simulation refuses no thread");
            raft
        });
        Incarnation { raft: raft.expect("nobody crashes it yet"), group, persister, ends }
    }

    /// The server that leads the newest term, and that term.
    pub fn leader(&self) -> Option<(u64, usize)> {
        let states =
            self.servers.iter().enumerate().map(|(i, server)| (server.raft.get_state(), i));
        states.filter(|((_, leads), _)| *leads).map(|((term, _), i)| (term, i)).max()
    }

    /// Waits for a leader.
    pub fn elected(&self, within: Duration) -> Option<usize> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some((_, leader)) = self.leader() {
                return Some(leader);
            }
            sleep(ms(10));
        }
        None
    }

    /// Offers a command to each of these servers every 100 ms.
    pub fn load(&self, servers: &[usize], during: Duration) {
        let deadline = Instant::now() + during;
        while Instant::now() < deadline {
            for &i in servers {
                let _ = self.raft(i).start(Command::from(vec![7; 100]));
            }
            sleep(ms(100));
        }
    }

    /// How many commands server `i` has applied.
    pub fn commits(&self, i: usize) -> usize {
        self.applied[i].lock().len()
    }
}
