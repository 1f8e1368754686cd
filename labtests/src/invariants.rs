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
mod coverage;
mod forget;
mod history;
mod lately;
mod model;
mod promised;
mod reign;
mod said;
mod server;
#[cfg(test)]
mod tests;

use crate::reading::{Evidence, Reading, Study};
pub use coverage::Coverage;
use labrpc::api::{ApplyMsg, Command, Inspection, Started};
use labrpc::run;
use labrpc::trace::{Event, Sink};
use model::{Model, Verdict};
use parking_lot::Mutex;
use std::sync::Arc;

/// Watches one run. Clones are the same watch. It draws nothing and waits for nothing, so that a seed is the same run
/// with it and without.
#[derive(Clone)]
pub struct Watch {
    watched: Arc<Mutex<Watched>>,
    /// Who watches the same run, and reads it otherwise.
    beside: Arc<[Watch]>,
}

struct Watched {
    model: Model,
    /// What happens while a test clears up concerns nobody.
    over: bool,
    looks: u64,
    /// Holds the run against itself, if somebody wants to know.
    study: Option<Study>,
    /// Whether a broken rule ends the run.
    judges: bool,
    /// The first rule that was broken, if that ends nothing.
    noted: Option<Option<String>>,
    /// Whether the run takes its course by how messages are read: a script does.
    consulted: bool,
}

/// See [`Watch::look`].
pub struct Look {
    server: usize,
    number: u64,
    /// What the server had spoken of when the look began.
    term: u64,
    beside: Vec<Look>,
}

impl Watch {
    /// Of so many servers. `saving`: whether they are expected to save what Figure 2 calls persistent.
    pub fn new(servers: usize, saving: bool, reading: Reading) -> Watch {
        Watch::with(servers, saving, reading, None, true)
    }

    /// One that also holds the run against itself. If it isn't to judge, it only does that.
    pub fn studying(servers: usize, saving: bool, reading: Reading, judges: bool) -> Watch {
        let study = Study::new(servers, reading.clone());
        Watch::with(servers, saving, reading, Some(study), judges)
    }

    fn with(
        servers: usize,
        saving: bool,
        reading: Reading,
        study: Option<Study>,
        judges: bool,
    ) -> Watch {
        let model = Model::new(servers, saving, reading);
        let (over, looks, noted, consulted) = (false, 0, None, false);
        let watched = Watched { model, over, looks, study, judges, noted, consulted };
        Watch { watched: Arc::new(Mutex::new(watched)), beside: Arc::default() }
    }

    /// With others, who only note what they would have ended the run for: see [`Watch::noted`].
    pub fn beside(self, others: Vec<Watch>) -> Watch {
        others.iter().for_each(|other| other.watched.lock().noted = Some(None));
        Watch { beside: others.into(), ..self }
    }

    /// For which broken rule this one would have ended the run, if it is [beside](Watch::beside) another.
    pub fn noted(&self) -> Option<String> {
        self.watched.lock().noted.clone().flatten()
    }

    /// Whether the run has taken its course by how this one reads messages.
    pub fn was_consulted(&self) -> bool {
        self.watched.lock().consulted
    }

    /// One that sees nothing.
    pub fn blind(servers: usize) -> Watch {
        let watch = Watch::new(servers, false, Reading::default());
        watch.end();
        watch
    }

    /// How the run's messages are read.
    pub fn reading(&self) -> Reading {
        let mut watched = self.watched.lock();
        watched.consulted = true;
        watched.model.reading.clone()
    }

    /// What the run says of its words, if it was [studied](Watch::studying).
    pub fn evidence(&self) -> Evidence {
        self.watched.lock().study.as_ref().map(Study::evidence).unwrap_or_default()
    }

    /// Which servers are members, and so what a majority is, isn't known: what rests on it is taken at the servers' word, and held
    /// against what others say.
    pub fn members_vary(&self) {
        self.watched.lock().model.members_vary = true;
        self.beside.iter().for_each(Watch::members_vary);
    }

    /// The test is over.
    pub fn end(&self) {
        self.watched.lock().over = true;
        self.beside.iter().for_each(Watch::end);
    }

    /// What could be read of this run, and what could not.
    pub fn coverage(&self) -> Coverage {
        let model = &self.watched.lock().model;
        let mut coverage = Coverage::of(&model.known, &model.reading);
        coverage.looks = (model.seen.looks, model.seen.inspections);
        coverage
    }

    fn tell<R>(&self, f: impl FnOnce(&mut Model) -> R) -> Option<R> {
        let mut watched = self.watched.lock();
        (!watched.over).then(|| f(&mut watched.model))
    }

