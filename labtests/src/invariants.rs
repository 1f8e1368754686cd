//! The paper's properties (Figure 3), checked while a test runs, on any Raft.
//!
//! The checks themselves call nothing on the Raft. They read the RPCs that its servers send each other, what its servers save and
//! apply, and what the tester's own calls (`start`, `get_state`, `inspect`) return. RPCs show what each server has promised, if
//! the names of their fields are known: the names of Figure 2 in any spelling, those that Go solutions use, and
//! [declared](crate::reading::Names) names. So most mistakes are found at the moment when a rule is broken, long before two
//! services differ:
//!
//! | property | what is checked | from |
//! |---|---|---|
//! | Election Safety | a term has at most one leader, and a majority elected it; a server votes once per term, also across its crashes | RequestVote, `get_state` |
//! | Leader Append-Only | a leader's log contains the entries that it was elected with and those that it has added in its term, and no others | AppendEntries, `start` |
//! | Log Matching | an index and a term identify one entry and all entries before it; a server acknowledges only entries that it was sent | AppendEntries |
//! | Leader Completeness | no voter's log is more up-to-date than its candidate's; leaders have all committed entries; acknowledged entries stay, also across crashes | votes, AppendEntries |
//! | State Machine Safety | an entry that a leader counts as committed, or that a server applies, is on a majority; this entry, or a later entry on the same majority, is of the leader's own term (§5.4.2) | AppendEntries, the apply channel |
//! | persistence | terms and votes survive crashes; a server saves them before another server hears of them | saves, terms in RPCs |
//!
//! A request stays in a handler for a while, and the exact moment at which it takes effect is unknown. So a rule counts as
//! broken only if it is broken for every possible moment: none of these checks can fail on a correct Raft.

mod committed;
mod coverage;
mod forget;
mod history;
mod leadership;
mod model;
mod observations;
mod recent_elections;
mod replies;
mod requests;
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

/// Watches one run. All clones are the same watch. It consumes no random numbers and waits for nothing, so a seed gives the
/// same run with it and without it.
#[derive(Clone)]
pub struct Watch {
    watched: Arc<Mutex<Watched>>,
    /// Other watches of the same run, which read its messages differently.
    beside: Arc<[Watch]>,
}

struct Watched {
    model: Model,
    /// Whether the test is over. What happens while it clears up is ignored.
    over: bool,
    looks: u64,
    /// Checks whether the run's messages contradict each other. `None`: nobody needs that.
    study: Option<Study>,
    /// Whether this watch still reports a broken rule. `noted` decides how.
    judges: bool,
    /// `None`: a broken rule ends the run. `Some`: this watch never ends the run, and the first broken rule is noted here.
    noted: Option<Option<String>>,
    /// Whether the course of the run depends on how messages are read. In a run with a script it does.
    consulted: bool,
}

/// See [`Watch::look`].
pub struct Look {
    server: usize,
    number: u64,
    /// The highest term that the server had named when the look began.
    term: u64,
    beside: Vec<Look>,
}

impl Watch {
    /// A watch for this number of servers. `saving`: whether they must save what Figure 2 calls persistent.
    pub fn new(servers: usize, saving: bool, reading: Reading) -> Watch {
        Watch::with(servers, saving, reading, None, true)
    }

    /// A watch that also [studies](Study) whether the run contradicts itself. Without `judges` it does nothing else.
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

    /// Adds other watches. They never end the run. Each of them only notes the first broken rule, which would otherwise have ended
    /// the run: see [`Watch::noted`].
    pub fn beside(self, others: Vec<Watch>) -> Watch {
        others.iter().for_each(|other| other.watched.lock().noted = Some(None));
        Watch { beside: others.into(), ..self }
    }

    /// The broken rule for which this watch would have ended the run, if it is [beside](Watch::beside) another watch.
    pub fn noted(&self) -> Option<String> {
        self.watched.lock().noted.clone().flatten()
    }

    /// Whether the course of the run has depended on how this watch reads messages.
    pub fn was_consulted(&self) -> bool {
        self.watched.lock().consulted
    }

