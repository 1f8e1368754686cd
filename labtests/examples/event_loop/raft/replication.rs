//! Log replication (§5.3), and the rule for when an entry is committed (§5.4.2).

use super::event::Letter;
use super::messages::{AppendEntries, Appended, Entry, InstallSnapshot};
use super::server::{Progress, Role, Server};
use labrpc::api::Command;
use labrpc::time::Instant;

impl Server {
    /// Appends a leader's next entry. A server to which no letter is on its way gets it at once, the others with their next
    /// letter.
    pub fn append_own(&mut self, command: Option<Command>) {
        self.log.push(Entry { term: self.term, command });
        self.save();
        for peer in self.others() {
            self.send_unless_awaited(peer);
        }
        self.advance_commit();
    }

    /// Sends the heartbeat, with the entries that a server lacks.
    pub fn send_to_all(&mut self) {
        self.repeat = Instant::now() + self.shape.heartbeat;
        self.others().for_each(|peer| self.send_to(peer));
    }

    fn send_unless_awaited(&mut self, peer: usize) {
        if self.progress(peer).is_some_and(|progress| !progress.awaited) {
            self.send_to(peer);
        }
    }

    fn send_to(&mut self, peer: usize) {
        let Some(progress) = self.progress(peer) else { return };
        progress.awaited = true;
        let prev_index = progress.next - 1;
        let letter = match self.log.term(prev_index) {
            Some(prev_term) => Letter::AppendEntries(AppendEntries {
                term: self.term,
                leader: self.me,
                prev_index,
                prev_term,
                entries: self.log.behind(prev_index),
                commit: self.commit,
            }),
            None => Letter::InstallSnapshot(InstallSnapshot {
                term: self.term,
                leader: self.me,
                base: self.log.base(),
                data: self.snapshot.clone(),
            }),
        };
        self.send(peer, letter);
    }

    pub fn progress(&mut self, peer: usize) -> Option<&mut Progress> {
        match &mut self.role {
            Role::Leader { peers } => Some(&mut peers[peer]),
            _ => None,
        }
    }

    /// AppendEntries RPC, receiver (Figure 2).
    pub fn append(&mut self, args: AppendEntries) -> Appended {
        if !self.follow(args.term, args.leader) {
            return Appended { term: self.term, ..Appended::default() };
        }
        if let Some(refusal) = self.conflict(&args) {
            return refusal;
        }
        let last_new = args.prev_index + args.entries.len() as u64;
        let success = !(args.entries.is_empty() && self.shape.mute_heartbeats);
        if self.log.merge(args.prev_index, args.entries) {
            self.save();
        }
        self.commit = self.commit.max(args.commit.min(last_new));
        Appended { term: self.term, success, ..Appended::default() }
    }

    /// Handles the term of a message from a leader. Returns `false` if the message is of an old term.
    pub fn follow(&mut self, term: i64, leader: usize) -> bool {
        if self.observe(term) {
            self.save();
        }
        if term < self.term {
            return false;
        }
        self.role = Role::Follower;
        self.leader = Some(leader);
        self.restart_election_timer();
        true
    }

    /// A refusal if the log doesn't match, otherwise `None`. What the snapshot covers is committed, so it matches.
    fn conflict(&self, args: &AppendEntries) -> Option<Appended> {
        if args.prev_index <= self.log.base().index {
            return None;
        }
        let found = self.log.term(args.prev_index);
        if found == Some(args.prev_term) {
            return None;
        }
        let conflict_index = match found {
            None => self.log.last_index() + 1,
            Some(term) => self.log.first_of_term(term, args.prev_index),
        };
        Some(Appended { term: self.term, success: false, conflict_term: found, conflict_index })
    }

    pub fn appended(&mut self, peer: usize, args: &AppendEntries, reply: &Appended) {
        if !self.is_current(args.term, reply.term) {
            return;
        }
        if args.entries.is_empty() && self.shape.mute_heartbeats {
            let progress = self.progress(peer);
            progress.into_iter().for_each(|progress| progress.awaited = false);
            return;
        }
        let next = if reply.success {
            args.prev_index + args.entries.len() as u64 + 1
        } else {
            let same = reply.conflict_term.and_then(|term| self.log.last_of_term(term));
            let next = same.map_or(reply.conflict_index, |index| index + 1);
            next.clamp(1, args.prev_index.max(1))
        };
        let last = self.log.last_index();
        let Some(progress) = self.progress(peer) else { return };
        progress.awaited = false;
        progress.next = next;
        if reply.success {
            progress.matched = progress.matched.max(next - 1);
        }
        self.advance_commit();
        if !reply.success || next <= last {
            self.send_to(peer);
        }
    }

    /// Whether a reply belongs to this leadership. The zeros of a killed server don't.
    pub fn is_current(&mut self, asked_in: i64, answered_in: i64) -> bool {
        if self.observe(answered_in) {
            self.save();
        }
        asked_in == self.term && answered_in == self.term
    }

    /// "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and log[N].term ==
    /// currentTerm: set commitIndex = N" (Figure 2).
    fn advance_commit(&mut self) {
        let Role::Leader { peers } = &self.role else { return };
        let mut matched: Vec<u64> = self.others().map(|peer| peers[peer].matched).collect();
        matched.push(self.log.last_index());
        matched.sort_unstable_by(|a, b| b.cmp(a));
        let reached = matched.into_iter().enumerate().find(|(more, _)| self.is_majority(more + 1));
        let n = reached.map_or(0, |(_, index)| index);
        if n > self.commit && self.log.term(n) == Some(self.term) {
            self.commit = n;
        }
    }
}
