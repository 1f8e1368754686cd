//! The replicated state machine, on a Raft that does what the test says.

use super::{open, put_in, simulated};
use crate::kv::rsm::{Rsm, pack};
use crate::kv::server::PATIENCE;
use crate::kv::store::{Op, Output, Store};
use labrpc::api::beyond::Reads;
use labrpc::api::kv::{Replica, Replicated, StateMachine};
use labrpc::api::{ApplyMsg, Command, Make, Raft, Refused, Snapshot, Started};
use labrpc::channel::Sender;
use labrpc::sync::{Arc, Mutex};
use labrpc::thread::{self, JoinHandle};
use labrpc::time::{Duration, Instant, sleep};
use labrpc::{Persister, codec};

/// A Raft whose log the test writes.
struct Scripted {
    next: Mutex<Started>,
    leads: Mutex<bool>,
    /// The index that reads get.
    read_at: Mutex<u64>,
    apply_ch: Mutex<Option<Sender<ApplyMsg>>>,
}

impl Raft for Scripted {
    fn start(&self, _: Command) -> Result<Started, Refused> {
        if !*self.leads.lock() {
            return Err(Refused::NotLeader { leader: Some(2) });
        }
        let mut next = self.next.lock();
        let started = *next;
        next.index += 1;
        Ok(started)
    }

    fn get_state(&self) -> (u64, bool) {
        (self.next.lock().term, *self.leads.lock())
    }

    fn snapshot(&self, _: u64, _: Snapshot) {}

    fn kill(&self) {
        self.apply_ch.lock().take();
    }

    fn reads(&self) -> Option<&dyn Reads> {
        Some(self)
    }
}

impl Reads for Scripted {
    fn read_index(&self) -> Result<u64, Refused> {
        Ok(*self.read_at.lock())
    }
}

impl Scripted {
    /// The next command that is started gets this index and this term.
    fn leads_from(&self, index: u64, term: u64) {
        *self.next.lock() = Started { index, term };
        *self.leads.lock() = true;
    }

    fn commits(&self, index: u64, term: u64, op: &Op) {
        let command = Command::from(codec::encode(op));
        self.hands_over(ApplyMsg::Command { index, term, command });
    }

    fn hands_over(&self, message: ApplyMsg) {
        self.apply_ch.lock().clone().unwrap().send(message).unwrap();
    }
}

/// A store on a scripted Raft that leads term 1 from index 1 on.
fn scripted() -> (Arc<Rsm<Store>>, Arc<Scripted>) {
    scripted_on(Persister::new())
}

/// The same, but with what was saved before a restart.
fn scripted_on(persister: Persister) -> (Arc<Rsm<Store>>, Arc<Scripted>) {
    let slot = Arc::new(Mutex::new(None));
    let made = slot.clone();
    let make: Make = Arc::new(move |_, _, _, apply_ch| {
        let (next, leads) = (Mutex::new(Started { index: 1, term: 1 }), Mutex::new(true));
        let (read_at, apply_ch) = (Mutex::new(0), Mutex::new(Some(apply_ch)));
        let raft = Arc::new(Scripted { next, leads, read_at, apply_ch });
        *made.lock() = Some(raft.clone());
        (raft, Vec::new())
    });
    let mut store = Store::default();
    assert_eq!(open(&mut store), 1);
    let (rsm, _) = Rsm::make(&make, Vec::new(), 0, persister, None, store);
    let raft = slot.lock().clone().unwrap();
    (rsm, raft)
}

/// A put in the session that a scripted store has from the beginning.
fn put(number: u64, version: u64) -> Op {
    put_in(1, number, version)
}

fn submit(rsm: &Arc<Rsm<Store>>, op: Op) -> JoinHandle<Result<Output, Refused>> {
    let rsm = rsm.clone();
    let thread = thread::spawn(move || rsm.submit(op));
    sleep(Duration::from_millis(1));
    thread
}

#[test]
fn an_operation_is_answered_by_its_own_entry() {
    simulated(|| {
        let (rsm, raft) = scripted();
        let (first, second) = (submit(&rsm, put(1, 0)), submit(&rsm, put(2, 0)));
        raft.commits(1, 1, &put(1, 0));
        raft.commits(2, 1, &put(2, 0));
        assert_eq!(first.join().unwrap(), Ok(Output::Done));
        assert_eq!(second.join().unwrap(), Ok(Output::OtherVersion));
        rsm.kill();
    });
}

#[test]
fn the_same_operation_of_another_term_is_another_operation() {
    simulated(|| {
        let (rsm, raft) = scripted();
        let waiting = submit(&rsm, put(1, 0));
        raft.commits(1, 2, &put(1, 0)); // another leader's entry, at our index
        assert_eq!(waiting.join().unwrap(), Err(Refused::NotLeader { leader: None }));
        rsm.kill();
    });
}

#[test]
fn an_entry_of_a_newer_term_ends_every_wait_for_older_terms() {
    simulated(|| {
        let (rsm, raft) = scripted();
        let waiting: Vec<_> = (0..3).map(|_| submit(&rsm, put(1, 0))).collect();
        raft.hands_over(ApplyMsg::Internal { index: 1, term: 2 });
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Err(Refused::NotLeader { leader: None }));
        }
        rsm.kill();
    });
}

