//! Tests which facts are read from messages and saved values, and which are not.

use super::super::Saved;
use super::*;
use crate::reading::Names;
use serde::Serialize;

fn reading() -> Reading {
    Reading::new(Names::new().field("yea", Word::Success).harmless("Raft.Gossip"))
}

fn is_vote(method: &str, args: &Value) -> bool {
    matches!(Ask::read(&reading(), method, args), Ask::Vote { term: Some(_), last: Some(_) })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GoVote {
    term: u64,
    last_log_index: i64,
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
struct Entry {
    term: u64,
}

#[test]
fn gos_and_rusts_spelling_are_read() {
    let vote = Value::of(&GoVote { term: 3, last_log_index: 7, last_log_term: 2 });
    let last = Place { index: 7, term: 2 };
    let read = Ask::read(&reading(), "Raft.RequestVote", &vote)
        == Ask::Vote { term: Some(3), last: Some(last) };
    assert!(read);
    for other in ["Raft.PreVote", "Raft.request_pre_vote", "Raft.PreCandidate"] {
        let ask = Ask::read(&reading(), other, &vote) == Ask::PreVote;
        assert!(ask, "{other} asks for a term that may never begin");
    }
    let append = Append {
        term: 3,
        prev_log_index: 0,
        prev_log_term: 0,
        entries: vec![Entry { term: 1 }, Entry { term: 3 }],
        leader_commit: 1,
    };
    let append = Value::of(&append);
    let reading = reading();
    let Ask::Append { logs: Logs::Read(sent), commit, .. } = Ask::read(&reading, "x", &append)
    else {
        panic!()
    };
    assert_eq!(sent.entries.iter().map(|(term, _)| *term).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(commit, Some(1));
}

/// One word out of place makes a call look like another one. The call's name shows that something is wrong.
#[test]
fn a_call_that_is_named_otherwise_may_be_anything() {
    #[derive(Serialize)]
    struct Args {
        term: u64,
        prev_log_index: u64,
    }
    let args = Value::of(&Args { term: 3, prev_log_index: 7 });
    for (method, is_append) in [
        ("Raft.RequestVote", false),
        ("Raft.InstallSnapshot", false),
        ("Raft.Heartbeat", true),
        ("Raft.Handle", true),
        ("Raft.AppendToSnapshot", true),
    ] {
        let reading = reading();
        let ask = Ask::read(&reading, method, &args);
        assert_eq!(matches!(ask, Ask::Append { .. }), is_append, "{method}: {ask:?}");
        assert_eq!(matches!(ask, Ask::Unknown), !is_append, "{method}: {ask:?}");
    }
}

/// In some Rafts a reply is a separate call, and in some a server asks for entries that it lacks.
#[test]
fn a_call_that_answers_is_none_of_the_three() {
    #[derive(Serialize)]
    struct Said {
        term: u64,
        success: bool,
    }
    #[derive(Serialize)]
    struct Terms {
        term: u64,
    }
    let (said, term) = (Value::of(&Said { term: 1, success: true }), Value::of(&Terms { term: 1 }));
    assert_eq!(Ask::read(&reading(), "Raft.AppendEntries", &said), Ask::Unknown);
    #[derive(Serialize)]
    struct Echo {
        term: u64,
        ok: bool,
        prev_log_index: u64,
        prev_log_term: u64,
    }
    let echo = Value::of(&Echo { term: 1, ok: true, prev_log_index: 1, prev_log_term: 1 });
    assert_eq!(Ask::read(&reading(), "Raft.AppendEntries", &echo), Ask::Unknown);
    let answers = [
        "AppendEntriesReply",
        "InstallSnapshotResponse",
        "VoteResult",
        "fetch_entries",
        "RequestSnapshot",
    ];
    for name in answers {
        assert_eq!(Ask::read(&reading(), name, &term), Ask::Unknown, "{name}");
    }
    for name in ["AppendEntriesPacket", "HeartbeatBack", "NeedlessHeartbeat"] {
        assert!(matches!(Ask::read(&reading(), name, &term), Ask::Append { .. }), "{name}");
    }
    let reading = reading();
    let heartbeat = Ask::read(&reading, "Raft.Heartbeat", &term);
    assert_eq!(heartbeat, Ask::Append { term: Some(1), logs: Logs::Silent, commit: None });
}

#[test]
fn what_says_pre_is_a_word() {
    for name in ["pre_vote", "is_prevote", "PRE_VOTE", "PreVote", "requestPreVote", "pre"] {
        assert!(says_pre(name), "{name}");
    }
    for name in ["preempts", "prev_log_seen", "PreventsNothing", "expressed", "vote"] {
        assert!(!says_pre(name), "{name}");
    }
}

/// Some Rafts send a pre-vote as a RequestVote with a field that says so.
#[test]
fn a_pre_vote_is_known_by_its_flag() {
    #[derive(Serialize)]
    enum Why {
        Election,
        PreElection,
    }
    #[derive(Serialize)]
    struct Vote {
        term: u64,
        last_log_index: u64,
        last_log_term: u64,
        is_pre_vote: bool,
        why: Why,
    }
    let read = |is_pre_vote, why| {
        let vote = Vote { term: 3, last_log_index: 7, last_log_term: 2, is_pre_vote, why };
        is_vote("Raft.RequestVote", &Value::of(&vote))
    };
    assert!(read(false, Why::Election));
    assert!(!read(true, Why::Election));
    assert!(!read(false, Why::PreElection));
}

#[test]
fn what_cannot_be_read_is_unknown() {
    let reading = reading();
    let below = Value::of(&GoVote { term: 3, last_log_index: -1, last_log_term: 2 });
    let ask = Ask::read(&reading, "Raft.RequestVote", &below);
    assert_eq!(ask, Ask::Vote { term: Some(3), last: None }, "-1 is no index");
    let tuple = Value::of(&(1, 2, 3));
    assert_eq!(
        Ask::read(&reading, "Raft.RequestVote", &tuple),
        Ask::Vote { term: None, last: None }
    );
    assert_eq!(Ask::read(&reading, "Raft.Tell", &tuple), Ask::Unknown);
    assert_eq!(Ask::read(&reading, "Raft.Gossip", &tuple), Ask::Harmless);
}

#[test]
fn what_is_not_believed_is_unknown() {
    let fact = (Part::Vote, Word::LastLogIndex);
    let reading = reading().doubting([(fact, String::new())].into());
    let vote = Value::of(&GoVote { term: 3, last_log_index: 7, last_log_term: 2 });
    assert_eq!(Ask::read(&reading, "x", &vote), Ask::Vote { term: Some(3), last: None });
}

/// A place may be a nested struct. A `term` in that struct is not the term of a server.
#[test]
fn fields_are_found_in_nested_structs() {
    #[derive(Serialize)]
    struct At {
        index: u64,
        term: u64,
    }
    #[derive(Serialize)]
    struct Vote {
        header: At,
        last_log: At,
    }
    #[derive(Serialize)]
    struct Lost {
        unheard_of: At,
        last_log: At,
    }
    let (index, term) = (7, 2);
    let last = Some(Place { index, term });
    let vote = Value::of(&Vote { header: At { index: 9, term: 3 }, last_log: At { index, term } });
    assert_eq!(Ask::read(&reading(), "x", &vote), Ask::Vote { term: Some(3), last });
    let lost =
        Value::of(&Lost { unheard_of: At { index: 9, term: 3 }, last_log: At { index, term } });
    assert_eq!(Ask::read(&reading(), "x", &lost), Ask::Vote { term: None, last });
}

#[test]
fn two_fields_that_claim_to_be_the_same_are_none() {
    #[derive(Serialize)]
    struct Vote {
        term: u64,
        candidate_term: u64,
        last_log_index: u64,
        last_log_term: u64,
    }
    let term = |term, candidate_term| {
        let vote = Vote { term, candidate_term, last_log_index: 1, last_log_term: 1 };
        match Ask::read(&reading(), "x", &Value::of(&vote)) {
            Ask::Vote { term, .. } => term,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(term(3, 3), None, "they may be equal by chance");
    assert_eq!(term(3, 4), None);
}

#[test]
fn replies_may_be_tuples() {
    let read = |value: &Value| Reply::read(&reading(), Part::VoteReply, value);
    let both = Reply { term: Some(7), yes: Some(true), yes_but: None };
    assert_eq!(read(&Value::of(&(7u64, true))), both);
    assert_eq!(read(&Value::of(&(true, 7i32))), both);
    assert_eq!(
        read(&Value::of(&(7u64, true, 3u64))),
        Reply::default(),
        "which of them is the term?"
    );
    assert_eq!(read(&Value::of(&true)), Reply { term: None, yes: Some(true), yes_but: None });
    #[derive(Serialize)]
    struct Said {
        term: u64,
        yea: bool,
    }
    assert_eq!(read(&Value::of(&Said { term: 7, yea: true })), both, "as it was declared");
    #[derive(Serialize)]
    struct Number {
        vote: u64,
    }
    assert_eq!(read(&Value::of(&Number { vote: 1 })), Reply::default(), "a candidate is no answer");
}

/// An unknown field may say that more pieces follow.
#[test]
fn a_snapshot_is_whole_if_nothing_may_say_otherwise() {
    #[derive(Serialize)]
    struct Install {
        term: u64,
        last_include_index: u64,
        last_include_term: u64,
        done: bool,
    }
    #[derive(Serialize)]
    struct Odd {
        term: u64,
        last_included_index: u64,
        last_included_term: u64,
        finished: bool,
    }
    let whole = |value: &Value| match Ask::read(&reading(), "x", value) {
        Ask::Install { whole, .. } => whole,
        other => panic!("{other:?}"),
    };
    let piece =
        |done| Value::of(&Install { term: 1, last_include_index: 5, last_include_term: 1, done });
    assert_eq!((whole(&piece(true)), whole(&piece(false))), (Some(true), Some(false)));
    let odd = Odd { term: 1, last_included_index: 5, last_included_term: 1, finished: false };
    assert_eq!(whole(&Value::of(&odd)), None);
}

#[test]
fn a_saved_vote_is_found_within() {
    #[derive(Serialize)]
    enum Record {
        Vote { current_term: u64, voted_for: Option<usize> },
    }
    #[derive(Serialize)]
    struct State {
        hard: Record,
        log: Vec<Entry>,
    }
    let hard = Record::Vote { current_term: 4, voted_for: Some(2) };
    let saved = |value: &Value| Saved::read(&reading(), value);
    assert_eq!(saved(&Value::of(&State { hard, log: vec![] })), Saved::Read(4, Some(Some(2))));
    let nobody = Record::Vote { current_term: 5, voted_for: None };
    assert_eq!(saved(&Value::of(&nobody)), Saved::Read(5, Some(None)));
    assert_eq!(saved(&Value::of(&Entry { term: 1 })), Saved::Unread);
    assert_eq!(saved(&Value::of(&(4u64, Some(2usize)))), Saved::Unread, "a tuple has no names");
    #[derive(Serialize)]
    struct Entries {
        prev_log_index: u64,
        entries: Vec<Entry>,
    }
    let entries = Entries { prev_log_index: 1, entries: vec![] };
    assert_eq!(saved(&Value::of(&entries)), Saved::Silent, "nothing in it may be a vote");
    #[derive(Serialize)]
    struct Odd {
        commit_index: u64,
        entries: Vec<Entry>,
    }
    let odd = Odd { commit_index: 1, entries: vec![] };
    assert_eq!(saved(&Value::of(&odd)), Saved::Unread, "a word out of place may be the term");
    #[derive(Serialize)]
    struct Committed {
        commit_index: u64,
    }
    assert_eq!(saved(&Value::of(&Committed { commit_index: 1 })), Saved::Silent);
    #[derive(Serialize)]
    struct Snapshot {
        last_included_index: u64,
        last_included_term: u64,
    }
    let snapshot = Snapshot { last_included_index: 1, last_included_term: 1 };
    assert_eq!(saved(&Value::of(&snapshot)), Saved::Silent);
}
