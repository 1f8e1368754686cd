//! What every server has applied, over all its lives.
//!
//! The tester remembers what a server applied before a crash: a Raft that overwrites a committed entry afterwards
//! is caught by it.

use labrpc::api::{ApplyMsg, Command, Snapshot};
use labrpc::codec;
use std::collections::BTreeMap;

/// See the [module](self).
pub struct Ledger {
    /// What was applied first at each index, and by whom.
    agreed: BTreeMap<u64, Applied>,
    servers: Vec<Applier>,
}

struct Applied {
    command: Command,
    term: u64,
    by: usize,
}

/// One server's side.
#[derive(Default)]
struct Applier {
    /// Everything it has applied, in all its lives.
    ever: BTreeMap<u64, Command>,
    life: u64,
    alive: bool,
    /// The last index that it has applied in this life.
    last: u64,
}

/// A snapshot that the service is to hand to its Raft.
pub type ToSave = Option<(u64, Snapshot)>;

/// The service makes a snapshot when it has applied an index whose successor this divides.
const SNAPSHOT_EVERY: u64 = 10;

/// What a snapshot of the tester's service holds: the last index, and every command from the beginning.
type Contents = (u64, Vec<Option<Command>>);

impl Ledger {
    /// For so many servers, none of which has applied anything.
    pub fn new(servers: usize) -> Ledger {
        Ledger {
            agreed: BTreeMap::new(),
            servers: (0..servers).map(|_| Applier::default()).collect(),
        }
    }

    /// A server starts, perhaps from a saved snapshot. Gives back the number of this life.
    pub fn begin_life(&mut self, server: usize, snapshot: Option<&Snapshot>) -> u64 {
        let last = match snapshot.map(|snapshot| codec::decode::<Contents>(snapshot)) {
            None => 0,
            Some(Ok((index, _))) => index,
            Some(Err(error)) => labrpc::run::fail(format!(
                "the snapshot that S{server} has saved is not one that its service made: {error}"
            )),
        };
        let applier = &mut self.servers[server];
        applier.life += 1;
        applier.alive = true;
        applier.last = last;
        applier.life
    }

    /// A server has crashed: what it still sends counts no more.
    pub fn end_life(&mut self, server: usize) {
        self.servers[server].alive = false;
    }

    /// A message came out of a server's apply channel.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn applied(
        &mut self,
        server: usize,
        life: u64,
        message: ApplyMsg,
        snapshots: bool,
    ) -> Result<ToSave, String> {
        let applier = &self.servers[server];
        if applier.life != life || !applier.alive {
            return Ok(None);
        }
        match message {
            ApplyMsg::Command { index, term, command } => {
                self.in_order(server, index)?;
                self.agrees(server, index, term, &command)?;
                let applier = &mut self.servers[server];
                applier.ever.insert(index, command);
                applier.last = index;
            }
            ApplyMsg::Internal { index, .. } => {
                self.in_order(server, index)?;
                self.servers[server].last = index;
            }
            ApplyMsg::Snapshot { index, snapshot, .. } => {
                self.installed(server, index, &snapshot)?;
                return Ok(None);
            }
            _ => return Ok(None),
        }
        let last = self.servers[server].last;
        let due = snapshots && (last + 1).is_multiple_of(SNAPSHOT_EVERY);
        Ok(due.then(|| (last, self.snapshot_of(server, last))))
    }

    fn in_order(&self, server: usize, index: u64) -> Result<(), String> {
        let last = self.servers[server].last;
        if index == last + 1 {
            return Ok(());
        }
        Err(format!(
            "S{server} applied index {index} after index {last}; index {} was due. Commands are applied in the \
             order of the log, each once (Figure 2, Rules for All Servers)",
            last + 1
        ))
    }

    fn agrees(
        &mut self,
        server: usize,
        index: u64,
        term: u64,
        command: &Command,
    ) -> Result<(), String> {
        let first = self.agreed.entry(index).or_insert_with(|| Applied {
            command: command.clone(),
            term,
            by: server,
        });
        if first.command == *command {
            return Ok(());
        }
        Err(format!(
            "S{server} applied {} at index {index} (term {term}), where S{} had applied {} (term {}). State \
             Machine Safety (Figure 3, §5.4.3): if a server has applied an entry at an index, no server ever \
             applies another there",
            show(command),
            first.by,
            show(&first.command),
            first.term
        ))
    }

    fn installed(&mut self, server: usize, index: u64, snapshot: &Snapshot) -> Result<(), String> {
        let (inner, commands) = codec::decode::<Contents>(snapshot).map_err(|error| {
            format!("S{server} delivered a snapshot that no service made: {error}")
        })?;
        if inner != index {
            return Err(format!(
                "S{server} delivered a snapshot as one up to index {index}, but it goes up to {inner}"
            ));
        }
        let last = self.servers[server].last;
        if index < last {
            return Err(format!(
                "S{server} delivered a snapshot up to index {index} after it had applied index {last}: its \
                 service would go back"
            ));
        }
        for (index, command) in (1..).zip(commands) {
            let Some(command) = command else { continue };
            if let Some(agreed) = self.agreed.get(&index)
                && agreed.command != command
            {
                return Err(format!(
                    "S{server} delivered a snapshot that has {} at index {index}, where S{} had applied {} \
                     (State Machine Safety, Figure 3)",
                    show(&command),
                    agreed.by,
                    show(&agreed.command)
                ));
            }
            self.servers[server].ever.insert(index, command);
        }
        self.servers[server].last = index;
        Ok(())
    }

    fn snapshot_of(&self, server: usize, index: u64) -> Snapshot {
        let ever = &self.servers[server].ever;
        let commands = (1..=index).map(|i| ever.get(&i).cloned()).collect();
        Snapshot::from(codec::encode::<Contents>(&(index, commands)))
    }

    /// How many servers have applied something at `index`, and what.
    pub fn committed(&self, index: u64) -> (usize, Option<Command>) {
        let count = self.servers.iter().filter(|s| s.ever.contains_key(&index)).count();
        (count, self.agreed.get(&index).map(|applied| applied.command.clone()))
    }

    /// What was agreed on at each index.
    pub fn agreed(&self) -> impl Iterator<Item = (u64, &Command)> {
        self.agreed.iter().map(|(index, applied)| (*index, &applied.command))
    }

    /// Which servers have applied `index`.
    pub fn who_has(&self, index: u64) -> Vec<usize> {
        (0..self.servers.len()).filter(|&s| self.servers[s].ever.contains_key(&index)).collect()
    }

    /// The highest index that anybody has applied.
    pub fn max_index(&self) -> u64 {
        self.agreed.keys().next_back().copied().unwrap_or(0)
    }
}

