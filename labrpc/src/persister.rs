//! What survives a crash.

use crate::api::Snapshot;
use crate::codec;
use crate::describe::Value;
use crate::run;
use crate::thread::{Group, crashed_here};
use crate::trace::{self, Act, Deed, What};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// Stores what must survive a crash of a Raft server: its state, the records added since that state was saved, and a snapshot.
///
/// A handle belongs to one incarnation of a server. After a crash, anything that the old incarnation still saves is ignored.
/// [`succeed`](Persister::succeed) makes the handle for the next incarnation.
///
/// Values pass through serde, so that a trace can show them. Any serializable value works, also raw bytes
/// ([`Command`](crate::api::Command) or `Vec<u8>`). A struct with the field names of Figure 2 is best: then the suites also check
/// that term and vote are saved before any other server learns of them. They can't check that in a tuple.
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
    incarnation: u64,
    storage: Arc<dyn Storage>,
    plan: Arc<Mutex<Option<Plan>>>,
}

/// A planned crash.
struct Plan {
    group: Group,
    /// The crash comes at this save; 1 is the next save.
    saves: u64,
    moment: Moment,
}

/// Whether a server crashes just before or just after a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Just before the save takes effect: nothing of it is saved.
    Before,
    /// Just after the save: all of it is saved, but no other server knows of it.
    After,
}

/// The place where a [`Persister`] stores its bytes: memory in the lab, files in a real deployment.
///
/// Each call is one atomic step. `incarnation` is the number of the incarnation that makes the call. Only the incarnation of the last
/// [`begin`](Storage::begin) can change the storage.
pub trait Storage: Send + Sync + 'static {
    /// From now on, only the calls of this incarnation have an effect.
    fn begin(&self, incarnation: u64);
    /// Replaces the state and, if one is given, the snapshot; deletes the records. Returns false if this is an older
    /// incarnation; then nothing was done.
    fn replace(&self, incarnation: u64, state: Vec<u8>, snapshot: Option<Snapshot>) -> bool;
    /// Adds a record. Returns false if this is an older incarnation; then nothing was done.
    fn append(&self, incarnation: u64, record: Vec<u8>) -> bool;
    /// Reads everything.
    fn load(&self) -> Saved;
    /// The length of the state and of all records, in bytes.
    fn state_size(&self) -> usize;
}

/// Everything that a [`Storage`] holds.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// The state, if one was saved.
    pub state: Option<Vec<u8>>,
    /// The records that were appended since the state was saved.
    pub records: Vec<Vec<u8>>,
    /// The snapshot that was saved last. It may be empty.
    pub snapshot: Option<Snapshot>,
}

impl Persister {
    /// An empty persister in memory.
    pub fn new() -> Persister {
        Persister::over("persister", Memory::default())
    }

    /// A persister over any storage. `owner` is its name in traces.
    pub fn over(owner: impl Into<Arc<str>>, storage: impl Storage) -> Persister {
        storage.begin(0);
        Persister {
            owner: owner.into(),
            incarnation: 0,
            storage: Arc::new(storage),
            plan: Arc::default(),
        }
    }

    /// The same persister under another name in traces.
    pub fn named(self, owner: impl Into<Arc<str>>) -> Persister {
        Persister { owner: owner.into(), ..self }
    }

    /// Makes a handle for the next incarnation, which finds exactly what has been saved until now. From now on, saves through the
    /// old handle (`self`) and its clones have no effect.
    pub fn succeed(&self) -> Persister {
        let next =
            Persister { incarnation: self.incarnation + 1, plan: Arc::default(), ..self.clone() };
        next.storage.begin(next.incarnation);
        next
    }

    /// Replaces the state and deletes the records; the snapshot stays. One atomic step.
    pub fn save_state<T: Serialize + ?Sized>(&self, state: &T) {
        let store = |bytes| self.storage.replace(self.incarnation, bytes, None);
        self.carry_out("state", state, store);
    }

    /// Adds a record to the state. So a server can save only what has changed, instead of the whole state. One atomic step.
    pub fn append<T: Serialize + ?Sized>(&self, record: &T) {
        let store = |bytes| self.storage.append(self.incarnation, bytes);
        self.carry_out("record", record, store);
    }

