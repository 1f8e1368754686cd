//! Small stories: three servers send each other messages, and the test checks whether a rule is broken.

use super::model::{Model, Verdict};
use crate::reading::Reading;
use labrpc::api::{ApplyMsg, Inspection};
use labrpc::describe::Value;
use labrpc::time::Duration;
use labrpc::trace::What;
use serde::Serialize;

#[derive(Serialize)]
struct Entry {
    term: u64,
    command: u64,
}

#[derive(Serialize)]
struct Vote {
    term: u64,
    last_log_index: u64,
    last_log_term: u64,
}

#[derive(Serialize)]
struct Append {
    term: u64,
    prev_log_index: u64,
    prev_log_term: u64,
    entries: Vec<Entry>,
    leader_commit: u64,
}

#[derive(Serialize)]
struct Reply {
    term: u64,
    vote_granted: bool,
}

#[derive(Serialize)]
struct Appended {
    term: u64,
    success: bool,
}

struct Story {
    model: Model,
    calls: u64,
    now: Duration,
}

impl Story {
    fn new() -> Story {
        let mut model = Model::new(3, false, Reading::default());
        (0..3).for_each(|i| model.begins_incarnation(i));
        Story { model, calls: 0, now: Duration::ZERO }
    }

    /// A call that arrives at once.
    fn call(&mut self, from: usize, to: usize, args: impl Serialize) -> Result<u64, String> {
        self.calls += 1;
        let (call, end) = (self.calls, format!("S{from}->S{to}").into());
        let args = Value::of(&args).into();
        self.model.event(self.now, &What::Called { call, end, method: "Raft.Call", args })?;
        let end = format!("S{from}->S{to}").into();
        self.model.event(self.now, &What::Delivered { call, end, method: "Raft.Call" })?;
        Ok(call)
    }

    fn answer(&mut self, call: u64, reply: impl Serialize) -> Verdict {
        let reply = Value::of(&reply).into();
        self.model.event(self.now, &What::Answered { call, end: "".into(), reply })
    }

    /// `candidate` asks `voter` for its vote and gets it.
    fn vote(&mut self, candidate: usize, voter: usize, term: u64, last: (u64, u64)) -> Verdict {
        let vote = Vote { term, last_log_term: last.0, last_log_index: last.1 };
        let call = self.call(candidate, voter, vote)?;
        self.answer(call, Reply { term, vote_granted: true })
    }

    /// `leader` sends entries of these terms after the entry `prev`, given as term and index.
    fn send(
        &mut self,
        (leader, to): (usize, usize),
        term: u64,
        prev: (u64, u64),
        terms: &[u64],
        leader_commit: u64,
    ) -> Result<u64, String> {
        let entry = |(n, term): (usize, &u64)| Entry { term: *term, command: n as u64 };
        let entries = terms.iter().enumerate().map(entry).collect();
        let (prev_log_term, prev_log_index) = prev;
        let args = Append { term, prev_log_index, prev_log_term, entries, leader_commit };
        self.call(leader, to, args)
    }

    fn agree(&mut self, call: u64, term: u64) -> Verdict {
        self.answer(call, Appended { term, success: true })
    }
}

/// Asserts that a rule is broken, and that the message has these words.
#[track_caller]
fn broken<T: std::fmt::Debug>(verdict: Result<T, String>, words: &str) {
    let text = verdict.unwrap_err();
    assert!(text.contains(words), "{words:?} is missing from {text}");
}

#[test]
fn one_vote_a_term_also_across_crashes() {
    let mut story = Story::new();
    story.vote(0, 2, 1, (0, 0)).unwrap();
    story.vote(0, 2, 1, (0, 0)).unwrap(); // the same again
    story.model.ends_incarnation(2);
    story.model.begins_incarnation(2);
    broken(story.vote(1, 2, 1, (0, 0)), "had voted for S0");
}

#[test]
fn a_leader_has_a_majority_of_votes() {
    let mut story = Story::new();
    story.vote(0, 2, 1, (0, 0)).unwrap();
    story.send((0, 1), 1, (0, 0), &[], 0).unwrap();
    broken(story.send((1, 0), 1, (0, 0), &[], 0), "S0 and S1 both lead term 1");
    broken(story.send((1, 0), 2, (0, 0), &[], 0), "only 0 of 3 votes");
}

#[test]
fn a_vote_for_a_log_that_is_behind() {
    let mut story = Story::new();
    story.vote(0, 1, 1, (0, 0)).unwrap();
    let call = story.send((0, 1), 1, (0, 0), &[1, 1], 0).unwrap();
    story.agree(call, 1).unwrap();
    broken(story.vote(2, 1, 2, (0, 0)), "at least as up-to-date");
}

