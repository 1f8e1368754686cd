//! The paper's properties (Figure 3), checked while a test runs, on anybody's Raft.
//!
//! Nothing is asked of the Raft: what its servers say to each other tells what they have promised, if the fields of its
//! RPCs are called as in Figure 2, in Go's spelling or Rust's. So most mistakes are found when a rule is broken, long before
//! two services differ:
//!
//! | property | what is checked | from |
//! |---|---|---|
//! | Election Safety | one leader a term, elected by a majority; one vote a term and server, over all its lives | RequestVote, `get_state` |
//! | Leader Append-Only | a leader's log is what it was elected with and what it has added in its term | AppendEntries, `start` |
//! | Log Matching | an index and a term name one entry and all before it; who acknowledges was sent what it says it has | AppendEntries |
//! | Leader Completeness | voters are not more up-to-date than their candidate; leaders have all that is committed; what was acknowledged stays, also across crashes | votes, AppendEntries |
//! | State Machine Safety | what a leader counts as committed, or a server applies, a majority has, and its leader's own term has reached it (§5.4.2) | AppendEntries, the apply channel |
//! | persistence | terms and votes outlive crashes, and are saved before anybody hears of them | saves, terms in RPCs |
//!
//! A request is in a handler for a while, and when exactly it had its effect isn't seen. A rule counts as broken only if it
//! was at every moment at which that may have been: none of these checks can fail on a correct Raft.

mod asked;
mod committed;
mod history;
mod lately;
mod message;
mod model;
mod promised;
mod reign;
mod said;
mod server;
#[cfg(test)]
mod tests;

use labrpc::api::{ApplyMsg, Command, Inspection, Started};
use labrpc::run;
use labrpc::trace::{Event, Sink};
pub use message::{Ask, Place, Reply, is_pre_vote};
use model::{Model, Verdict};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Watches one run. Clones are the same watch. It draws nothing and waits for nothing, so that a seed is the same run
/// with it and without.
#[derive(Clone)]
pub struct Watch(Arc<Mutex<Watched>>);

struct Watched {
    model: Model,
    /// What happens while a test clears up concerns nobody.
    over: bool,
    looks: u64,
}

/// What the messages of a run, or of several, let one check.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    checked: BTreeSet<&'static str>,
    missed: BTreeSet<&'static str>,
}

impl Coverage {
    /// That of one more run.
    pub fn add(&mut self, other: &Coverage) {
        self.checked.extend(&other.checked);
        self.missed.extend(&other.missed);
    }

    /// What could not be checked in any run, though there was the opportunity; and why.
    pub fn unchecked(&self) -> impl Iterator<Item = &'static str> {
        self.missed.difference(&self.checked).copied()
    }
}

/// See [`Watch::look`].
pub struct Look {
    server: usize,
    number: u64,
    /// What the server had spoken of when the look began.
    term: u64,
}

impl Watch {
    /// Of so many servers. `saving`: whether they are expected to save what Figure 2 calls persistent.
    pub fn new(servers: usize, saving: bool) -> Watch {
        let model = Model::new(servers, saving);
        Watch(Arc::new(Mutex::new(Watched { model, over: false, looks: 0 })))
    }

    /// Which servers are members, and so what a majority is, isn't known: what rests on it is taken at the servers' word, and held
    /// against what others say.
    pub fn members_vary(&self) {
        self.0.lock().model.members_vary = true;
    }

    /// The test is over.
    pub fn end(&self) {
        self.0.lock().over = true;
    }

    /// What this run could check, and what it could not, though there was the opportunity.
    pub fn coverage(&self) -> Coverage {
        let model = &self.0.lock().model;
        let seen = &model.seen;
        let led = !model.reigns.is_empty();
        let checks = [
            (
                seen.votes,
                led,
                "votes, and so who may lead: no call has the fields term, last_log_index and last_log_term",
            ),
            (
                seen.appends,
                seen.replicated,
                "logs, and so what may be committed: no call has the fields term, prev_log_index, prev_log_term and \
                 entries (a list of structs with a term)",
            ),
            (
                seen.saved_votes,
                led && model.saving,
                "that votes are saved before they are given (only that they outlive crashes): nothing is saved that \
                 has the fields current_term and voted_for",
            ),
            (
                seen.inspections,
                seen.looks,
                "commit indexes before anything is applied: there is no inspect()",
            ),
        ];
        let mut coverage = Coverage::default();
        for (checked, possible, what) in checks {
            match (checked, possible) {
                (true, _) => _ = coverage.checked.insert(what),
                (false, true) => _ = coverage.missed.insert(what),
                (false, false) => {}
            }
        }
        coverage
    }

    fn tell<R>(&self, f: impl FnOnce(&mut Model) -> R) -> Option<R> {
        let mut watched = self.0.lock();
        (!watched.over).then(|| f(&mut watched.model))
    }

    /// Ends the run if a rule is broken.
    #[track_caller]
    fn judge(&self, f: impl FnOnce(&mut Model) -> Verdict) {
        if let Some(Err(broken)) = self.tell(f) {
            run::fail(broken);
        }
    }

    /// What is odd about the elections of late among these servers, which hear each other.
    pub fn elections(&self, servers: &[usize]) -> Vec<String> {
        self.0.lock().model.elections(servers)
    }

    /// A server refused a command, and named this one as the leader.
    #[track_caller]
    pub fn refused(&self, i: usize, leader: usize) {
        self.judge(|model| model.refuses(i, leader));
    }

    /// A server starts, or starts again.
    pub fn begins_life(&self, i: usize) {
        self.tell(|model| model.begins_life(i));
    }

    /// A server has crashed: neither its calls nor its answers count from now on.
    pub fn ends_life(&self, i: usize) {
        self.tell(|model| model.ends_life(i));
    }

    /// Server `i` is another machine from now on: what was promised under that name doesn't bind it.
    pub fn forgets(&self, i: usize) {
        self.tell(|model| model.servers[i].forget());
    }

    /// Server `i` took a command.
    #[track_caller]
    pub fn took(&self, i: usize, started: Started, command: &Command) {
        self.judge(|model| model.takes(i, started, command));
    }

    /// Server `i`, in its life number `life`, hands this to its service.
    #[track_caller]
    pub fn applies(&self, i: usize, life: u64, message: &ApplyMsg) {
        self.judge(|model| model.applies(i, life, message));
    }

    /// Server `i` is about to get a snapshot of its service.
    pub fn is_given_snapshot(&self, i: usize, index: u64) {
        self.tell(|model| model.is_given_snapshot(i, index));
    }

    /// Somebody is about to call `get_state` or `inspect` of server `i`.
    pub fn look(&self, i: usize) -> Look {
        let mut watched = self.0.lock();
        watched.looks += 1;
        let number = u64::MAX - watched.looks; // a number that no call has
        let term = watched.model.term_of(i);
        watched.model.looks(i, number);
        Look { server: i, number, term }
    }

    /// And this is what they said.
    #[track_caller]
    pub fn saw(&self, look: Look, (term, leads): (u64, bool), inspection: Option<Inspection>) {
        self.judge(|model| {
            model.looked(look.server, look.number, inspection)?;
            model.believes(look.server, look.term, term, leads)
        });
    }
}

impl Sink for Watch {
    fn event(&mut self, event: &Event) {
        if let Some(Err(broken)) = self.tell(|model| model.event(event.at, &event.what)) {
            run::condemn(broken);
        }
    }
}
