//! The tester's simple service above a server: it reads the apply channel and makes snapshots.

use super::deeds::deed;
use super::plans::Incarnation;
use super::{Snapshots, name};
use crate::invariants::Watch;
use crate::ledger::{Ledger, show};
use labrpc::api::{ApplyMsg, Raft, Snapshot};
use labrpc::rand::Stream;
use labrpc::sync::{Arc, Mutex};
use labrpc::thread::Group;
use labrpc::time::sleep;
use labrpc::trace::{Act, Deed};
use labrpc::{run, trace};

/// The reader of one server's apply channel.
pub(super) struct Reader {
    pub i: usize,
    pub incarnation: u64,
    pub raft: Arc<Incarnation<dyn Raft>>,
    pub group: Group,
    pub ledger: Arc<Mutex<Ledger>>,
    pub watch: Watch,
    pub snapshots: Snapshots,
    pub draws: Arc<Stream>,
    /// Snapshots of a sloppy service that it has not handed over yet, or will hand over again.
    pub late: Vec<(u64, Snapshot)>,
}

impl Reader {
    /// Handles a message that came out of the apply channel.
    pub fn take(&mut self, message: ApplyMsg) {
        if self.group.has_crashed() && !run::in_simulation() {
            return; // its threads still run, and may apply what was never saved
        }
        let sloppy = self.snapshots == Snapshots::Sloppy;
        trace::applied(&name(self.i), last(&message), || describe(&message));
        if sloppy && self.draws.chance("service pauses", 1, 8) {
            sleep(self.draws.millis("service pause", 0..60));
        }
        run::note_progress();
        self.watch.applies(self.i, self.incarnation, &message);
        let every = self.snapshots.every();
        let made = self.ledger.lock().applied(self.i, self.incarnation, message, every);
        let made = made.unwrap_or_else(|wrong| run::fail(wrong));
        if !sloppy {
            made.into_iter().for_each(|(index, snapshot)| self.hand_over(index, snapshot));
            return;
        }
        self.late.extend(made);
        if !self.late.is_empty() && self.draws.chance("hands a snapshot over", 1, 3) {
            let which = self.draws.below("which snapshot", self.late.len() as u64) as usize;
            let (index, snapshot) = self.late[which].clone();
            if self.draws.chance("once and for all", 2, 3) {
                self.late.remove(which);
            }
            self.hand_over(index, snapshot);
        }
    }

    fn hand_over(&self, index: u64, snapshot: Snapshot) {
        hand_over(self.i, &self.raft, &self.group, &self.watch, index, snapshot);
    }
}

/// Hands a snapshot of its service to server `i`. The snapshot may come late, twice, or after a newer one.
pub(super) fn hand_over(
    i: usize,
    raft: &Incarnation<dyn Raft>,
    group: &Group,
    watch: &Watch,
    index: u64,
    snapshot: Snapshot,
) {
    let what = move || format!("snapshot({index}) on {}", name(i));
    let text = || format!("calls {}, {} bytes", what(), snapshot.len());
    trace::deed(|| Deed { entry: Some((index, 0)), ..deed(Act::Snapshot, &[i], text()) });
    watch.is_given_snapshot(i, index);
    let done = run::calling_briefly(what, || group.enter(|| raft.snapshot(index, snapshot)));
    let (act, end) = match done {
        Some(()) => (Act::SnapshotDone, "returns"),
        None => (Act::Other, "ends with the server"),
    };
    let text = || format!("{} {end}", what());
    trace::deed(|| Deed { entry: Some((index, 0)), ..deed(act, &[i], text()) });
}

/// The index and the term of the last entry that the message hands over.
pub(crate) fn last(message: &ApplyMsg) -> (u64, u64) {
    match message {
        ApplyMsg::Command { index, term, .. }
        | ApplyMsg::Snapshot { index, term, .. }
        | ApplyMsg::Internal { index, term } => (*index, *term),
        _ => (0, 0),
    }
}

fn describe(message: &ApplyMsg) -> String {
    match message {
        ApplyMsg::Command { index, term, command } => {
            format!("{} at index {index}, term {term}", show(command))
        }
        ApplyMsg::Snapshot { index, term, snapshot } => {
            format!("a snapshot of {} bytes up to index {index}, term {term}", snapshot.len())
        }
        ApplyMsg::Internal { index, term } => {
            format!("an entry of Raft's own at index {index}, term {term}")
        }
        other => format!("{other:?}"),
    }
}