    /// A watch that sees nothing.
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

    /// The run's evidence on what its words mean, if the run was [studied](Watch::studying).
    pub fn evidence(&self) -> Evidence {
        self.watched.lock().study.as_ref().map(Study::evidence).unwrap_or_default()
    }

    /// From now on it is unknown which servers are members, and so what a majority is. What a server says about things that
    /// depend on this is believed, and compared with what other servers say.
    pub fn members_vary(&self) {
        self.watched.lock().model.members_vary = true;
        self.beside.iter().for_each(Watch::members_vary);
    }

    /// Tells the watch that the test is over.
    pub fn end(&self) {
        self.watched.lock().over = true;
        self.beside.iter().for_each(Watch::end);
    }

    /// Which facts of this run could be read, and which could not.
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

    /// Passes an event to the study of the run, if there is one.
    fn note(&self, f: impl FnOnce(&mut Study)) {
        let mut watched = self.watched.lock();
        if !watched.over
            && let Some(study) = &mut watched.study
        {
            f(study);
        }
    }

    /// The rule that is broken, if this watch judges and no fact is doubtful. If messages contradict themselves, no server is
    /// accused.
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

    /// What is odd about the recent elections among these servers, which can hear each other.
    pub fn elections(&self, servers: &[usize]) -> Vec<String> {
        self.watched.lock().model.elections(servers)
    }

    /// Server `i` refused a command and named `leader` as the leader.
    #[track_caller]
    pub fn refused(&self, i: usize, leader: usize) {
        self.judge(|model| model.refuses(i, leader));
        self.beside.iter().for_each(|other| other.refused(i, leader));
    }

    /// Server `i` starts or restarts.
    pub fn begins_incarnation(&self, i: usize) {
        self.note(|study| study.begins_incarnation(i));
        self.tell(|model| model.begins_incarnation(i));
        self.beside.iter().for_each(|other| other.begins_incarnation(i));
    }

    /// Server `i` has crashed: from now on neither its calls nor its replies count.
    pub fn ends_incarnation(&self, i: usize) {
        self.tell(|model| model.ends_incarnation(i));
        self.beside.iter().for_each(|other| other.ends_incarnation(i));
    }

    /// From now on server `i` is a different machine: what the old one promised doesn't bind it.
    pub fn forgets(&self, i: usize) {
        self.tell(|model| model.servers[i].forget());
        self.beside.iter().for_each(|other| other.forgets(i));
    }

    /// Server `i` accepted a command.
    #[track_caller]
    pub fn took(&self, i: usize, started: Started, command: &Command) {
        self.note(|study| study.took(i, started, command));
        self.judge(|model| model.takes(i, started, command));
        self.beside.iter().for_each(|other| other.took(i, started, command));
    }

    /// Server `i`, in its incarnation number `incarnation`, hands this message to its service.
    #[track_caller]
    pub fn applies(&self, i: usize, incarnation: u64, message: &ApplyMsg) {
        self.note(|study| study.applies(i, message));
        self.judge(|model| model.applies(i, incarnation, message));
        self.beside.iter().for_each(|other| other.applies(i, incarnation, message));
    }

    /// The service of server `i` is about to give it a snapshot.
    pub fn is_given_snapshot(&self, i: usize, index: u64) {
        self.tell(|model| model.is_given_snapshot(i, index));
        self.beside.iter().for_each(|other| other.is_given_snapshot(i, index));
    }

    /// The tester is about to call `get_state` or `inspect` on server `i`.
    pub fn look(&self, i: usize) -> Look {
        let mut watched = self.watched.lock();
        watched.looks += 1;
        let number = u64::MAX - watched.looks; // a number that no call uses
        let term = watched.model.term_of(i);
        watched.model.looks(i, number);
        drop(watched);
        let beside = self.beside.iter().map(|other| other.look(i)).collect();
        Look { server: i, number, term, beside }
    }

    /// The calls that [`Watch::look`] announced have returned these results.
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
