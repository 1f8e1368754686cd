//! Small stories of Rafts that mean something else by a word. The tests check which facts are not believed.

use super::*;
use serde::Serialize;

const VOTE: Fact = (Part::Vote, Word::Term);
const LEADER: Fact = (Part::Install, Word::Term);
const SUCCESS: Fact = (Part::AppendReply, Word::Success);

#[derive(Serialize)]
struct Vote {
    term: u64,
    last_log_index: u64,
    last_log_term: u64,
}

#[derive(Serialize)]
struct Append<E> {
    term: u64,
    prev_log_index: u64,
    prev_log_term: u64,
    entries: Vec<E>,
    leader_commit: u64,
}

#[derive(Serialize)]
struct Install {
    term: u64,
    last_included_index: u64,
    last_included_term: u64,
}

#[derive(Serialize)]
struct Appended {
    term: u64,
    success: bool,
}

#[derive(Clone, Serialize)]
struct Entry {
    term: u64,
    command: Command,
    acks: Vec<u64>,
}

struct Story {
    study: Study,
    calls: u64,
}

impl Story {
    fn new() -> Story {
        let mut study = Study::new(3, Reading::default());
        (0..3).for_each(|i| study.begins_incarnation(i));
        Story { study, calls: 0 }
    }

    fn call(&mut self, from: usize, to: usize, args: impl Serialize) -> u64 {
        self.calls += 1;
        let (call, args) = (self.calls, Value::of(&args).into());
        let end = format!("S{from}->S{to}").into();
        self.study.event(&What::Called { call, end, method: "Raft.Call", args });
        call
    }

    /// S0 sends S1 entries of term 1 that follow index `prev`, and gets this answer.
    fn send<E: Serialize>(&mut self, prev: u64, entries: Vec<E>, success: bool) {
        self.send_for(prev, entries, &Appended { term: 1, success });
    }

    fn send_for<E: Serialize>(&mut self, prev: u64, entries: Vec<E>, reply: &impl Serialize) {
        let (prev_log_index, prev_log_term) = (prev, u64::from(prev > 0));
        let append = Append { term: 1, prev_log_index, prev_log_term, entries, leader_commit: 0 };
        let call = self.call(0, 1, append);
        let reply = Value::of(reply).into();
        self.study.event(&What::Answered { call, end: "S0->S1".into(), reply });
    }

    /// `start()` of server `i`, the leader of `term`, returns this index.
    fn start(&mut self, i: usize, term: u64, index: u64) {
        self.study.took(i, Started { index, term }, &Command::from(vec![index as u8]));
    }

    fn doubts(&self, fact: Fact) -> bool {
        self.study.doubts().contains_key(&fact)
    }

    fn is_silent_on(&self, fact: Fact) -> bool {
        self.study.evidence().is_silent_on(&[fact].into()).contains_key(&fact)
    }
}

fn vote(term: u64, last_log_index: u64) -> Vote {
    Vote { term, last_log_index, last_log_term: u64::from(last_log_index > 0) }
}

/// Pre-votes and votes may be two variants of the arguments of one method.
#[test]
fn two_kinds_of_requests_for_votes_are_no_votes() {
    #[derive(Serialize)]
    struct Poll {
        term: u64,
        last_log_index: u64,
        last_log_term: u64,
    }
    let mut story = Story::new();
    story.call(0, 1, vote(1, 0));
    story.study.believes(0, 1, true);
    assert!(!story.doubts(VOTE));
    story.call(1, 2, Poll { term: 2, last_log_index: 0, last_log_term: 0 });
    assert!(story.doubts(VOTE));
}

#[test]
fn a_leader_sends_in_no_term_that_another_led() {
    let mut story = Story::new();
    let install = |term| Install { term, last_included_index: 9, last_included_term: 1 };
    story.study.believes(0, 1, true);
    story.study.believes(1, 2, true);
    story.call(1, 2, install(2));
    assert!(!story.doubts(LEADER));
    // A message that it sends late may have been prepared when it led an earlier term.
    story.study.believes(1, 4, true);
    story.call(1, 2, install(4));
    story.call(1, 2, install(4));
    story.call(1, 2, install(2));
    assert!(!story.doubts(LEADER));
    story.call(1, 2, install(1));
    assert!(story.doubts(LEADER), "S0 led term 1, and S1 had gone on to term 4");
}

