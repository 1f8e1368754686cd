//! Elections (§5.2), and the restriction on who may win (§5.4.1).

use super::event::Letter;
use super::messages::{RequestVote, Vote};
use super::server::{Progress, Role, Server};
use super::shape::NoOp;
use labrpc::time::Instant;

impl Server {
    pub fn campaign(&mut self) {
        self.term += 1;
        self.voted_for = Some(self.me);
        self.leader = None;
        let own = (!self.shape.asks_itself).then_some(self.me);
        self.role = Role::Candidate { votes: own.into_iter().collect() };
        self.restart_election_timer();
        self.save();
        self.ask_for_votes();
        self.lead_if_elected();
    }

    /// Asks all servers that have not voted for this server yet. It also asks again, because a letter may have been lost.
    pub fn ask_for_votes(&mut self) {
        self.repeat = Instant::now() + self.shape.heartbeat;
        let Role::Candidate { votes } = &self.role else { return };
        for peer in (0..self.servers()).filter(|peer| !votes.contains(peer)) {
            let args = RequestVote {
                term: self.term,
                candidate: self.me,
                last_index: self.log.last_index(),
                last_term: self.log.last_term(),
            };
            self.send(peer, Letter::RequestVote(args));
        }
    }

    /// RequestVote RPC, receiver (Figure 2).
    pub fn vote(&mut self, args: &RequestVote) -> Vote {
        let newer = self.observe(args.term);
        let up_to_date =
            (args.last_term, args.last_index) >= (self.log.last_term(), self.log.last_index());
        let free = self.voted_for.is_none_or(|one| one == args.candidate);
        let granted = args.term == self.term && free && up_to_date;
        let anew = granted && self.voted_for.is_none();
        if granted {
            self.voted_for = Some(args.candidate);
            self.restart_election_timer();
        }
        if anew || newer {
            self.save();
        }
        Vote { term: self.term, granted }
    }

    pub fn count_vote(&mut self, peer: usize, args: &RequestVote, vote: &Vote) {
        if self.observe(vote.term) {
            self.save();
        }
        if let Role::Candidate { votes } = &mut self.role
            && args.term == self.term
            && vote.granted
        {
            votes.insert(peer);
            self.lead_if_elected();
        }
    }

    fn lead_if_elected(&mut self) {
        match &self.role {
            Role::Candidate { votes } if self.is_majority(votes.len()) => self.lead(),
            _ => {}
        }
    }

    fn lead(&mut self) {
        let progress = Progress { next: self.log.last_index() + 1, matched: 0, awaited: false };
        self.role = Role::Leader { peers: vec![progress; self.servers()] };
        self.leader = Some(self.me);
        if self.shape.no_op != NoOp::Never {
            self.append_own(None);
        }
        self.send_to_all();
    }
}