#[test]
fn a_deposed_leader_gives_up_its_operations_without_a_new_entry() {
    simulated(|| {
        let (rsm, raft) = scripted();
        let waiting = submit(&rsm, put(1, 0));
        sleep(Duration::from_secs(5));
        assert!(!waiting.is_finished(), "it still leads");
        raft.leads_from(1, 3); // it was deposed, and elected again
        let lost = Instant::now();
        assert_eq!(waiting.join().unwrap(), Err(Refused::Deposed));
        assert!(lost.elapsed() <= Duration::from_millis(101));
        rsm.kill();
    });
}

#[test]
fn a_new_entry_at_an_old_index_replaces_the_old_one() {
    simulated(|| {
        let (rsm, raft) = scripted();
        let old = submit(&rsm, put(1, 0));
        raft.leads_from(1, 2);
        let new = submit(&rsm, put(1, 0));
        assert_eq!(old.join().unwrap(), Err(Refused::Deposed));
        raft.commits(1, 2, &put(1, 0));
        assert_eq!(new.join().unwrap(), Ok(Output::Done));
        rsm.kill();
    });
}

#[test]
fn the_result_of_an_operation_that_a_snapshot_covers_is_unknown() {
    simulated(|| {
        let (rsm, raft) = scripted();
        let waiting = submit(&rsm, put(1, 0));
        raft.hands_over(ApplyMsg::Snapshot { index: 3, term: 1, snapshot: empty(3) });
        assert_eq!(waiting.join().unwrap(), Err(Refused::Deposed));
        rsm.kill();
    });
}

/// A snapshot of an empty store.
fn empty(index: u64) -> Snapshot {
    pack(index, Snapshot::from(Store::default().snapshot()))
}

/// Reads key `k` in a thread.
fn read(rsm: &Arc<Rsm<Store>>) -> JoinHandle<Result<Output, Refused>> {
    let rsm = rsm.clone();
    let thread = thread::spawn(move || rsm.read(|store| store.get("k")));
    sleep(Duration::from_millis(1));
    thread
}

#[test]
fn a_read_waits_until_its_index_is_applied() {
    simulated(|| {
        let (rsm, raft) = scripted();
        *raft.read_at.lock() = 2;
        let waiting = read(&rsm);
        raft.commits(1, 1, &put(1, 0));
        sleep(Duration::from_millis(100));
        raft.commits(2, 1, &put(2, 1));
        assert_eq!(waiting.join().unwrap(), Ok(Output::Value(Some(("v".into(), 2)))));
        assert_eq!(read(&rsm).join().unwrap(), Ok(Output::Value(Some(("v".into(), 2)))));
        *raft.read_at.lock() = 3;
        let began = Instant::now();
        assert_eq!(read(&rsm).join().unwrap(), Err(Refused::NotLeader { leader: None }));
        assert!(began.elapsed() >= Duration::from_millis(500), "it waited, and gave up");
        let waiting = read(&rsm);
        raft.hands_over(ApplyMsg::Snapshot { index: 3, term: 1, snapshot: empty(3) });
        assert_eq!(waiting.join().unwrap(), Ok(Output::Value(None)));
        *raft.read_at.lock() = 4;
        let waiting = read(&rsm);
        raft.hands_over(ApplyMsg::Internal { index: 4, term: 1 });
        assert_eq!(
            waiting.join().unwrap(),
            Ok(Output::Value(None)),
            "an internal entry counts, too"
        );
        rsm.kill();
    });
}

#[test]
fn after_a_restart_the_snapshot_tells_how_far_the_machine_is() {
    simulated(|| {
        let persister = Persister::new();
        persister.save(&(), empty(7));
        let (rsm, raft) = scripted_on(persister);
        *raft.read_at.lock() = 7;
        assert_eq!(read(&rsm).join().unwrap(), Ok(Output::Value(None)));
        rsm.kill();
    });
}

#[test]
fn kill_ends_every_wait() {
    simulated(|| {
        let (rsm, _) = scripted();
        let waiting: Vec<_> = (0..3).map(|_| submit(&rsm, put(1, 0))).collect();
        rsm.kill();
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Err(Refused::Stopped));
        }
        assert_eq!(rsm.submit(put(1, 0)), Err(Refused::Stopped));
    });
}

#[test]
fn the_leader_hint_of_raft_is_passed_on() {
    simulated(|| {
        let (rsm, raft) = scripted();
        *raft.leads.lock() = false;
        assert_eq!(rsm.submit(put(1, 0)), Err(Refused::NotLeader { leader: Some(2) }));
        rsm.kill();
    });
}

/// A leader that is cut off accepts requests of clients again and again, and does not know that it is cut off.
#[test]
fn a_client_that_asks_again_leaves_no_thread_waiting() {
    simulated(|| {
        let (rsm, _) = scripted();
        let asks = |number| {
            let rsm = rsm.clone();
            let thread = thread::spawn(move || rsm.submit_within(put(number, 0), PATIENCE));
            sleep(PATIENCE);
            thread
        };
        let threads: Vec<_> = (1..=120).map(asks).collect();
        let waiting = threads.iter().filter(|thread| !thread.is_finished()).count();
        assert!(waiting <= 1, "{waiting} threads wait after one client has asked for a minute");
        assert!(rsm.waiting() <= 1, "callers wait for {} entries", rsm.waiting());
        rsm.kill();
        for (n, thread) in threads.into_iter().enumerate() {
            let expected = if n < 119 { Refused::Deposed } else { Refused::Stopped };
            assert_eq!(thread.join().unwrap(), Err(expected));
        }
    });
}
