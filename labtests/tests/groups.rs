//! A thread belongs to the server whose code created it, even if the test called that code. It crashes together with the
//! server.

use labrpc::api::{ApplyMsg, Command, Raft, Refused, Snapshot, Started};
use labrpc::channel::Sender;
use labrpc::run::Run;
use labrpc::time::{Duration, sleep};
use labrpc::{ClientEnd, Persister, Service, thread};
use labtests::cluster::{Cluster, Setup, Snapshots};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// As in Go, where `Start` may contain `go rf.broadcast()`.
struct SpawnsInStart(Arc<AtomicU64>);

impl Raft for SpawnsInStart {
    fn start(&self, _: Command) -> Result<Started, Refused> {
        let steps = self.0.clone();
        thread::spawn(move || {
            loop {
                sleep(Duration::from_millis(10));
                steps.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(Started { index: 1, term: 1 })
    }

    fn get_state(&self) -> (u64, bool) {
        (1, true)
    }

    fn snapshot(&self, _: u64, _: Snapshot) {}

    fn kill(&self) {}
}

#[test]
fn a_thread_that_start_made_crashes_with_its_server() {
    let steps = Arc::new(AtomicU64::new(0));
    let counted = steps.clone();
    let make = move |_: Vec<ClientEnd>, _: usize, _: Persister, _: Sender<ApplyMsg>| {
        (Arc::new(SpawnsInStart(counted.clone())), Vec::<Service>::new())
    };
    let outcome = Run::simulated(1).run(move || {
        let setup = Setup { servers: 1, members: 1, reliable: true, snapshots: Snapshots::Never };
        let cluster = Cluster::new(labtests::make(make), setup);
        cluster.start(0, &Command::default()).unwrap();
        cluster.sleep(Duration::from_millis(100));
        cluster.crash(0);
        let before = steps.load(Ordering::Relaxed);
        assert!(before > 5, "it ran {before} times");
        cluster.sleep(Duration::from_millis(100));
        assert_eq!(steps.load(Ordering::Relaxed), before);
        cluster.finish();
    });
    outcome.result.unwrap();
}
