//! What survives a crash.

use crate::api::Snapshot;
use crate::codec;
use crate::describe::Value;
use crate::run;
use crate::thread::{Group, crashed_here};
use crate::trace::{self, What};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// Where a Raft keeps what must survive a crash: its state, records added to that state since, and a snapshot.
///
/// A handle belongs to one incarnation of a server. Once the server has crashed, what it still saves is not seen:
/// [`succeed`](Persister::succeed) gives its successor a handle of its own.
///
/// Values pass through serde, so that a trace shows them. Anything serializable will do, also raw bytes
/// ([`Command`](crate::api::Command) or `Vec<u8>`). A struct with Figure 2's names serves best: the suites then also check that
/// term and vote are saved before anybody hears of them, which they can't in a tuple.
///
/// ```
/// use labrpc::Persister;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct State {
///     current_term: u64,
///     voted_for: Option<usize>,
/// }
///
/// let persister = Persister::new();
/// persister.save_state(&State { current_term: 3, voted_for: Some(1) });
/// persister.append(&"an entry");
/// assert_eq!(persister.raft_state(), Some(State { current_term: 3, voted_for: Some(1) }));
/// assert_eq!(persister.records::<String>(), ["an entry"]);
/// ```
#[derive(Clone)]
pub struct Persister {
    owner: Arc<str>,
    life: u64,
    storage: Arc<dyn Storage>,
    plan: Arc<Mutex<Option<Plan>>>,
}

/// A crash that is to come.
struct Plan {
    group: Group,
    /// At which save from now, from 1.
    saves: u64,
    moment: Moment,
}

/// When, around a save, a server crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Just before it takes effect: nothing of it is saved.
    Before,
    /// Just after: all of it is saved, but nobody has heard of it.
    After,
}

/// What a [`Persister`] keeps its bytes in: memory in the lab, files in earnest.
///
/// Each call is one atomic step. `life` is the number of the incarnation that asks; storage obeys only the latest
/// one that it has been told of.
pub trait Storage: Send + Sync + 'static {
    /// From now on obeys `life`.
    fn begin(&self, life: u64);
    /// Replaces state and, if given, snapshot; forgets the records. False: an older life asked, nothing was done.
    fn replace(&self, life: u64, state: Vec<u8>, snapshot: Option<Snapshot>) -> bool;
    /// Adds a record. False: an older life asked, nothing was done.
    fn append(&self, life: u64, record: Vec<u8>) -> bool;
    /// Reads everything.
    fn load(&self) -> Saved;
    /// The length of the state and of all records, in bytes.
    fn state_size(&self) -> usize;
}

/// Everything that a [`Storage`] holds.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// The state, once there is one.
    pub state: Option<Vec<u8>>,
    /// What was appended to it since.
    pub records: Vec<Vec<u8>>,
    /// The snapshot that was saved last, which may be empty.
    pub snapshot: Option<Snapshot>,
}

impl Persister {
    /// An empty one, in memory.
    pub fn new() -> Persister {
        Persister::over("persister", Memory::default())
    }

    /// Over some storage. Traces call it `owner`.
    pub fn over(owner: impl Into<Arc<str>>, storage: impl Storage) -> Persister {
        storage.begin(0);
        Persister { owner: owner.into(), life: 0, storage: Arc::new(storage), plan: Arc::default() }
    }

    /// The same under another name for traces.
    pub fn named(self, owner: impl Into<Arc<str>>) -> Persister {
        Persister { owner: owner.into(), ..self }
    }

    /// A handle for the next incarnation, which finds exactly what has been saved until now. This one and its
    /// clones save into the void from now on.
    pub fn succeed(&self) -> Persister {
        let next = Persister { life: self.life + 1, plan: Arc::default(), ..self.clone() };
        next.storage.begin(next.life);
        next
    }

    /// Replaces the state and forgets the records; the snapshot stays. One atomic step.
    pub fn save_state<T: Serialize + ?Sized>(&self, state: &T) {
        let store = |bytes| self.storage.replace(self.life, bytes, None);
        self.carry_out("state", state, store);
    }

    /// Adds a record to the state, so that saving costs what has changed. One atomic step.
    pub fn append<T: Serialize + ?Sized>(&self, record: &T) {
        let store = |bytes| self.storage.append(self.life, bytes);
        self.carry_out("record", record, store);
    }

    /// Replaces state and snapshot together, and forgets the records. One atomic step. An empty snapshot is none, so
    /// Go's `Save(state, nil)` is `save(&state, Snapshot::default())`; it also removes a snapshot that was there.
    pub fn save<T: Serialize + ?Sized>(&self, state: &T, snapshot: Snapshot) {
        let size = snapshot.len();
        let store = |bytes| self.storage.replace(self.life, bytes, Some(snapshot));
        self.carry_out("state with a snapshot", state, store);
        log::trace!("{} saved a snapshot of {size} bytes", self.owner);
    }

    /// Crashes `group`, whose server this handle belongs to, at the `saves`th save from now: just before that save takes
    /// effect, or just after. Replaces the plan before. [`Group::wait_crashed`] tells when it has happened.
    ///
    /// In real mode nobody can stop the thread that saves, but no one hears of it any more: before the save returns, the
    /// group is off the network, and what it saves from then on isn't seen.
    pub fn crash_at_save(&self, group: &Group, saves: u64, moment: Moment) {
        run::excuse_for_good();
        *self.plan.lock() = Some(Plan { group: group.clone(), saves: saves.max(1), moment });
    }

    /// Makes nothing of a planned crash that has not happened yet.
    pub fn call_off_crash(&self) {
        *self.plan.lock() = None;
    }

