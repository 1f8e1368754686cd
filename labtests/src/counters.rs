//! The state machine that the tests of a replicated state machine use: a counter.

use crate::cluster::{Setup, Stats};
use crate::invariants::Watch;
use crate::service::Site;
use labrpc::api::Refused;
use labrpc::api::kv::{MakeReplicated, Replica, Replicated, StateMachine};
use labrpc::run;
use labrpc::time::{Duration, Instant};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The operations of a [`Counter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Count {
    /// Adds one.
    Up,
    /// No server may ever carry this out: tests give it only to leaders that can't commit it.
    Down,
    /// Changes nothing.
    Nothing,
}

/// A number. Each operation returns its value after the operation.
pub struct Counter {
    number: u64,
    /// A copy of the number, for the tester.
    shown: Arc<AtomicU64>,
}

impl StateMachine for Counter {
    type Op = Count;
    type Output = u64;

    fn apply(&mut self, op: Count) -> u64 {
        match op {
            Count::Up => self.number += 1,
            Count::Nothing => {}
            Count::Down => run::fail(
                "an operation was carried out that can't have been committed: only a leader without a majority had accepted \
                 it, and its entry is overwritten when that server hears from the next leader (§5.3)",
            ),
        }
        self.show();
        self.number
    }

    fn snapshot(&self) -> Vec<u8> {
        self.number.to_le_bytes().to_vec()
    }

    fn restore(&mut self, snapshot: &[u8]) {
        let bytes = snapshot.try_into().unwrap_or_else(|_| {
            run::fail(format!(
                "restore() of a counter was called with {snapshot:?}, which is not a snapshot of a counter"
            ))
        });
        self.number = u64::from_le_bytes(bytes);
        self.show();
    }
}

impl Counter {
    fn show(&self) {
        self.shown.store(self.number, Relaxed);
    }
}

/// The servers of a replicated counter.
#[derive(Clone)]
pub struct Counters {
    site: Arc<Site<dyn Replicated<Counter>>>,
    shown: Arc<[Arc<AtomicU64>]>,
}

impl Deref for Counters {
    type Target = Site<dyn Replicated<Counter>>;
    fn deref(&self) -> &Site<dyn Replicated<Counter>> {
        &self.site
    }
}

/// How long a test waits until an operation is carried out.
const TRIES: Duration = Duration::from_secs(10);

impl Counters {
    /// Starts the servers.
    pub fn new(make: MakeReplicated<Counter>, setup: Setup, watch: Watch) -> Counters {
        let shown: Arc<[Arc<AtomicU64>]> = (0..setup.servers).map(|_| Arc::default()).collect();
        let places = shown.clone();
        let make = move |peers, me: usize, persister, _: BTreeSet<usize>| {
            let shown = places[me].clone();
            shown.store(0, Relaxed);
            let counter = Counter { number: 0, shown };
            make(peers, me, persister, setup.max_raft_state(), counter)
        };
        Counters { site: Arc::new(Site::new(Arc::new(make), setup, watch)), shown }
    }

    /// See [`crate::cluster::Cluster::finish`].
    pub fn finish(&self) -> Stats {
        self.site.finish()
    }

    /// Submits an operation to server `i`. A server that is down refuses like a stopped one.
    pub fn submit(&self, i: usize, op: Count) -> Result<u64, Refused> {
        let result = self.call(i, &format!("submit({op:?})"), |server| server.submit(op));
        if let Some(Ok(_)) = result {
            self.operations().fetch_add(1, Relaxed);
            run::note_progress();
        }
        result.unwrap_or(Err(Refused::Stopped))
    }

    /// Submits an operation to the connected servers in turn, until one carries it out. Returns its result.
    #[track_caller]
    pub fn one(&self, op: Count) -> u64 {
        self.one_of(&self.all(), op)
    }

    /// Like [`Counters::one`], but asks only these servers.
    #[track_caller]
    pub fn one_of(&self, servers: &[usize], op: Count) -> u64 {
        let began = Instant::now();
        while began.elapsed() < TRIES {
            for &i in servers.iter().filter(|&&i| self.is_connected(i)) {
                if let Ok(answer) = self.submit(i, op) {
                    return answer;
                }
            }
            self.sleep(Duration::from_millis(50));
        }
        run::fail(format!(
            "no server carried out {op:?} within {TRIES:?}; {}",
            self.who_thinks_what()
        ))
    }

    /// Waits until at least `servers` servers have counted to `number`.
    #[track_caller]
    pub fn check_counters(&self, number: u64, servers: usize) {
        let began = Instant::now();
        let counted = || self.shown.iter().filter(|shown| shown.load(Relaxed) == number).count();
        while counted() < servers {
            if began.elapsed() >= TRIES {
                let shown: Vec<_> = self.shown.iter().map(|shown| shown.load(Relaxed)).collect();
                let why = if shown.iter().any(|shown| *shown > number) {
                    "a server with a higher counter has carried out an operation more than once, or one that only a deposed leader \
                     had accepted. Look at what a snapshot holds, and at what is carried out again after a restart (§7)"
                } else {
                    "a server with a lower counter has not applied all that is committed: its apply channel isn't read, or it missed \
                     what a snapshot held (§7)"
                };
                run::fail(format!(
                    "{servers} servers must have counted to {number} within {TRIES:?}, but their counters are {shown:?}: {why}"
                ));
            }
            self.sleep(Duration::from_millis(20));
        }
    }

    /// How far server `i` has counted.
    pub fn counted(&self, i: usize) -> u64 {
        self.shown[i].load(Relaxed)
    }

    /// Stops all servers with `kill()`, and then crashes them.
    pub fn shut_down(&self) {
        for i in 0..self.n() {
            self.call(i, "kill()", Replica::kill);
        }
        (0..self.n()).for_each(|i| self.crash(i));
    }

    /// Starts all servers, and connects them.
    pub fn start_all(&self) {
        (0..self.n()).for_each(|i| self.start_server(i));
        self.connect_all();
    }
}
