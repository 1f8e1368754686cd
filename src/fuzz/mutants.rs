//! The fuzz must be strong enough to find faults that need a rare history. Each fault here changes the reference at the start
//! or the end of its calls.

use super::machine::{Reference, Sent};
use labrpc::Persister;
use labrpc::api::{Command, Snapshot};
use labrpc::time::Instant;
use labtests::fuzz::fuzz;
use labtests::fuzz::machine::{Boot, Change, Look, Machine, Output};
use raftlab::raft::messages::Message;
use raftlab::raft::state::{Role, State};

/// What is wrong with a Raft.
trait Fault: Default + 'static {
    /// The disk that a server starts from.
    fn disk(persister: Persister) -> Persister {
        persister
    }

    /// What a server does to the state that it has loaded.
    fn started(_: &mut State) {}

    /// What a server does with a message before it handles it.
    fn receives(_: &Sent, _: &mut State, _: Instant) {}

    /// What a server does at the end of each call.
    fn called(&mut self, _: &mut State) {}

    /// The index that a server returns for a read at once, if it does.
    fn reads_at(_: &State) -> Option<u64> {
        None
    }
}

/// The reference with a fault.
struct Faulty<F> {
    reference: Reference,
    fault: F,
    reads: Vec<(u64, Option<u64>)>,
}

impl<F: Fault> Faulty<F> {
    fn called(&mut self, call: impl FnOnce(&mut Reference)) {
        call(&mut self.reference);
        self.fault.called(&mut self.reference.state);
    }
}

impl<F: Fault> Machine for Faulty<F> {
    type Message = Sent;

    fn start(boot: Boot<'_>) -> Self {
        let persister = F::disk(boot.persister);
        let mut reference = Reference::start(Boot { persister, ..boot });
        F::started(&mut reference.state);
        Faulty { reference, fault: F::default(), reads: Vec::new() }
    }

    fn tick(&mut self, now: Instant) {
        self.called(|reference| reference.tick(now));
    }

    fn receive(&mut self, from: usize, message: Sent, now: Instant) {
        F::receives(&message, &mut self.reference.state, now);
        self.called(|reference| reference.receive(from, message, now));
    }

    fn propose(&mut self, command: Command, now: Instant) -> bool {
        let mut taken = false;
        self.called(|reference| taken = reference.propose(command, now));
        taken
    }

    fn snapshot(&mut self, index: u64, snapshot: Snapshot, now: Instant) {
        self.called(|reference| reference.snapshot(index, snapshot, now));
    }

    fn read(&mut self, read: u64, now: Instant) {
        match F::reads_at(&self.reference.state) {
            None => self.called(|reference| reference.read(read, now)),
            index => self.reads.push((read, index)),
        }
    }

    fn change(&mut self, number: u64, change: Change, now: Instant) -> bool {
        let mut begun = false;
        self.called(|reference| begun = reference.change(number, change, now));
        begun
    }

    fn transfer(&mut self, to: usize, now: Instant) {
        self.called(|reference| reference.transfer(to, now));
    }

    fn take_output(&mut self) -> Output<Sent> {
        let mut output = self.reference.take_output();
        output.reads.append(&mut self.reads);
        output
    }

    fn look(&self) -> Look {
        self.reference.look()
    }
}

/// Within 100 seeds, a run fails with a message that contains one of these texts.
fn finds<F: Fault>(rules: &[&str]) {
    let failure = (1..=100).find_map(|seed| fuzz::<Faulty<F>>(seed).err());
    let failure = failure.expect("100 seeds did not find the fault");
    println!("seed {}: {}", failure.seed, failure.message);
    assert!(rules.iter().any(|rule| failure.message.contains(rule)), "{failure}");
}

/// Figure 8: an entry counts as committed if a majority has it, whatever its term.
#[derive(Default)]
struct CommitsOldTerms;

impl Fault for CommitsOldTerms {
    fn called(&mut self, state: &mut State) {
        let Role::Leader { progress, .. } = &state.role else { return };
        let n = state.majority_has(|member| match member == state.me {
            true => state.log.last_index(),
            false => progress[member].match_index,
        });
        state.commit_index = state.commit_index.max(n);
    }
}