    fn carry_out<T: Serialize + ?Sized>(
        &self,
        what: &'static str,
        value: &T,
        store: impl FnOnce(Vec<u8>) -> bool,
    ) {
        let due = self.plan_due();
        if let Some(Plan { group, moment: Moment::Before, .. }) = &due {
            self.crash(group);
        }
        let done = !crashed_here() && store(codec::encode(value));
        if done {
            run::note_progress();
        }
        self.trace(done, what, value);
        if let Some(Plan { group, moment: Moment::After, .. }) = &due {
            self.crash(group);
        }
    }

    /// Counts a save; the plan, if it is for this one.
    fn plan_due(&self) -> Option<Plan> {
        let mut plan = self.plan.lock();
        if crashed_here() || std::thread::panicking() {
            return None;
        }
        plan.as_mut()?.saves -= 1;
        plan.take_if(|plan| plan.saves == 0)
    }

    /// In a simulation, the end of the current thread, if it is of the group.
    fn crash(&self, group: &Group) {
        trace::tester(|| format!("{} crashes as it saves", group.name()));
        self.storage.begin(self.life + 1); // nothing of this life is seen any more, as after `succeed`
        group.crash();
    }

    /// The state, if there is one.
    ///
    /// # Panics
    /// If it was saved as another type.
    pub fn raft_state<T: DeserializeOwned>(&self) -> Option<T> {
        self.storage.load().state.map(|bytes| self.decode("state", &bytes))
    }

    /// The records added since the state was saved, oldest first.
    ///
    /// # Panics
    /// If one was saved as another type.
    pub fn records<T: DeserializeOwned>(&self) -> Vec<T> {
        self.storage.load().records.iter().map(|bytes| self.decode("record", bytes)).collect()
    }

    /// The snapshot, if there is one. An empty one is none.
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.storage.load().snapshot.filter(|snapshot| !snapshot.is_empty())
    }

    /// The length of the state and of all records, in bytes: what the lab bounds.
    pub fn raft_state_size(&self) -> usize {
        self.storage.state_size()
    }

    /// The length of the snapshot, in bytes.
    pub fn snapshot_size(&self) -> usize {
        self.snapshot().map_or(0, |snapshot| snapshot.len())
    }

    fn decode<T: DeserializeOwned>(&self, what: &str, bytes: &[u8]) -> T {
        codec::decode(bytes).unwrap_or_else(|error| {
            panic!("{}: the {what} was not saved as the type it is read as: {error}", self.owner)
        })
    }

    fn trace<T: Serialize + ?Sized>(&self, done: bool, what: &'static str, value: &T) {
        if done && trace::listening() {
            let value = Value::brief(value);
            trace::emit(|| What::Saved { who: self.owner.clone(), what, value });
        }
    }
}

impl Default for Persister {
    fn default() -> Self {
        Persister::new()
    }
}

/// Storage in memory: a crash keeps exactly what had been saved.
#[derive(Default)]
pub struct Memory(Mutex<(u64, Saved)>);

impl Storage for Memory {
    fn begin(&self, life: u64) {
        self.0.lock().0 = life;
    }

    fn replace(&self, life: u64, state: Vec<u8>, snapshot: Option<Snapshot>) -> bool {
        let (current, saved) = &mut *self.0.lock();
        if *current != life {
            return false;
        }
        saved.state = Some(state);
        saved.records.clear();
        saved.snapshot = snapshot.or(saved.snapshot.take());
        true
    }

    fn append(&self, life: u64, record: Vec<u8>) -> bool {
        let (current, saved) = &mut *self.0.lock();
        if *current != life {
            return false;
        }
        saved.records.push(record);
        true
    }

    fn load(&self) -> Saved {
        self.0.lock().1.clone()
    }

    fn state_size(&self) -> usize {
        let saved = &self.0.lock().1;
        let records: usize = saved.records.iter().map(Vec::len).sum();
        saved.state.as_ref().map_or(0, Vec::len) + records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_replaces_records_and_keeps_the_snapshot() {
        let persister = Persister::new();
        assert_eq!(persister.raft_state::<u64>(), None);
        persister.save(&1u64, Snapshot::from(vec![9; 10]));
        persister.append(&7u64);
        assert_eq!(persister.raft_state_size(), 2);
        persister.save_state(&2u64);
        assert_eq!(persister.records::<u64>(), [0u64; 0]);
        assert_eq!((persister.raft_state(), persister.snapshot_size()), (Some(2u64), 10));
    }

    #[test]
    fn an_empty_snapshot_is_none() {
        let persister = Persister::new();
        persister.save(&1u64, Snapshot::default());
        assert_eq!((persister.snapshot(), persister.snapshot_size()), (None, 0));
        persister.save(&2u64, Snapshot::from(vec![9]));
        persister.save(&3u64, Snapshot::default());
        assert_eq!((persister.raft_state(), persister.snapshot()), (Some(3u64), None));
        assert_eq!(persister.succeed().snapshot(), None);
    }

    #[test]
    fn what_a_crashed_life_saves_is_not_seen() {
        let before = Persister::new();
        before.save_state(&1u64);
        let after = before.succeed();
        before.save_state(&2u64);
        before.append(&3u64);
        assert_eq!((after.raft_state(), after.records()), (Some(1u64), Vec::<u64>::new()));
        after.save_state(&4u64);
        assert_eq!(after.raft_state(), Some(4u64));
    }

    #[test]
    #[should_panic(expected = "not saved as the type")]
    fn another_type_is_named() {
        let persister = Persister::new();
        persister.save_state(&(1u64, 2u64));
        let _ = persister.raft_state::<u64>();
    }
}
