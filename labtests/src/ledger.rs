//! What every server has applied, in all its incarnations.
//!
//! The tester remembers what a server applied before a crash. So it catches a Raft that overwrites a committed entry after
//! the crash.

use labrpc::api::{ApplyMsg, Command, Snapshot};
use labrpc::codec;
use serde::{Deserialize, Serialize};
use std::fmt;

/// See the [module](self).
pub struct Ledger {
    /// What was applied first at each index, from 1 on, and by which server.
    agreed: Vec<Applied>,
    /// These entries, encoded one after another: a snapshot is a prefix of these bytes.
    encoded: Vec<u8>,
    servers: Vec<Applier>,
    /// The last snapshot that was made of the agreed entries, and its last index: several servers make the same snapshot.
    latest: Option<(u64, Snapshot)>,
}

struct Applied {
    entry: Entry,
    by: usize,
    /// Where the entry ends in [`Ledger::encoded`].
    end: usize,
}

/// What is at an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    Command(Command),
    /// An entry of Raft's own. It occupies an index, but the service doesn't see it.
    Internal,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Command(command) => f.write_str(&show(command)),
            Entry::Internal => f.write_str("an entry of Raft's own"),
        }
    }
}

/// What one server has applied.
#[derive(Default)]
struct Applier {
    /// The last index that it has applied in any of its incarnations. Each incarnation begins with index 1.
    ever: u64,
    incarnation: u64,
    alive: bool,
    /// The last index that it has applied in this incarnation.
    last: u64,
    /// How it last crashed, if the test has said so.
    crash: Option<String>,
}

/// A snapshot that the service must hand to its Raft.
pub type ToSave = Option<(u64, Snapshot)>;

/// A snapshot of the tester's service: its first eight bytes are the last index that it covers. After them come its contents:
/// every entry from index 1 to that index.
type Contents = Vec<Entry>;

/// The length of that index in bytes.
const HEAD: usize = 8;

impl Ledger {
    /// A ledger for this number of servers. None of them has applied anything.
    pub fn new(servers: usize) -> Ledger {
        Ledger {
            agreed: Vec::new(),
            encoded: Vec::new(),
            servers: (0..servers).map(|_| Applier::default()).collect(),
            latest: None,
        }
    }

    /// A server starts, perhaps from a saved snapshot. Returns the number of this incarnation.
    ///
    /// # Errors
    /// What is wrong with the snapshot.
    pub fn begin_incarnation(
        &mut self,
        server: usize,
        snapshot: Option<&Snapshot>,
    ) -> Result<u64, String> {
        let applier = &mut self.servers[server];
        applier.incarnation += 1;
        applier.alive = true;
        applier.last = 0;
        let incarnation = applier.incarnation;
        if let Some(snapshot) = snapshot {
            let read = self.take_in(server, None, snapshot);
            read.map_err(|wrong| {
                format!(
                    "the snapshot that S{server} has saved {wrong}{}",
                    self.how_it_crashed(server)
                )
            })?;
        }
        Ok(incarnation)
    }

    /// Notes how a server crashed. If something is wrong in its next incarnation, the failure message says so too.
    pub fn note_crash(&mut self, server: usize, how: &str) {
        self.servers[server].crash = Some(how.to_string());
    }

    fn how_it_crashed(&self, server: usize) -> String {
        self.servers[server].crash.as_ref().map_or(String::new(), |how| {
            format!(
                ". {how}. Raft state and snapshot must be saved in one step. Otherwise a crash between two saves leaves a log that \
                 doesn't fit its snapshot (§7)"
            )
        })
    }

    /// A server has crashed. What it still sends does not count any more.
    pub fn end_incarnation(&mut self, server: usize) {
        self.servers[server].alive = false;
    }

