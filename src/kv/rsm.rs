//! A replicated state machine: any [`StateMachine`], on any Raft.
//!
//! Each operation becomes a log entry. An entry is identified by its index *and* its term: another entry may replace it at its
//! index, and the same operation may come at another index (§5.3). So a caller that submits an operation waits for exactly its
//! (index, term), and gets an error as soon as the log shows that this entry cannot come any more: another entry is at that
//! index, or an entry of a newer term has come before it.
//!
//! | thread | waits for | woken by |
//! |---|---|---|
//! | `reader` | the apply channel | Raft; ends when Raft drops its sender |
//! | a caller of `submit` | its entry | the reader; the clock every 100 ms, to check whether Raft still leads |
//! | a caller of `read` | an index from Raft; then until the machine has applied that index | the reader, or the clock |

use labrpc::api::kv::{Replica, Replicated, Served, StateMachine};
use labrpc::api::{ApplyMsg, Command, Make, Raft, Refused, Snapshot, Started};
use labrpc::channel::{self, Receiver, RecvTimeoutError, Sender};
use labrpc::sync::{Arc, Condvar, Mutex};
use labrpc::thread::{Builder, JoinHandle};
use labrpc::time::Instant;
use labrpc::{ClientEnd, Persister, codec};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a waiting `submit` asks whether its Raft still leads. A leader that was cut off and comes back learns of the
/// new term with the first heartbeat, but of a new entry only when there is one.
const LOOKS_EVERY: Duration = Duration::from_millis(100);

/// How long a `read` waits until the machine has applied the index that Raft returned. A follower that is cut off after Raft has
/// returned the index may never apply the entry at that index.
const READ_PATIENCE: Duration = Duration::from_millis(500);

/// One server of a replicated state machine.
pub struct Rsm<M: StateMachine> {
    raft: Arc<dyn Raft>,
    shared: Arc<Mutex<Shared<M>>>,
    /// Where reads wait.
    goes_on: Arc<Condvar>,
    reader: Mutex<Option<JoinHandle<()>>>,
}

/// What the reader shares with the callers.
struct Shared<M: StateMachine> {
    machine: M,
    /// The index up to which the machine has applied everything.
    applied: u64,
    /// The callers that wait, by log index.
    waiters: BTreeMap<u64, Waiter<M::Output>>,
    /// The term of the last entry seen.
    term: u64,
    killed: bool,
}

/// A caller that waits for the entry of `term` at some index.
struct Waiter<O> {
    term: u64,
    answer: Sender<Result<O, Refused>>,
}

/// Where a caller receives the answer to its operation.
type Answered<M> = Receiver<Result<<M as StateMachine>::Output, Refused>>;

/// How many messages Raft may be ahead of the machine: after a restart, thousands come at once.
const AHEAD: usize = 64;

const NOT_LEADER: Refused = Refused::NotLeader { leader: None };

impl<M: StateMachine> Rsm<M> {
    /// Makes a server and starts it. `make_raft` makes its Raft. `machine` is in its first state; if a snapshot was saved before a
    /// restart, the machine is restored from it. A snapshot is made when the saved Raft state has at least `max_raft_state` bytes;
    /// `None`: never.
    pub fn make(
        make_raft: &Make,
        peers: Vec<ClientEnd>,
        me: usize,
        persister: Persister,
        max_raft_state: Option<usize>,
        mut machine: M,
    ) -> Served<Rsm<M>> {
        let mut applied = 0;
        if let Some(snapshot) = persister.snapshot() {
            let (index, saved) = unpack(&snapshot);
            machine.restore(&saved);
            applied = index;
        }
        let shared = Shared { machine, applied, waiters: BTreeMap::new(), term: 0, killed: false };
        let (shared, goes_on) = (Arc::new(Mutex::new(shared)), Arc::new(Condvar::new()));
        let (apply, applied) = channel::bounded(AHEAD);
        let (raft, services) = make_raft(peers, me, persister.clone(), apply);
        let reader = Reader {
            raft: raft.clone(),
            shared: shared.clone(),
            goes_on: goes_on.clone(),
            persister,
            max_raft_state,
        };
        let thread = Builder::new().name("reader").spawn(move || reader.run(&applied));
        let reader = Mutex::new(Some(thread.expect("the system refuses another thread")));
        (Arc::new(Rsm { raft, shared, goes_on, reader }), services)
    }