/// The handler of the old leader's entries may have done its work before the new leader's entries came.
#[test]
fn handlers_that_overlap_may_have_worked_in_either_order() {
    let mut story = Story::new();
    story.vote(0, 2, 1, (0, 0)).unwrap();
    let old = story.send((0, 1), 1, (0, 0), &[1, 1], 0).unwrap();
    story.vote(2, 0, 2, (0, 0)).unwrap();
    let new = story.send((2, 1), 2, (0, 0), &[2], 0).unwrap();
    story.agree(new, 2).unwrap();
    story.agree(old, 1).unwrap();
    // S1's log is [2] now. S0 has only entries of term 1, so its log is behind.
    story.vote(1, 0, 3, (2, 1)).unwrap();
    broken(story.vote(0, 1, 4, (1, 2)), "at least as up-to-date");
}

#[test]
fn what_was_acknowledged_stays() {
    let mut story = Story::new();
    story.vote(0, 1, 1, (0, 0)).unwrap();
    let call = story.send((0, 1), 1, (0, 0), &[1, 1], 0).unwrap();
    story.agree(call, 1).unwrap();
    let call = story.send((0, 1), 1, (1, 2), &[1], 0).unwrap();
    broken(story.answer(call, Appended { term: 1, success: false }), "are gone");
    broken(story.vote(1, 2, 2, (1, 1)), "acknowledged are gone");
}

#[test]
fn nobody_agrees_at_an_entry_that_it_was_never_sent() {
    let mut story = Story::new();
    story.vote(0, 2, 1, (0, 0)).unwrap();
    story.send((0, 2), 1, (0, 0), &[1, 1], 0).unwrap();
    let call = story.send((0, 1), 1, (1, 2), &[], 0).unwrap();
    broken(story.agree(call, 1), "was never sent");
}

#[test]
fn a_place_names_one_entry() {
    let mut story = Story::new();
    story.vote(0, 1, 1, (0, 0)).unwrap();
    story.send((0, 1), 1, (0, 0), &[1, 1], 0).unwrap();
    broken(story.send((0, 2), 1, (1, 1), &[1], 0), "Log Matching");
}

#[test]
fn an_entry_of_an_old_term_is_not_committed_by_counting() {
    let mut story = Story::new();
    story.vote(0, 1, 1, (0, 0)).unwrap();
    story.send((0, 1), 1, (0, 0), &[1], 0).unwrap();
    story.vote(0, 2, 2, (1, 1)).unwrap();
    let call = story.send((0, 2), 2, (0, 0), &[1], 0).unwrap();
    story.agree(call, 2).unwrap();
    broken(story.send((0, 1), 2, (1, 1), &[], 1), "Figure 8");
}

#[test]
fn a_leader_has_what_was_committed() {
    let mut story = Story::new();
    story.vote(0, 1, 1, (0, 0)).unwrap();
    let call = story.send((0, 1), 1, (0, 0), &[1], 0).unwrap();
    story.agree(call, 1).unwrap();
    story.send((0, 2), 1, (1, 1), &[], 1).unwrap();
    story.model.saving = false;
    broken(story.vote(2, 1, 2, (0, 0)), "Leader Completeness");
}

/// A server may make progress between the moment when it answers and the moment when the tester reads the answer.
#[test]
fn what_a_server_shows_is_held_against_what_was_known_when_it_was_asked() {
    let mut story = Story::new();
    let shown = || Some(Inspection { commit_index: Some(1), ..Inspection::default() });
    let incarnation = 1;
    story.model.looks(0, 7);
    story.model.applies(0, incarnation, &ApplyMsg::Internal { index: 2, term: 1 }).unwrap();
    story.model.looked(0, 7, shown()).unwrap();
    story.model.looks(0, 8);
    broken(story.model.looked(0, 8, shown()), "went from 2 back to 1");
}

#[test]
fn a_reply_names_the_term_that_its_server_is_in() {
    let mut story = Story::new();
    story.vote(0, 1, 1, (0, 0)).unwrap();
    story.vote(1, 2, 3, (0, 0)).unwrap();
    let old = Vote { term: 2, last_log_index: 0, last_log_term: 0 };
    let call = story.call(0, 2, old).unwrap();
    broken(story.answer(call, Reply { term: 2, vote_granted: false }), "was in term 3");
    let call = story.send((1, 2), 3, (0, 0), &[], 0).unwrap();
    story.answer(call, Appended { term: 0, success: true }).unwrap();
    let call = story.call(0, 1, Vote { term: 4, last_log_index: 0, last_log_term: 0 }).unwrap();
    story.answer(call, Reply { term: 3, vote_granted: false }).unwrap();
}