    /// A message came out of a server's apply channel. Returns a snapshot if one is due. It is due after each index whose successor
    /// is a multiple of `every`.
    ///
    /// # Errors
    /// What is wrong with the message.
    pub fn applied(
        &mut self,
        server: usize,
        incarnation: u64,
        message: ApplyMsg,
        every: Option<u64>,
    ) -> Result<ToSave, String> {
        let applier = &self.servers[server];
        if applier.incarnation != incarnation || !applier.alive {
            return Ok(None);
        }
        match message {
            ApplyMsg::Command { index, command, .. } => {
                self.in_order(server, index)?;
                self.enter(server, index, Entry::Command(command))?;
                self.servers[server].last = index;
            }
            ApplyMsg::Internal { index, .. } => {
                self.in_order(server, index)?;
                self.enter(server, index, Entry::Internal)?;
                self.servers[server].last = index;
            }
            ApplyMsg::Snapshot { index, snapshot, .. } => {
                let read = self.take_in(server, Some(index), &snapshot);
                read.map_err(|wrong| format!("the snapshot that S{server} delivered {wrong}"))?;
                return Ok(None);
            }
            other => {
                return Err(format!(
                    "S{server} delivered a message that the tester doesn't know: {other:?}"
                ));
            }
        }
        let last = self.servers[server].last;
        let due = every.is_some_and(|every| (last + 1).is_multiple_of(every));
        Ok(due.then(|| (last, self.snapshot_of(server, last))))
    }

    fn in_order(&self, server: usize, index: u64) -> Result<(), String> {
        let last = self.servers[server].last;
        if index == last + 1 {
            return Ok(());
        }
        Err(format!(
            "S{server} applied index {index} after index {last}, but index {} comes next. A server must apply commands in the \
             order of the log, each one once (Figure 2, Rules for All Servers). State Machine Safety (Figure 3, §5.4.3) rests \
             on this rule{}",
            last + 1,
            self.how_it_crashed(server)
        ))
    }

    /// Records the entry that a server has at an index. Fails if another entry was recorded there before. A server that has an
    /// entry also has all entries before it.
    fn enter(&mut self, server: usize, index: u64, entry: Entry) -> Result<(), String> {
        match self.agreed(index) {
            None => {
                self.encoded.extend(codec::encode(&entry));
                self.agreed.push(Applied { entry, by: server, end: self.encoded.len() });
            }
            Some(first) if first.entry != entry => {
                return Err(format!(
                    "S{server} applied {entry} at index {index}, but S{} had applied {} at that index. This breaks State Machine \
                     Safety (Figure 3, §5.4.3): if a server has applied an entry at an index, no server ever applies a \
                     different entry at that index",
                    first.by, first.entry
                ));
            }
            Some(_) => {}
        }
        let ever = &mut self.servers[server].ever;
        *ever = index.max(*ever);
        Ok(())
    }

    fn agreed(&self, index: u64) -> Option<&Applied> {
        self.agreed.get(usize::try_from(index.checked_sub(1)?).ok()?)
    }

    /// A service replaces its state by a snapshot, which must go up to `index`.
    fn take_in(
        &mut self,
        server: usize,
        index: Option<u64>,
        snapshot: &Snapshot,
    ) -> Result<(), String> {
        if snapshot.is_empty() {
            return Err("is empty, so the service loses its state. A server may deliver a snapshot only if it has one (Figure 13). State \
                 Machine Safety (Figure 3) rests on this rule"
                .into());
        }
        let inner = up_to(snapshot)?;
        if let Some(index) = index.filter(|index| *index != inner) {
            return Err(format!(
                "was delivered with index {index}, but its contents go up to index {inner}. Snapshot and index must belong \
                 together (§7). State Machine Safety (Figure 3) rests on this rule"
            ));
        }
        let last = self.servers[server].last;
        if inner < last {
            return Err(format!(
                "goes up to index {inner}, but index {last} was already applied: the service would go back to an older state. A server must \
                 not deliver a snapshot that is older than what it has delivered (§7). State Machine Safety (Figure 3) rests on \
                 this rule"
            ));
        }
        if self.agreed(inner).is_some() && **snapshot == *self.agreed_up_to(inner) {
            let ever = &mut self.servers[server].ever;
            *ever = inner.max(*ever);
        } else {
            self.take_in_each(server, inner, snapshot)?;
        }
        self.servers[server].last = inner;
        Ok(())
    }