    /// A constructor that calls [`Rsm::make`] on this Raft, in the form that the lab's tests want.
    pub fn on(
        make_raft: Make,
    ) -> impl Fn(Vec<ClientEnd>, usize, Persister, Option<usize>, M) -> Served<Rsm<M>> {
        move |peers, me, persister, max, machine| {
            Rsm::make(&make_raft, peers, me, persister, max, machine)
        }
    }

    /// Looks at the machine without writing an entry. `look` sees the effects of every operation that was answered before this
    /// call (thesis §6.4). This needs a Raft that offers [`reads`](Raft::reads).
    ///
    /// # Errors
    /// This server does not lead and cannot ask the leader, or it is not up to date: ask another server. Nothing was changed, so
    /// the caller need not tell the errors apart.
    pub fn read<R>(&self, look: impl FnOnce(&M) -> R) -> Result<R, Refused> {
        let index = self.raft.reads().ok_or(NOT_LEADER)?.read_index()?;
        let deadline = Instant::now() + READ_PATIENCE;
        let mut shared = self.shared.lock();
        while shared.applied < index {
            if shared.killed {
                return Err(Refused::Stopped);
            }
            if self.goes_on.wait_until(&mut shared, deadline).timed_out() {
                return Err(NOT_LEADER);
            }
        }
        Ok(look(&shared.machine))
    }

    /// Like [`submit`](Replicated::submit), but waits no longer than `patience`. After that, nobody knows what will become of the
    /// operation.
    ///
    /// # Errors
    /// The same errors as those of [`submit`](Replicated::submit).
    pub fn submit_within(&self, op: M::Op, patience: Duration) -> Result<M::Output, Refused> {
        let (started, answered) = self.offer(&op)?;
        let mut waited = Duration::ZERO;
        loop {
            match answered.recv_timeout(LOOKS_EVERY) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return Err(Refused::Stopped),
                Err(RecvTimeoutError::Timeout) => waited += LOOKS_EVERY,
            }
            if waited >= patience || self.raft.get_state() != (started.term, true) {
                self.shared.lock().give_up(started); // answers the caller, unless the answer has come meanwhile
            }
        }
    }

    /// For how many entries callers wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.shared.lock().waiters.len()
    }

    /// Gives the operation to Raft, and notes the caller that waits for it. The lock is held during both. Otherwise the entry
    /// might be applied before the caller is noted.
    fn offer(&self, op: &M::Op) -> Result<(Started, Answered<M>), Refused> {
        let command = Command::from(codec::encode(op));
        let mut shared = self.shared.lock();
        if shared.killed {
            return Err(Refused::Stopped);
        }
        let started = self.raft.start(command)?;
        let (answer, answered) = channel::bounded(1);
        let waiter = Waiter { term: started.term, answer };
        if let Some(older) = shared.waiters.insert(started.index, waiter) {
            // The older caller's entry is gone from this log, but perhaps not from all logs.
            older.tell(Err(Refused::Deposed));
        }
        Ok((started, answered))
    }
}

impl<M: StateMachine> Replicated<M> for Rsm<M> {
    fn submit(&self, op: M::Op) -> Result<M::Output, Refused> {
        self.submit_within(op, Duration::MAX)
    }
}

impl<M: StateMachine> Replica for Rsm<M> {
    fn raft(&self) -> Arc<dyn Raft> {
        self.raft.clone()
    }

    fn kill(&self) {
        let mut shared = self.shared.lock();
        shared.killed = true;
        shared.waiters.clear();
        drop(shared);
        self.goes_on.notify_all();
        self.raft.kill();
        if let Some(reader) = self.reader.lock().take() {
            let _ = reader.join();
        }
    }
}

