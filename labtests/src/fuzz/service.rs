//! The service above a server: it applies what it gets, and makes snapshots.

use super::disk::Disk;
use super::machine::digest;
use super::truth::{Broken, Truth};
use labrpc::api::{ApplyMsg, Snapshot};

/// How far a service is. What it has seen until there is the same for all, or it would have said so.
pub(super) struct Service {
    applied: u64,
}

impl Service {
    /// A service reads its own snapshot from the disk when its server starts.
    pub fn restarted(disk: &Disk, truth: &Truth) -> Result<Service, Broken> {
        let snapshot = disk.snapshot().unwrap_or_default();
        Ok(Service { applied: read(&snapshot, truth)? })
    }

    /// Up to which index it has applied commands.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Takes the next message.
    pub fn apply(&mut self, server: usize, message: ApplyMsg, truth: &Truth) -> Result<(), Broken> {
        let (index, term, content) = match message {
            ApplyMsg::Snapshot { index, snapshot, .. } => {
                return self.install(server, index, &snapshot, truth);
            }
            ApplyMsg::Command { index, term, command } => (index, term, Some(digest(&command))),
            ApplyMsg::Internal { index, term } => (index, term, None),
            other => return Err(format!("S{server} hands over {other:?}")),
        };
        if index != self.applied + 1 {
            return Err(format!(
                "S{server} applies index {index} after index {}: entries are applied in the order of the log (§5.3)",
                self.applied
            ));
        }
        let committed = truth.committed(index);
        let same =
            committed.is_some_and(|(of, what)| of == term && content.is_none_or(|it| it == what));
        if !same {
            return Err(format!(
                "S{server} applies an entry of term {term} at index {index}; what is committed there is {}: State Machine \
                 Safety (§5.4.3)",
                committed.map_or("nothing".into(), |(term, _)| format!(
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
                "S{server} hands over a snapshot of index {covered} as one of index {index}, after index {} was applied (§7)",
                self.applied
            ));
        }
        self.applied = index;
        Ok(())
    }
}

/// What a service that has applied everything up to `index` saves. The length differs, so that pieces of two snapshots seldom
/// fit together.
pub(super) fn snapshot_at(index: u64, truth: &Truth) -> Snapshot {
    let mut bytes = [index, truth.state_at(index)].map(u64::to_le_bytes).concat();
    let padding = (index * 7) % 90;
    bytes.extend((0..padding).map(|byte| (byte + index) as u8));
    Snapshot::from(bytes)
}

/// Up to which index a snapshot goes. It must be one that a service has made.
fn read(snapshot: &[u8], truth: &Truth) -> Result<u64, Broken> {
    let Some((index, _)) = snapshot.split_first_chunk::<8>() else {
        return Ok(0); // an empty snapshot is none
    };
    let index = u64::from_le_bytes(*index);
    match snapshot == &snapshot_at(index, truth)[..] {
        true => Ok(index),
        false => Err(format!(
            "a snapshot of {} bytes, said to be of index {index}, is not what any service has made (§7, Figure 13)",
            snapshot.len()
        )),
    }
}