    /// Tells who studies the run.
    fn note(&self, f: impl FnOnce(&mut Study)) {
        let mut watched = self.watched.lock();
        if !watched.over
            && let Some(study) = &mut watched.study
        {
            f(study);
        }
    }

    /// The rule that is broken, if somebody judges and nothing is doubtful. Messages that contradict themselves accuse nobody.
    fn broken(&self, f: impl FnOnce(&mut Model) -> Verdict) -> Option<String> {
        let mut watched = self.watched.lock();
        if watched.over || !watched.judges {
            return None;
        }
        let broken = f(&mut watched.model).err()?;
        if let Some(noted) = &mut watched.noted {
            noted.get_or_insert(broken);
            watched.judges = false;
            return None;
        }
        let doubts = watched.study.as_ref().map(Study::doubts).unwrap_or_default();
        watched.judges = doubts.is_empty();
        watched.judges.then_some(broken)
    }

    /// Ends the run if a rule is broken.
    #[track_caller]
    fn judge(&self, f: impl FnOnce(&mut Model) -> Verdict) {
        if let Some(broken) = self.broken(f) {
            run::fail(broken);
        }
    }

    /// What is odd about the elections of late among these servers, which hear each other.
    pub fn elections(&self, servers: &[usize]) -> Vec<String> {
        self.watched.lock().model.elections(servers)
    }

    /// A server refused a command, and named this one as the leader.
    #[track_caller]
    pub fn refused(&self, i: usize, leader: usize) {
        self.judge(|model| model.refuses(i, leader));
        self.beside.iter().for_each(|other| other.refused(i, leader));
    }

    /// A server starts, or starts again.
    pub fn begins_life(&self, i: usize) {
        self.note(|study| study.begins_life(i));
        self.tell(|model| model.begins_life(i));
        self.beside.iter().for_each(|other| other.begins_life(i));
    }

    /// A server has crashed: neither its calls nor its answers count from now on.
    pub fn ends_life(&self, i: usize) {
        self.tell(|model| model.ends_life(i));
        self.beside.iter().for_each(|other| other.ends_life(i));
    }

    /// Server `i` is another machine from now on: what was promised under that name doesn't bind it.
    pub fn forgets(&self, i: usize) {
        self.tell(|model| model.servers[i].forget());
        self.beside.iter().for_each(|other| other.forgets(i));
    }

    /// Server `i` took a command.
    #[track_caller]
    pub fn took(&self, i: usize, started: Started, command: &Command) {
        self.note(|study| study.took(i, started, command));
        self.judge(|model| model.takes(i, started, command));
        self.beside.iter().for_each(|other| other.took(i, started, command));
    }

    /// Server `i`, in its life number `life`, hands this to its service.
    #[track_caller]
    pub fn applies(&self, i: usize, life: u64, message: &ApplyMsg) {
        self.note(|study| study.applies(i, message));
        self.judge(|model| model.applies(i, life, message));
        self.beside.iter().for_each(|other| other.applies(i, life, message));
    }

    /// Server `i` is about to get a snapshot of its service.
    pub fn is_given_snapshot(&self, i: usize, index: u64) {
        self.tell(|model| model.is_given_snapshot(i, index));
        self.beside.iter().for_each(|other| other.is_given_snapshot(i, index));
    }

    /// Somebody is about to call `get_state` or `inspect` of server `i`.
    pub fn look(&self, i: usize) -> Look {
        let mut watched = self.watched.lock();
        watched.looks += 1;
        let number = u64::MAX - watched.looks; // a number that no call has
        let term = watched.model.term_of(i);
        watched.model.looks(i, number);
        drop(watched);
        let beside = self.beside.iter().map(|other| other.look(i)).collect();
        Look { server: i, number, term, beside }
    }

    /// And this is what they said.
    #[track_caller]
    pub fn saw(&self, look: Look, (term, leads): (u64, bool), inspection: Option<Inspection>) {
        self.note(|study| study.believes(look.server, term, leads));
        self.judge(|model| {
            model.looked(look.server, look.number, inspection.clone())?;
            model.believes(look.server, look.term, term, leads)
        });
        let beside = self.beside.iter().zip(look.beside);
        beside.for_each(|(other, look)| other.saw(look, (term, leads), inspection.clone()));
    }
}

impl Sink for Watch {
    fn reads_words(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event) {
        self.note(|study| study.event(&event.what));
        if let Some(broken) = self.broken(|model| model.event(event.at, &event.what)) {
            run::condemn(broken);
        }
        for other in self.beside.iter() {
            other.clone().event(event);
        }
    }
}