#[test]
fn finds_figure_8() {
    finds::<CommitsOldTerms>(&["Leader Completeness", "State Machine Safety"]);
}

/// After a restart, everything is lost.
#[derive(Default)]
struct ForgetsAll;

impl Fault for ForgetsAll {
    fn disk(_: Persister) -> Persister {
        Persister::new()
    }
}

#[test]
fn finds_a_server_that_forgets_everything() {
    finds::<ForgetsAll>(&["A server must save its state", "currentTerm must be saved"]);
}

/// After a restart, term and vote are there, but not the log.
#[derive(Default)]
struct ForgetsLog;

impl Fault for ForgetsLog {
    fn started(state: &mut State) {
        state.log.truncate_after(0);
    }
}

#[test]
fn finds_a_server_that_forgets_its_log() {
    finds::<ForgetsLog>(&["A server must save its state"]);
}

/// After a restart, term and log are there, but not the vote.
#[derive(Default)]
struct ForgetsVote;

impl Fault for ForgetsVote {
    fn started(state: &mut State) {
        state.voted_for = None;
    }
}

#[test]
fn finds_a_server_that_forgets_its_vote() {
    finds::<ForgetsVote>(&["votedFor must be saved"]);
}

/// After a restart, the server uses the term of its last log entry as its own term.
#[derive(Default)]
struct ForgetsTerm;

impl Fault for ForgetsTerm {
    fn started(state: &mut State) {
        (state.current_term, state.voted_for) = (state.log.last_term(), None);
    }
}

#[test]
fn finds_a_server_that_forgets_its_term() {
    finds::<ForgetsTerm>(&["currentTerm must be saved", "votedFor must be saved"]);
}

/// A leader counts what its followers had acknowledged in an earlier term of office.
#[derive(Default)]
struct KeepsMatchIndex {
    known: Vec<u64>,
}

impl Fault for KeepsMatchIndex {
    fn called(&mut self, state: &mut State) {
        let Role::Leader { progress, .. } = &state.role else { return };
        self.known.resize(progress.len(), 0);
        for (known, progress) in self.known.iter_mut().zip(progress) {
            *known = progress.match_index.max(*known);
        }
        let n = state.majority_has(|member| match member == state.me {
            true => state.log.last_index(),
            false => self.known[member],
        });
        if state.log.term_at(n) == Some(state.current_term) {
            state.commit_index = state.commit_index.max(n);
        }
    }
}

#[test]
fn finds_a_leader_that_keeps_the_match_indices_of_an_earlier_reign() {
    finds::<KeepsMatchIndex>(&["Leader Completeness", "not a majority"]);
}

/// A server adopts any term that a message names.
#[derive(Default)]
struct BelievesAnyTerm;

impl Fault for BelievesAnyTerm {
    fn receives(message: &Sent, state: &mut State, now: Instant) {
        if let Sent::Request(_, Message::RequestVote(args)) = message {
            state.update_term(args.term, now);
        }
    }
}

#[test]
fn finds_a_server_that_believes_in_any_term() {
    finds::<BelievesAnyTerm>(&["currentTerm must be saved", "No cluster can reach that term"]);
}

/// A leader answers reads without checking whether it still leads.
#[derive(Default)]
struct ReadsAtOnce;

impl Fault for ReadsAtOnce {
    fn reads_at(state: &State) -> Option<u64> {
        state.is_leader().then_some(state.commit_index)
    }
}

#[test]
fn finds_reads_that_no_majority_has_confirmed() {
    finds::<ReadsAtOnce>(&["§6.4"]);
}

/// A follower votes although it hears from a leader, which may have a lease.
#[derive(Default)]
struct VotesUnderALease;

impl Fault for VotesUnderALease {
    fn called(&mut self, state: &mut State) {
        state.heard_leader_at = Instant::at(labrpc::time::Duration::ZERO);
    }
}

#[test]
fn finds_votes_against_a_leader_with_a_lease() {
    finds::<VotesUnderALease>(&["§6.4", "election timeouts there is still no command"]);
}