impl<O> Waiter<O> {
    fn tell(self, result: Result<O, Refused>) {
        // The caller may have gone.
        let _ = self.answer.try_send(result);
    }
}

impl<M: StateMachine> Shared<M> {
    /// The entry at `index` is committed, and its term is `term`; `output` is its result, if it is an operation. A caller that
    /// waits at this index for an entry of another term gets an error: its operation will not be done. That is certain, because a
    /// committed entry stays (§5.4).
    fn settle(&mut self, index: u64, term: u64, output: Option<M::Output>) {
        self.applied = index;
        if let Some(waiter) = self.waiters.remove(&index) {
            let ours = waiter.term == term;
            waiter.tell(output.filter(|_| ours).ok_or(NOT_LEADER));
        }
        if term > self.term {
            // Terms never decrease along a log: no entry of an older term can follow.
            let gone = self.waiters.extract_if(.., |_, waiter| waiter.term < term);
            gone.for_each(|(_, waiter)| waiter.tell(Err(NOT_LEADER)));
            self.term = term;
        }
    }

    /// A snapshot replaces everything up to `index`. It does not say which entries were there, nor what their results were.
    fn restore(&mut self, index: u64, snapshot: &Snapshot) {
        self.machine.restore(&unpack(snapshot).1);
        self.applied = index;
        let gone = self.waiters.extract_if(..=index, |_, _| true);
        gone.for_each(|(_, waiter)| waiter.tell(Err(Refused::Deposed)));
    }

    /// Tells the caller that waits for this entry that nobody knows what will become of it.
    fn give_up(&mut self, started: Started) {
        let ours = |waiter: &Waiter<_>| waiter.term == started.term;
        if self.waiters.get(&started.index).is_some_and(ours)
            && let Some(waiter) = self.waiters.remove(&started.index)
        {
            waiter.tell(Err(Refused::Deposed));
        }
    }
}

/// Carries out what Raft sends on the apply channel.
struct Reader<M: StateMachine> {
    raft: Arc<dyn Raft>,
    shared: Arc<Mutex<Shared<M>>>,
    goes_on: Arc<Condvar>,
    persister: Persister,
    max_raft_state: Option<usize>,
}

impl<M: StateMachine> Reader<M> {
    fn run(&self, applied: &Receiver<ApplyMsg>) {
        for message in applied.iter() {
            match message {
                ApplyMsg::Command { index, term, command } => {
                    self.carry_out(index, term, &command);
                    self.compact(index);
                }
                ApplyMsg::Snapshot { index, snapshot, .. } => {
                    self.shared.lock().restore(index, &snapshot);
                }
                ApplyMsg::Internal { index, term } => self.shared.lock().settle(index, term, None),
                _ => {}
            }
            self.goes_on.notify_all();
        }
        // Raft has stopped. Every caller that still waits gets an error.
        self.shared.lock().waiters.clear();
    }

    fn carry_out(&self, index: u64, term: u64, command: &[u8]) {
        let op = codec::decode(command).unwrap_or_else(|error| {
            panic!("the command at index {index} is not an operation of this machine: {error}")
        });
        let mut shared = self.shared.lock();
        let output = shared.machine.apply(op);
        shared.settle(index, term, Some(output));
    }

    /// Lets Raft drop its log up to `index`, if the log has grown too large (§7). The entry at `index` is the last one that the
    /// machine has applied, because only this thread changes the machine.
    fn compact(&self, index: u64) {
        if self.max_raft_state.is_some_and(|max| self.persister.raft_state_size() >= max) {
            let machine = Snapshot::from(self.shared.lock().machine.snapshot());
            self.raft.snapshot(index, pack(index, machine));
        }
    }
}

/// Packs a snapshot of the machine together with its index. After a restart, nothing else tells how far the machine is.
pub(super) fn pack(index: u64, machine: Snapshot) -> Snapshot {
    Snapshot::from(codec::encode(&(index, machine)))
}

fn unpack(snapshot: &[u8]) -> (u64, Snapshot) {
    codec::decode(snapshot)
        .unwrap_or_else(|error| panic!("the snapshot is not one of this server: {error}"))
}
