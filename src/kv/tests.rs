//! The store by itself, and the replicated state machine on a Raft that does what a test says.

use super::rsm::{Rsm, pack};
use super::store::{Op, Output, Stamp, Store, Write};
use labrpc::api::beyond::Reads;
use labrpc::api::kv::{Replica, Replicated, StateMachine};
use labrpc::api::{ApplyMsg, Command, Make, Raft, Refused, Snapshot, Started};
use labrpc::channel::Sender;
use labrpc::run::Run;
use labrpc::sync::{Arc, Mutex};
use labrpc::thread::{self, JoinHandle};
use labrpc::time::{Duration, Instant, sleep};
use labrpc::{Persister, codec};

fn append(session: u64, number: u64, value: &str) -> Op {
    let (key, value) = ("k".into(), value.into());
    Op::Write { stamp: Stamp { session, number }, key, value, how: Write::Append }
}

fn open(store: &mut Store) -> u64 {
    match store.apply(Op::OpenSession) {
        Output::Session(session) => session,
        other => panic!("{other:?}"),
    }
}

fn value(store: &mut Store) -> Option<(String, u64)> {
    match store.apply(Op::Get { key: "k".into() }) {
        Output::Value(value) => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_write_is_done_once_however_often_it_comes() {
    let mut store = Store::default();
    let (a, b) = (open(&mut store), open(&mut store));
    for op in [append(a, 1, "x"), append(b, 1, "y"), append(a, 1, "x"), append(a, 2, "z")] {
        assert_eq!(store.apply(op), Output::Done);
    }
    assert_eq!(store.apply(append(a, 1, "x")), Output::Done, "an old one that was on its way");
    assert_eq!(value(&mut store), Some(("xyz".into(), 3)));
}

#[test]
fn sessions_are_in_the_snapshot() {
    let mut store = Store::default();
    let session = open(&mut store);
    store.apply(append(session, 1, "x"));
    let mut other = Store::default();
    other.restore(&store.snapshot());
    other.apply(append(session, 1, "x"));
    assert_eq!(value(&mut other), Some(("x".into(), 1)));
}

#[test]
fn idle_sessions_are_forgotten_at_the_same_entry_everywhere() {
    let mut store = Store::new(16);
    let (idle, busy) = (open(&mut store), open(&mut store));
    store.apply(append(idle, 1, "i"));
    let mut copy = Store::new(16);
    let mut forgotten = None;
    for number in 1..=40 {
        copy.restore(&store.snapshot()); // also one that has just been restored forgets it then
        for store in [&mut store, &mut copy] {
            assert_eq!(store.apply(append(busy, number, "b")), Output::Done);
        }
        assert_eq!(copy.snapshot(), store.snapshot());
        let gone = copy.apply(append(idle, 1, "i")) == Output::SessionExpired;
        forgotten = forgotten.or(gone.then_some(number));
    }
    assert!((15..=18).contains(&forgotten.unwrap()), "{forgotten:?} writes of others");
    assert_eq!(store.apply(append(idle, 2, "j")), Output::SessionExpired);
    let new = open(&mut store);
    assert_ne!(new, idle, "a session's number is never given again");
}

#[test]
fn a_versioned_put_needs_its_version() {
    let mut store = Store::default();
    let mut put = |version| {
        let (key, value) = ("k".to_string(), format!("v{version}"));
        store.apply(Op::PutVersion { key, value, version })
    };
    assert_eq!(put(1), Output::NoKey);
    assert_eq!(put(0), Output::Done);
    assert_eq!(put(0), Output::OtherVersion);
    assert_eq!(put(2), Output::OtherVersion);
    assert_eq!(put(1), Output::Done);
    assert_eq!(value(&mut store), Some(("v1".into(), 2)));
}

/// A Raft whose log is the test's.
struct Scripted {
    next: Mutex<Started>,
    leads: Mutex<bool>,
    /// Where reads are to read.
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
    /// The next command that is started goes there.
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

/// The same with what an earlier life has saved.
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
    let (rsm, _) = Rsm::make(&make, Vec::new(), 0, persister, None, Store::default());
    let raft = slot.lock().clone().unwrap();
    (rsm, raft)
}

fn put(version: u64) -> Op {
    Op::PutVersion { key: "k".into(), value: "v".into(), version }
}

fn submit(rsm: &Arc<Rsm<Store>>, op: Op) -> JoinHandle<Result<Output, Refused>> {
    let rsm = rsm.clone();
    let thread = thread::spawn(move || rsm.submit(op));
    sleep(Duration::from_millis(1));
    thread
}

fn simulated(test: impl FnOnce() + Send + 'static) {
    Run::simulated(1).run(test).result.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn an_operation_is_answered_by_its_own_entry() {
    simulated(|| {
        let (rsm, raft) = scripted();
        let (first, second) = (submit(&rsm, put(0)), submit(&rsm, put(0)));
        raft.commits(1, 1, &put(0));
        raft.commits(2, 1, &put(0));
        assert_eq!(first.join().unwrap(), Ok(Output::Done));
        assert_eq!(second.join().unwrap(), Ok(Output::OtherVersion));
        rsm.kill();
    });
}

#[test]
fn the_same_operation_of_another_term_is_another_operation() {
    simulated(|| {
        let (rsm, raft) = scripted();
        let waiting = submit(&rsm, put(0));
        raft.commits(1, 2, &put(0)); // somebody else's, at our index
        assert_eq!(waiting.join().unwrap(), Err(Refused::NotLeader { leader: None }));
        rsm.kill();
    });
}

#[test]
fn an_entry_of_a_newer_term_tells_all_who_wait_behind_it() {
    simulated(|| {
        let (rsm, raft) = scripted();
        let waiting: Vec<_> = (0..3).map(|_| submit(&rsm, put(0))).collect();
        raft.hands_over(ApplyMsg::Internal { index: 1, term: 2 });
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Err(Refused::NotLeader { leader: None }));
        }
        rsm.kill();
    });
}

#[test]
fn who_leads_no_more_says_so_without_an_entry() {
    simulated(|| {
        let (rsm, raft) = scripted();
        let waiting = submit(&rsm, put(0));
        sleep(Duration::from_secs(5));
        assert!(!waiting.is_finished(), "it still leads");
        raft.leads_from(1, 3); // it was deposed, and elected anew
        let lost = Instant::now();
        assert_eq!(waiting.join().unwrap(), Err(Refused::Deposed));
        assert!(lost.elapsed() <= Duration::from_millis(101));
        rsm.kill();
    });
}

#[test]
fn a_new_entry_at_an_old_index_takes_the_place_of_the_old_one() {
    simulated(|| {
        let (rsm, raft) = scripted();
        let old = submit(&rsm, put(0));
        raft.leads_from(1, 2);
        let new = submit(&rsm, put(0));
        assert_eq!(old.join().unwrap(), Err(Refused::Deposed));
        raft.commits(1, 2, &put(0));
        assert_eq!(new.join().unwrap(), Ok(Output::Done));
        rsm.kill();
    });
}

#[test]
fn what_a_snapshot_covers_is_answered_by_nobody() {
    simulated(|| {
        let (rsm, raft) = scripted();
        let waiting = submit(&rsm, put(0));
        raft.hands_over(ApplyMsg::Snapshot { index: 3, term: 1, snapshot: empty(3) });
        assert_eq!(waiting.join().unwrap(), Err(Refused::Deposed));
        rsm.kill();
    });
}

/// A snapshot of an empty store.
fn empty(index: u64) -> Snapshot {
    pack(index, Snapshot::from(Store::default().snapshot()))
}

/// Reads, in a thread: what is at `k`.
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
        raft.commits(1, 1, &put(0));
        sleep(Duration::from_millis(100));
        raft.commits(2, 1, &put(1));
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
        assert_eq!(waiting.join().unwrap(), Ok(Output::Value(None)), "an index is an index");
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
fn kill_tells_all_who_wait() {
    simulated(|| {
        let (rsm, _) = scripted();
        let waiting: Vec<_> = (0..3).map(|_| submit(&rsm, put(0))).collect();
        rsm.kill();
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Err(Refused::Stopped));
        }
        assert_eq!(rsm.submit(put(0)), Err(Refused::Stopped));
    });
}

#[test]
fn a_hint_is_passed_on() {
    simulated(|| {
        let (rsm, raft) = scripted();
        *raft.leads.lock() = false;
        assert_eq!(rsm.submit(put(0)), Err(Refused::NotLeader { leader: Some(2) }));
        rsm.kill();
    });
}