    /// Records the entries of a snapshot one by one. The snapshot differs from the agreed entries, or goes beyond them.
    fn take_in_each(
        &mut self,
        server: usize,
        inner: u64,
        snapshot: &Snapshot,
    ) -> Result<(), String> {
        let entries = codec::decode::<Contents>(&snapshot[HEAD..]).map_err(not_of_the_service)?;
        if inner != entries.len() as u64 {
            return Err(format!(
                "says that it goes up to index {inner}, but it holds {} entries",
                entries.len()
            ));
        }
        for (index, entry) in (1..).zip(entries) {
            self.enter(server, index, entry).map_err(|wrong| format!("is wrong: {wrong}"))?;
        }
        Ok(())
    }

    /// A snapshot of what a server has applied up to `index`, or of less if it has applied less.
    pub fn snapshot_of(&mut self, server: usize, index: u64) -> Snapshot {
        let ever = self.servers[server].ever;
        if index <= ever {
            return self.agreed_up_to(index);
        }
        let mut bytes = self.bytes(ever);
        bytes[..HEAD].copy_from_slice(&index.to_le_bytes());
        Snapshot::from(bytes)
    }

    /// A snapshot of the agreed entries up to `index`.
    fn agreed_up_to(&mut self, index: u64) -> Snapshot {
        match &self.latest {
            Some((of, snapshot)) if *of == index => snapshot.clone(),
            _ => {
                let snapshot = Snapshot::from(self.bytes(index));
                self.latest = Some((index, snapshot.clone()));
                snapshot
            }
        }
    }

    /// The bytes of the snapshot up to `index`.
    fn bytes(&self, index: u64) -> Vec<u8> {
        let end = self.agreed(index).map_or(0, |applied| applied.end);
        // A list is encoded as its length followed by its items.
        [&index.to_le_bytes()[..], &codec::encode(&index), &self.encoded[..end]].concat()
    }

    /// How many servers have applied something at `index`, and the command, if it is a command.
    pub fn committed(&self, index: u64) -> (usize, Option<Command>) {
        let count = self.who_has(index).len();
        match self.agreed(index) {
            Some(Applied { entry: Entry::Command(command), .. }) => (count, Some(command.clone())),
            _ => (count, None),
        }
    }

    /// Which servers have applied `index`.
    pub fn who_has(&self, index: u64) -> Vec<usize> {
        (0..self.servers.len()).filter(|&s| (1..=self.servers[s].ever).contains(&index)).collect()
    }

    /// The last index that the server's service has in this incarnation.
    pub fn last_of(&self, server: usize) -> u64 {
        self.servers[server].last
    }

    /// The highest index that any server has applied.
    pub fn max_index(&self) -> u64 {
        self.agreed.len() as u64
    }

    /// How many entries of Raft's own were applied before `index`.
    pub fn own_entries_before(&self, index: u64) -> u64 {
        let before = (1..).zip(&self.agreed).take_while(|(at, _)| *at < index);
        before.filter(|(_, applied)| matches!(applied.entry, Entry::Internal)).count() as u64
    }
}

/// The last index that a snapshot covers, as its first bytes say.
fn up_to(snapshot: &Snapshot) -> Result<u64, String> {
    match snapshot.first_chunk::<HEAD>() {
        Some(head) => Ok(u64::from_le_bytes(*head)),
        None => Err(not_of_the_service(format!("it has {} bytes", snapshot.len()))),
    }
}

fn not_of_the_service(error: impl fmt::Display) -> String {
    format!(
        "is not a snapshot of its service: {error}. A snapshot that comes in pieces is complete only when all pieces have \
         arrived, and each must be at its offset (Figure 13). State Machine Safety (Figure 3) rests on this rule"
    )
}

/// A command of the tester, encoded.
pub fn command(value: impl ToString) -> Command {
    Command::from(value.to_string().into_bytes())
}

/// A command of the tester, as messages show it.
pub fn show(command: &Command) -> String {
    match std::str::from_utf8(command) {
        Ok(text) if text.len() <= 24 => format!("{text:?}"),
        Ok(text) => format!("{:?}.. ({} bytes)", &text[..16], text.len()),
        Err(_) => format!("{command:?}"),
    }
}

#[cfg(test)]
mod tests;
