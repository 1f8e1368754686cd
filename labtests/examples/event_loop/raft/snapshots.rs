//! Snapshots (§7).

use super::messages::{Base, InstallSnapshot, Installed};
use super::server::Server;
use super::shape::Install;
use labrpc::api::{ApplyMsg, Snapshot};

impl Server {
    /// Handles a snapshot of the service. A snapshot that comes late or twice covers nothing that is still in the log.
    pub fn take_snapshot(&mut self, number: u64, snapshot: Snapshot) {
        let Some(index) = self.log.index_of(number).filter(|index| *index <= self.applied) else {
            return;
        };
        let term = self.log.term(index).expect("what was found is in the log");
        self.change_over(Base { index, term, number }, snapshot);
    }

    fn change_over(&mut self, base: Base, snapshot: Snapshot) {
        self.log.trim(base);
        self.snapshot = snapshot;
        self.commit = self.commit.max(base.index);
        self.save_with(Some(self.snapshot.clone()));
    }

    /// InstallSnapshot RPC, receiver (Figure 13), in one piece.
    pub fn install(&mut self, args: InstallSnapshot) -> Installed {
        if self.follow(args.term, args.leader) {
            match self.shape.install {
                Install::AtOnce if args.base.index > self.commit => {
                    self.change_over(args.base, args.data);
                }
                Install::OnDelivery if args.base.index > self.applied => {
                    self.arriving = Some(args);
                }
                _ => {}
            }
        }
        Installed { term: self.term }
    }

    pub fn installed(&mut self, peer: usize, args: &InstallSnapshot, reply: &Installed) {
        if !self.is_current(args.term, reply.term) {
            return;
        }
        let Some(progress) = self.progress(peer) else { return };
        progress.awaited = false;
        progress.matched = progress.matched.max(args.base.index);
        progress.next = args.base.index + 1;
        // The entries after it are sent with the next command or heartbeat.
    }

    /// The snapshot that is ahead of the service, if there is one.
    pub fn next_snapshot(&mut self) -> Option<ApplyMsg> {
        self.arriving.take_if(|arriving| arriving.base.index <= self.applied);
        if let Some(InstallSnapshot { base, data, .. }) = &self.arriving {
            return Some(message(*base, data));
        }
        let base = self.log.base();
        (self.applied < base.index).then(|| message(base, &self.snapshot))
    }

    /// If a snapshot was offered to the service, records that the service has accepted it. Returns whether there was one.
    pub fn delivered_snapshot(&mut self) -> bool {
        if let Some(InstallSnapshot { base, data, .. }) = self.arriving.take() {
            self.change_over(base, data);
        }
        let behind = self.applied < self.log.base().index;
        self.applied = self.applied.max(self.log.base().index);
        behind
    }
}

fn message(base: Base, snapshot: &Snapshot) -> ApplyMsg {
    ApplyMsg::Snapshot { index: base.number, term: base.term as u64, snapshot: snapshot.clone() }
}