#[test]
fn a_higher_term_than_get_state_tells_later_is_no_term() {
    let mut story = Story::new();
    story.study.believes(0, 1, true);
    story.call(0, 1, Install { term: 9, last_included_index: 9, last_included_term: 1 });
    assert!(!story.doubts(LEADER), "it may have moved to a newer term since");
    story.study.believes(0, 1, true);
    assert!(story.doubts(LEADER));
}

/// A service may count only commands. That its indexes are those of messages is a fact that can be doubted, like others.
#[test]
fn that_indexes_are_those_of_messages_must_be_borne_out() {
    let mut story = Story::new();
    story.call(0, 1, vote(1, 0));
    story.start(0, 1, 1);
    assert!(story.study.evidence().read.contains(&NUMBERING));
    assert!(story.is_silent_on(NUMBERING), "the first index is 1 in every way of counting");
    story.call(1, 2, vote(2, 2));
    story.start(1, 2, 3);
    assert!(!story.is_silent_on(NUMBERING) && !story.doubts(NUMBERING));
    story.call(2, 1, vote(3, 5));
    story.start(2, 3, 4);
    assert!(story.doubts(NUMBERING), "its log ended with index 5");
}

/// `success` may mean "you are my leader", while another field reports a conflict.
#[test]
fn leaders_that_go_back_after_a_yes_do_not_take_it_for_success() {
    let mut story = Story::new();
    let entry = |index: u8| Entry { term: 1, command: vec![index].into(), acks: vec![] };
    for prev in 1..40 {
        story.send(prev, vec![entry(prev as u8)], true);
    }
    for _ in 0..4 {
        story.send(30, Vec::<Entry>::new(), false);
        story.send(20, Vec::<Entry>::new(), false);
    }
    assert!(
        !story.doubts(SUCCESS),
        "they go back after a no; once because an old refusal came late"
    );
    for prev in (10..20).rev() {
        story.send(prev, Vec::<Entry>::new(), true);
    }
    assert!(story.doubts(SUCCESS));
}

/// `success` may mean that the message was received, while the leader looks at the conflict field.
#[test]
fn a_yes_that_names_a_conflict_is_none() {
    #[derive(Serialize)]
    struct Hint {
        term: u64,
        success: bool,
        #[serde(rename = "XIndex")]
        x_index: i64,
    }
    let reply = |x_index| Hint { term: 1, success: true, x_index };
    let mut story = Story::new();
    let entry = |index: u8| Entry { term: 1, command: vec![index].into(), acks: vec![] };
    story.send_for(1, vec![entry(1)], &reply(-1));
    assert!(!story.doubts(SUCCESS));
    story.send_for(5, vec![entry(5)], &reply(2));
    assert!(story.doubts(SUCCESS));
    let mut always = Story::new();
    (1..4).for_each(|at| always.send_for(at, vec![entry(at as u8)], &reply(at as i64)));
    assert!(!always.doubts(SUCCESS), "a Raft that always fills the field says nothing with it");
}

#[test]
fn what_varies_beside_a_command_is_no_part_of_an_entry() {
    let mut story = Story::new();
    let entry = |command: u8, acks| Entry { term: 1, command: vec![command].into(), acks };
    story.send(0, vec![entry(1, vec![])], true);
    story.send(0, vec![entry(2, vec![])], true);
    assert!(!story.doubts(CONTENTS), "two commands are a bug");
    story.send(0, vec![entry(1, vec![0, 2])], true);
    assert!(story.doubts(CONTENTS));
}

#[test]
fn a_message_that_is_sent_again_is_evidence_once() {
    let mut story = Story::new();
    let snapshot = (Part::Install, Word::LastIncludedIndex);
    let install = || Install { term: 1, last_included_index: 9, last_included_term: 1 };
    let reason = |story: &Story| story.study.doubts()[&snapshot].clone();
    story.call(0, 1, install());
    let once = reason(&story);
    story.call(0, 1, install());
    assert_eq!(reason(&story), once);
}
