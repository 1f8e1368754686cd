//! The service above a server: it applies what it gets, and makes snapshots.

use super::disk::Disk;
use super::machine::digest;
use super::truth::{Broken, Truth};
use labrpc::api::{ApplyMsg, Snapshot};

/// How far a service has got. All services see the same content up to an index; otherwise an invariant would have failed.
pub(super) struct Service {
    applied: u64,
}

impl Service {
    /// A service that reads its own snapshot from the disk when its server starts.
    pub fn restarted(disk: &Disk, truth: &Truth) -> Result<Service, Broken> {
        let snapshot = disk.snapshot().unwrap_or_default();
        Ok(Service { applied: read(&snapshot, truth)? })
    }

    /// The index up to which it has applied commands.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Handles the next message.
    pub fn apply(&mut self, server: usize, message: ApplyMsg, truth: &Truth) -> Result<(), Broken> {
        let (index, term, content) = match message {
            ApplyMsg::Snapshot { index, snapshot, .. } => {
                return self.install(server, index, &snapshot, truth);
            }
            ApplyMsg::Command { index, term, command } => (index, term, Some(digest(&command))),
            ApplyMsg::Internal { index, term } => (index, term, None),
            other => return Err(format!("S{server} delivers {other:?}, which no service expects")),
        };
        if index != self.applied + 1 {
            return Err(format!(
                "S{server} applied index {index} right after index {}: entries must be applied in the order of the log (§5.3)",
                self.applied
            ));
        }
        let committed = truth.committed(index);
        let same =
            committed.is_some_and(|(of, what)| of == term && content.is_none_or(|it| it == what));
        if !same {
            return Err(format!(
                "S{server} applied an entry of term {term} at index {index}, but the committed entry there is {}: State Machine \
                 Safety (§5.4.3)",
                committed.map_or("missing".into(), |(term, _)| format!(
                    "of term {term}, or another command"
                ))
            ));
        }
        self.applied = index;
        Ok(())
    }

    fn install(
        &mut self,
        server: usize,
        index: u64,
        snapshot: &[u8],
        truth: &Truth,
    ) -> Result<(), Broken> {
        let covered = read(snapshot, truth)?;
        if covered != index || index <= self.applied {
            return Err(format!(
                "S{server} delivered a snapshot up to index {covered} as one up to index {index}, after it had applied index {} (§7)",
                self.applied
            ));
        }
        self.applied = index;
        Ok(())
    }
}

/// The snapshot of a service that has applied everything up to `index`. Its length varies with the index, so that pieces of two
/// different snapshots seldom fit together.
pub(super) fn snapshot_at(index: u64, truth: &Truth) -> Snapshot {
    let mut bytes = [index, truth.state_at(index)].map(u64::to_le_bytes).concat();
    let padding = (index * 7) % 90;
    bytes.extend((0..padding).map(|byte| (byte + index) as u8));
    Snapshot::from(bytes)
}

/// The last index that a snapshot covers. A service must have made this snapshot.
fn read(snapshot: &[u8], truth: &Truth) -> Result<u64, Broken> {
    let Some((index, _)) = snapshot.split_first_chunk::<8>() else {
        return Ok(0); // an empty snapshot is none
    };
    let index = u64::from_le_bytes(*index);
    match snapshot == &snapshot_at(index, truth)[..] {
        true => Ok(index),
        false => Err(format!(
            "a snapshot of {} bytes, labelled with index {index}, was not made by any service (§7, Figure 13)",
            snapshot.len()
        )),
    }
}