    /// Replaces state and snapshot together, and deletes the records. One atomic step. An empty snapshot means "no snapshot". So
    /// Go's `Save(state, nil)` is `save(&state, Snapshot::default())`; it also removes the snapshot that was stored before.
    pub fn save<T: Serialize + ?Sized>(&self, state: &T, snapshot: Snapshot) {
        let size = snapshot.len();
        let store = |bytes| self.storage.replace(self.incarnation, bytes, Some(snapshot));
        self.carry_out("state with a snapshot", state, store);
        log::trace!("{} saved a snapshot of {size} bytes", self.owner);
    }

    /// Plans a crash of `group`, whose server this handle belongs to, at the `saves`th save from now: just before that save takes
    /// effect, or just after. Replaces any earlier plan. [`Group::wait_crashed`] waits for the crash.
    ///
    /// In real mode the thread that saves can't be stopped. But before the save returns, the group is off the network and its
    /// later saves have no effect, so no other server learns what that thread does.
    pub fn crash_at_save(&self, group: &Group, saves: u64, moment: Moment) {
        run::excuse_for_good();
        *self.plan.lock() = Some(Plan { group: group.clone(), saves: saves.max(1), moment });
    }

    /// Cancels a planned crash that has not happened yet.
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

    /// Counts a save. Returns the planned crash if it is due at this save.
    fn plan_due(&self) -> Option<Plan> {
        let mut plan = self.plan.lock();
        if crashed_here() || std::thread::panicking() {
            return None;
        }
        plan.as_mut()?.saves -= 1;
        plan.take_if(|plan| plan.saves == 0)
    }

    /// Crashes the group. In a simulation this ends the current thread if it belongs to the group.
    fn crash(&self, group: &Group) {
        trace::deed(|| Deed {
            act: Act::Crash,
            who: vec![group.name().into()],
            text: format!("{} crashes as it saves", group.name()),
            ..Deed::default()
        });
        self.storage.begin(self.incarnation + 1); // this incarnation's saves have no effect any more, as after `succeed`
        group.crash();
    }

    /// The state, if there is one.
    ///
    /// # Panics
    /// If the state was saved as another type.
    pub fn raft_state<T: DeserializeOwned>(&self) -> Option<T> {
        self.storage.load().state.map(|bytes| self.decode("state", &bytes))
    }

    /// The records added since the state was saved, oldest first.
    ///
    /// # Panics
    /// If a record was saved as another type.
    pub fn records<T: DeserializeOwned>(&self) -> Vec<T> {
        self.storage.load().records.iter().map(|bytes| self.decode("record", bytes)).collect()
    }

    /// The snapshot, if there is one. `None` also if it is empty.
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.storage.load().snapshot.filter(|snapshot| !snapshot.is_empty())
    }

    /// The length of the state and of all records, in bytes. The lab sets an upper bound for this.
    pub fn raft_state_size(&self) -> usize {
        self.storage.state_size()
    }

    /// The length of the snapshot, in bytes.
    pub fn snapshot_size(&self) -> usize {
        self.snapshot().map_or(0, |snapshot| snapshot.len())
    }

    fn decode<T: DeserializeOwned>(&self, what: &str, bytes: &[u8]) -> T {
        codec::decode(bytes).unwrap_or_else(|error| {
            panic!(
                "{}: the {what} was not saved as the type that it is read as: {error}",
                self.owner
            )
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

/// Storage in memory. After a crash it holds exactly what had been saved.
#[derive(Default)]
pub struct Memory(Mutex<(u64, Saved)>);

impl Storage for Memory {
    fn begin(&self, incarnation: u64) {
        self.0.lock().0 = incarnation;
    }

    fn replace(&self, incarnation: u64, state: Vec<u8>, snapshot: Option<Snapshot>) -> bool {
        let (current, saved) = &mut *self.0.lock();
        if *current != incarnation {
            return false;
        }
        saved.state = Some(state);
        saved.records.clear();
        saved.snapshot = snapshot.or(saved.snapshot.take());
        true
    }

    fn append(&self, incarnation: u64, record: Vec<u8>) -> bool {
        let (current, saved) = &mut *self.0.lock();
        if *current != incarnation {
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
    fn what_a_crashed_incarnation_saves_is_not_seen() {
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