#[test]
fn other_names_are_not_guessed_at() {
    let mut story = Story::new();
    for to in [1, 2] {
        let call = story.call(0, to, (7, 7, 7)).unwrap();
        story.answer(call, (true, 7)).unwrap();
    }
    assert!(!story.model.seen.votes && !story.model.seen.appends);
    assert!(!story.model.known.votes && !story.model.known.acknowledgements);
}

/// Old events that have no effect any more are forgotten. A server that is very slow is not accused because of that.
#[test]
fn what_is_old_is_forgotten_and_accuses_nobody() {
    let mut story = Story::new();
    story.vote(0, 2, 1, (0, 0)).unwrap();
    let call = story.send((0, 1), 1, (0, 0), &[1, 1], 0).unwrap();
    story.agree(call, 1).unwrap();
    let late = story.send((0, 2), 1, (0, 0), &[1, 1], 2).unwrap();
    story.vote(1, 2, 2, (1, 2)).unwrap();
    for minute in 1..30 {
        story.now = Duration::from_secs(60 * minute);
        let call = story.send((1, 2), 2, (1, 2), &[], 2).unwrap();
        story.agree(call, 2).unwrap();
    }
    let Model { calls, servers, history, known, .. } = &story.model;
    assert!(calls.len() < 15, "{} calls", calls.len());
    assert!(servers.iter().all(|server| server.votes.keys().all(|term| *term == 2)));
    assert_eq!(history.last_committed().index, 2, "the committed index is still known");
    assert!(known.answers);
    // The old leader was cut off the whole time, and one of its calls was stuck in a handler.
    story.send((0, 2), 1, (1, 2), &[], 2).unwrap();
    story.agree(late, 1).unwrap();
    assert!(!story.model.known.answers, "the forgotten call may have been anything");
    broken(story.send((2, 0), 2, (1, 2), &[], 2), "S1 and S2 both lead term 2");
}

/// What a failure report says about elections when the cluster makes no progress.
#[test]
fn who_stands_in_vain_is_told_and_why() {
    let mut story = Story::new();
    story.vote(0, 1, 1, (0, 0)).unwrap();
    let call = story.send((0, 1), 1, (0, 0), &[1], 0).unwrap();
    story.agree(call, 1).unwrap();
    assert_eq!(story.model.elections(&[0, 1, 2]), [""; 0], "one candidacy is not odd");
    for term in 2..12 {
        story.now += Duration::from_millis(400);
        let call = story.call(2, 1, Vote { term, last_log_index: 0, last_log_term: 0 }).unwrap();
        story.answer(call, Reply { term, vote_granted: false }).unwrap();
    }
    let told = story.model.elections(&[0, 1, 2]).join("\n");
    let lines = [
        "there were 11 candidacies (S0: 1, S2: 10), and 1 of them won",
        "S2 became a candidate in 10 terms from 2 to 11: S0 did not get the request (10x); S1 has a newer log, up to index 1 of term 1",
    ];
    lines.iter().for_each(|line| assert!(told.contains(line), "{line:?} is missing from {told}"));
}

#[test]
fn who_hears_nobody_and_does_nothing_is_told_unless_it_may_have_heard() {
    let mut story = Story::new();
    story.vote(0, 1, 1, (0, 0)).unwrap();
    story.send((0, 2), 1, (0, 0), &[], 0).unwrap();
    story.now = Duration::from_secs(9);
    story.send((0, 1), 1, (0, 0), &[], 0).unwrap();
    let told = story.model.elections(&[0, 1, 2]);
    assert!(told.len() == 1 && told[0].starts_with("S2 has heard no leader"), "{told:?}");
    story.call(0, 2, (7, 7, 7)).unwrap();
    assert_eq!(story.model.elections(&[0, 1, 2]), [""; 0], "that may have been a heartbeat");
}

/// A server may reply to a snapshot before its service has it, and then lose the snapshot. The entries that it covers are committed
/// all the same.
#[test]
fn the_answer_to_a_snapshot_promises_nothing() {
    #[derive(Serialize)]
    struct Install {
        term: u64,
        last_included_index: u64,
        last_included_term: u64,
    }
    let mut story = Story::new();
    story.vote(0, 1, 1, (0, 0)).unwrap();
    let call = story.send((0, 1), 1, (0, 0), &[1, 1], 0).unwrap();
    story.agree(call, 1).unwrap();
    let install = Install { term: 1, last_included_index: 2, last_included_term: 1 };
    let call = story.call(0, 2, install).unwrap();
    story.answer(call, Appended { term: 1, success: true }).unwrap();
    let empty = |term| Vote { term, last_log_index: 0, last_log_term: 0 };
    story.call(2, 0, empty(2)).unwrap();
    broken(
        story.call(1, 0, empty(3)),
        "S1 becomes a candidate in term 3 with a log that ends with index 0 (empty)",
    );
}
