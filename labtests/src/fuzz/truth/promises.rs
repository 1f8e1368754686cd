//! What a server has told others binds all its later incarnations.

use super::super::machine::Look;
use super::{Broken, Truth};

impl Truth {
    /// Records what a server has told others: at least its term, and its vote.
    pub fn told(&mut self, server: usize, look: &Look) -> Result<(), Broken> {
        self.check_term(server, look)?;
        self.terms.insert(server, look.term);
        let Some(voted_for) = look.voted_for else { return Ok(()) };
        let vote = *self.votes.entry((server, look.term)).or_insert(voted_for);
        match vote == voted_for {
            true => Ok(()),
            false => Err(two_votes(server, look.term, vote, voted_for)),
        }
    }

    /// Checks that a server remembers what it has told others. The server has restarted, or this is the state that it would
    /// have if it did.
    pub fn check_memory(&self, server: usize, restarted: &Look) -> Result<(), Broken> {
        self.check_term(server, restarted)?;
        let told = self.votes.get(&(server, restarted.term));
        match (told, restarted.voted_for) {
            (Some(told), None) => Err(format!(
                "S{server} said that it voted for S{told} in term {}, but after a restart it would not remember this vote. \
                 votedFor must be saved before responding to RPCs (Figure 2)",
                restarted.term
            )),
            (Some(told), Some(now)) if *told != now => {
                Err(two_votes(server, restarted.term, *told, now))
            }
            _ => Ok(()),
        }
    }

    fn check_term(&self, server: usize, look: &Look) -> Result<(), Broken> {
        match self.terms.get(&server) {
            Some(told) if look.term < *told => Err(format!(
                "S{server} said that it was in term {told}, but after a restart it is in term {}. currentTerm must be saved \
                 before responding to RPCs (Figure 2)",
                look.term
            )),
            _ => Ok(()),
        }
    }

    /// Forgets the promises of `server`, because its machine is replaced by an empty one, which has promised nothing.
    pub fn forget(&mut self, server: usize) {
        self.terms.remove(&server);
        self.votes.retain(|(voter, _), _| *voter != server);
    }
}

fn two_votes(server: usize, term: u64, first: usize, second: usize) -> Broken {
    format!(
        "S{server} voted for both S{first} and S{second} in term {term}. A server has one vote per term (§5.2)"
    )
}
