//! Tests of the store alone, of the replicated state machine on a Raft that does what the test says, and of the clerk on a network
//! that duplicates requests.

use super::clerk::Clerk;
use super::rsm::{Rsm, pack};
use super::server::{NoAnswer, PATIENCE, Reply};
use super::store::{Op, Output, Stamp, Store, Write};
use labrpc::api::beyond::Reads;
use labrpc::api::kv::{self, Replica, Replicated, StateMachine, VersionedClerk};
use labrpc::api::{ApplyMsg, Command, Make, Raft, Refused, Snapshot, Started};
use labrpc::channel::Sender;
use labrpc::network::{Fate, Leg, Network};
use labrpc::run::Run;
use labrpc::sync::{Arc, Mutex};
use labrpc::thread::{self, JoinHandle};
use labrpc::time::{Duration, Instant, sleep};
use labrpc::{Persister, Server, Service, codec};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

fn append(session: u64, number: u64, value: &str) -> Op {
    let (key, value) = ("k".into(), value.into());
    Op::Write { stamp: Stamp { session, number }, key, value, how: Write::Append }
}

fn put_in(session: u64, number: u64, version: u64) -> Op {
    let (key, value, how) = ("k".into(), "v".into(), Write::IfVersion(version));
    Op::Write { stamp: Stamp { session, number }, key, value, how }
}