/// A command of the tester.
pub fn command(value: impl ToString) -> Command {
    Command::from(value.to_string().into_bytes())
}

/// A command of the tester, for messages.
pub fn show(command: &Command) -> String {
    match std::str::from_utf8(command) {
        Ok(text) if text.len() <= 24 => format!("{text:?}"),
        Ok(text) => format!("{:?}.. ({} bytes)", &text[..16], text.len()),
        Err(_) => format!("{command:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(index: u64, value: u64) -> ApplyMsg {
        ApplyMsg::Command { index, term: 1, command: command(value) }
    }

    /// A ledger of two servers in their first lives.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(2);
        assert_eq!([ledger.begin_life(0, None), ledger.begin_life(1, None)], [1, 1]);
        ledger
    }

    #[test]
    fn two_values_at_one_index_are_caught_also_after_a_crash() {
        let mut ledger = ledger();
        ledger.applied(0, 1, apply(1, 7), false).unwrap();
        let error = ledger.applied(1, 1, apply(1, 8), false).unwrap_err();
        assert!(error.contains("State Machine Safety"), "{error}");
        ledger.end_life(0);
        let life = ledger.begin_life(0, None);
        assert!(ledger.applied(0, life, apply(1, 8), false).is_err());
    }

    #[test]
    fn gaps_and_repetitions_are_caught() {
        let mut ledger = ledger();
        ledger.applied(0, 1, apply(1, 7), false).unwrap();
        assert!(ledger.applied(0, 1, apply(1, 7), false).is_err());
        assert!(ledger.applied(0, 1, apply(3, 9), false).is_err());
        assert!(ledger.applied(1, 1, apply(2, 9), false).is_err());
    }

    #[test]
    fn a_dead_life_counts_no_more() {
        let mut ledger = ledger();
        ledger.end_life(0);
        ledger.applied(0, 1, apply(5, 5), false).unwrap();
        assert_eq!(ledger.committed(5), (0, None));
    }

    #[test]
    fn every_tenth_command_makes_a_snapshot_that_others_can_install() {
        let mut ledger = ledger();
        let mut made = None;
        for index in 1..=9 {
            made = ledger.applied(0, 1, apply(index, index), true).unwrap();
            assert_eq!(made.is_some(), index == 9, "index {index}");
        }
        let (index, snapshot) = made.unwrap();
        let install = |index, snapshot| ApplyMsg::Snapshot { index, term: 1, snapshot };
        assert!(ledger.applied(1, 1, install(8, snapshot.clone()), true).is_err(), "not its index");
        ledger.applied(1, 1, install(index, snapshot.clone()), true).unwrap();
        assert_eq!(ledger.committed(4), (2, Some(command(4))));
        ledger.applied(1, 1, apply(10, 10), true).unwrap();
        let back = ledger.applied(1, 1, install(index, snapshot.clone()), true).unwrap_err();
        assert!(back.contains("go back"), "{back}");
        assert!(ledger.applied(1, 1, install(9, Snapshot::default()), true).is_err());
        ledger.end_life(1);
        let life = ledger.begin_life(1, Some(&snapshot));
        ledger.applied(1, life, apply(10, 10), true).unwrap();
    }
}
