//! A disk on which a crash can come between two saves.

use labrpc::api::Snapshot;
use labrpc::{Saved, Storage};
use parking_lot::Mutex;
use std::sync::Arc;

/// A disk. Its handles share the content.
#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<Content>>);

#[derive(Clone, Default)]
struct Content {
    incarnation: u64,
    saved: Saved,
    /// How many saves have taken effect.
    saves: u64,
    /// After how many more saves the server crashes.
    left: Option<u64>,
    /// Whether a save was refused because the server crashed before it.
    crashed: bool,
}

impl Disk {
    /// Another disk with the same content.
    pub fn copy(&self) -> Disk {
        let content = Content { left: None, crashed: false, ..self.0.lock().clone() };
        Disk(Arc::new(Mutex::new(content)))
    }

    /// Lets this many more saves take effect, and none after them.
    pub fn crash_after(&self, saves: u64) {
        self.0.lock().left = Some(saves);
    }

    /// Cancels [`Disk::crash_after`]. Returns whether a save was refused since then.
    pub fn take_crash(&self) -> bool {
        let content = &mut *self.0.lock();
        content.left = None;
        std::mem::take(&mut content.crashed)
    }

    /// How many saves have taken effect.
    pub fn saves(&self) -> u64 {
        self.0.lock().saves
    }

    /// The snapshot on the disk.
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.0.lock().saved.snapshot.clone()
    }
}

impl Content {
    /// Whether a save of this incarnation takes effect.
    fn admits(&mut self, incarnation: u64) -> bool {
        match &mut self.left {
            Some(0) => self.crashed = true,
            Some(left) => *left -= 1,
            None => {}
        }
        let admitted = !self.crashed && self.incarnation == incarnation;
        self.saves += u64::from(admitted);
        admitted
    }
}

impl Storage for Disk {
    fn begin(&self, incarnation: u64) {
        self.0.lock().incarnation = incarnation;
    }

    fn replace(&self, incarnation: u64, state: Vec<u8>, snapshot: Option<Snapshot>) -> bool {
        let content = &mut *self.0.lock();
        let admitted = content.admits(incarnation);
        if admitted {
            let snapshot = snapshot.or(content.saved.snapshot.take());
            content.saved = Saved { state: Some(state), records: Vec::new(), snapshot };
        }
        admitted
    }

    fn append(&self, incarnation: u64, record: Vec<u8>) -> bool {
        let content = &mut *self.0.lock();
        let admitted = content.admits(incarnation);
        if admitted {
            content.saved.records.push(record);
        }
        admitted
    }

    fn load(&self) -> Saved {
        self.0.lock().saved.clone()
    }

    fn state_size(&self) -> usize {
        let saved = &self.0.lock().saved;
        let records: usize = saved.records.iter().map(Vec::len).sum();
        saved.state.as_ref().map_or(0, Vec::len) + records
    }
}