fn open(store: &mut Store) -> u64 {
    match store.apply(Op::OpenSession { last: None }) {
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
    assert_eq!(store.apply(append(a, 1, "x")), Output::Done, "a late copy of an old one");
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
        copy.restore(&store.snapshot()); // a restored store forgets it at the same entry
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
fn a_session_goes_on_or_another_is_opened() {
    let mut store = Store::new(16);
    let session = open(&mut store);
    let again = Op::OpenSession { last: Some(session) };
    store.apply(append(session, 1, "x"));
    assert_eq!(store.apply(again.clone()), Output::Session(session));
    assert_eq!(store.apply(append(session, 1, "x")), Output::Done);
    assert_eq!(value(&mut store), Some(("x".into(), 1)), "its last write is remembered, too");
    (0..40).for_each(|_| _ = open(&mut store));
    let Output::Session(new) = store.apply(again) else { panic!("no session") };
    assert_ne!(new, session);
    assert_eq!(store.apply(append(new, 1, "y")), Output::Done);
}

#[test]
fn a_versioned_put_needs_its_version() {
    let mut store = Store::default();
    let session = open(&mut store);
    let mut number = 0;
    let mut put = |version| {
        number += 1;
        store.apply(put_in(session, number, version))
    };
    assert_eq!(put(1), Output::NoKey);
    assert_eq!(put(0), Output::Done);
    assert_eq!(put(0), Output::OtherVersion);
    assert_eq!(put(2), Output::OtherVersion);
    assert_eq!(put(1), Output::Done);
    assert_eq!(value(&mut store), Some(("v".into(), 2)));
}

#[test]
fn the_copy_of_a_put_is_answered_as_the_put_was() {
    let mut store = Store::default();
    let (a, b) = (open(&mut store), open(&mut store));
    assert_eq!(store.apply(put_in(a, 1, 1)), Output::NoKey);
    assert_eq!(store.apply(put_in(b, 1, 0)), Output::Done);
    assert_eq!(store.apply(put_in(b, 1, 0)), Output::Done);
    assert_eq!(store.apply(put_in(a, 1, 1)), Output::NoKey, "the first answer, again");
    assert_eq!(store.apply(put_in(a, 2, 2)), Output::OtherVersion);
    assert_eq!(store.apply(put_in(b, 2, 1)), Output::Done);
    assert_eq!(store.apply(put_in(a, 2, 2)), Output::OtherVersion);
    assert_eq!(value(&mut store), Some(("v".into(), 2)));
}

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

fn simulated(test: impl FnOnce() + Send + 'static) {
    Run::simulated(1).run(test).result.unwrap_or_else(|failure| panic!("{failure}"));
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

/// Servers of a store on which everything is committed at once. `answers` decides what they answer. It gets the server, how many
/// requests the server has had, and the request.
fn servers(
    number: usize,
    answers: impl Fn(usize, u64, Op) -> Reply + Clone + Send + Sync + 'static,
) -> (Network, Clerk) {
    let net = Network::new();
    let ends = (0..number).map(|i| {
        let (answers, count) = (answers.clone(), Mutex::new(0));
        let service = Service::new("Kv").method("Request", move |op| {
            let number = {
                let mut count = count.lock();
                *count += 1;
                *count
            };
            answers(i, number, op)
        });
        net.add_server(format!("S{i}"), Server::new([service]));
        let end = net.make_end(format!("C->S{i}"));
        net.connect(&format!("C->S{i}"), &format!("S{i}"));
        net.enable(&format!("C->S{i}"), true);
        end
    });
    let ends = ends.collect();
    (net, Clerk::new(ends))
}

/// A store for [`servers`]. The test keeps a handle on it.
fn committed(store: Store) -> Arc<Mutex<Store>> {
    Arc::new(Mutex::new(store))
}

/// Every request arrives twice, the copy 5 ms later. The answer to the first one is delayed by `late`.
fn double_everything(net: &Network, late: Duration) {
    let answered = AtomicU64::new(0);
    net.intercept(move |letter| match letter.leg {
        Leg::Request => Fate::Duplicate(Duration::from_millis(5)),
        Leg::Reply if answered.swap(letter.call, Relaxed) != letter.call => Fate::Delay(late),
        Leg::Reply => Fate::Deliver,
    });
}

#[test]
fn the_answer_to_the_copy_may_arrive_first() {
    simulated(|| {
        let store = committed(Store::default());
        let (net, mut clerk) = servers(1, move |_, _, op| Ok(store.lock().apply(op)));
        double_everything(&net, Duration::from_millis(100));
        assert_eq!(VersionedClerk::put(&mut clerk, "k", "v", 0), Ok(()));
        assert_eq!(VersionedClerk::put(&mut clerk, "k", "w", 0), Err(kv::PutError::Version));
        assert_eq!(VersionedClerk::get(&mut clerk, "k"), Some(("v".into(), 1)));
    });
}

/// S0 accepts a put and is deposed before the copy arrives. S1 has committed the put.
#[test]
fn the_copy_may_arrive_at_a_deposed_leader() {
    simulated(|| {
        let store = committed(Store::default());
        let (net, mut clerk) = servers(2, move |server, number, op| {
            match (server, number, &op) {
                (0, 1..=2, Op::OpenSession { .. }) => {}
                (0, 3, _) => {
                    store.lock().apply(op);
                    sleep(Duration::from_millis(100));
                    return Err(NoAnswer::Unknown);
                }
                (0, ..) => return Err(NoAnswer::NotLeader { leader: Some(1) }),
                _ => {}
            }
            Ok(store.lock().apply(op))
        });
        double_everything(&net, Duration::ZERO);
        assert_eq!(VersionedClerk::put(&mut clerk, "k", "v", 0), Ok(()));
        assert_eq!(VersionedClerk::get(&mut clerk, "k"), Some(("v".into(), 1)));
    });
}

/// A put is done. Its answer is so late that its session has expired meanwhile, and the answer to the copy says so first.
#[test]
fn a_client_whose_session_has_expired_does_not_write_again() {
    simulated(|| {
        let store = committed(Store::new(16));
        let copies = store.clone();
        let (net, mut clerk) = servers(1, move |_, number, op| {
            if let (Op::Write { .. }, 3) = (&op, number) {
                let done = copies.lock().apply(op);
                (0..40).for_each(|_| _ = open(&mut copies.lock()));
                return Ok(done);
            }
            Ok(copies.lock().apply(op))
        });
        double_everything(&net, Duration::from_millis(100));
        assert_eq!(VersionedClerk::put(&mut clerk, "k", "v", 0), Err(kv::PutError::Maybe));
        assert_eq!(value(&mut store.lock()), Some(("v".into(), 1)));
        assert_eq!(VersionedClerk::put(&mut clerk, "k", "w", 1), Ok(()), "in a new session");
    });
}

/// The session of a client that has written nothing for a while may have expired. The client asks first, so that it knows what will
/// become of its write.
#[test]
fn an_idle_client_goes_on() {
    simulated(|| {
        let store = committed(Store::new(16));
        let idle = store.clone();
        let (_net, mut clerk) = servers(1, move |_, _, op| Ok(idle.lock().apply(op)));
        kv::Clerk::append(&mut clerk, "k", "x");
        sleep(Duration::from_secs(60));
        kv::Clerk::append(&mut clerk, "k", "y"); // in the same session
        (0..40).for_each(|_| _ = open(&mut store.lock()));
        sleep(Duration::from_secs(60));
        kv::Clerk::append(&mut clerk, "k", "z");
        assert_eq!(value(&mut store.lock()), Some(("xyz".into(), 3)));
    });
}
