//! The story of a run: what it knows is true, what it can't read is unknown, and its filters and columns hold what they promise.

#[path = "../examples/go_shape.rs"]
#[allow(dead_code, reason = "its main is for the example")]
mod go_shape;
#[path = "../examples/event_loop/raft/mod.rs"]
#[allow(dead_code, reason = "this file does not try all shapes")]
mod raft;
mod running;

use labtests::lab::Lab;
use labtests::runner;
use labtests::story::columns::Columns;
use labtests::story::{Filter, Kind, Role, Told, View, Vote};
use labtests::suites::{self, LabTest};
use parking_lot::Mutex;
use raft::EventLoop;
use raft::shape::Shape;
use raftlab::raft::Raft;
use running::command;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;

fn lab() -> Lab {
    Lab::new().raft(Raft::make)
}

/// Correct Rafts that are written otherwise than the reference.
fn others() -> [Lab; 2] {
    let event_loop = |peers, me, persister, apply_ch| {
        EventLoop::make(Shape::new(), peers, me, persister, apply_ch)
    };
    [Lab::new().raft(go_shape::Raft::make), Lab::new().raft(event_loop)]
}

fn test(name: &str) -> &'static LabTest {
    suites::all().find(|test| test.name == name).expect("there is such a test")
}

fn story(lab: &Lab, test: &'static LabTest, seed: u64) -> Vec<Told> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = told.clone();
    let report = runner::replay_told(lab, test, seed, move |it| hear.lock().push(it.clone()));
    assert!(report.result.is_ok(), "{}: {:?}", test.name, report.result);
    std::mem::take(&mut *told.lock())
}

/// The servers' states after each event.
fn states(test: &LabTest, story: &[Told], mut each: impl FnMut(&Told, &[View])) -> Vec<View> {
    let mut views: Vec<_> = (0..test.setup.servers).map(|_| View::default()).collect();
    for told in story {
        told.changes.iter().for_each(|change| views[change.server].change(change));
        each(told, &views);
    }
    views
}

/// A correct Raft breaks no property of Figure 3. So neither may what the story knows of it.
fn breaks_no_property(lab: &Lab, test: &'static LabTest, seed: u64) {
    let mut leaders: BTreeMap<u64, usize> = BTreeMap::new();
    let mut committed: BTreeMap<u64, u64> = BTreeMap::new();
    let mut upto = vec![0; test.setup.servers];
    let told = story(lab, test, seed);
    let views = states(test, &told, |told, views| {
        for (i, view) in views.iter().enumerate() {
            if view.role == Some(Role::Leader) {
                let term = view.term.expect("a leader has a term");
                let leader = *leaders.entry(term).or_insert(i);
                assert_eq!(leader, i, "{} #{}: two leaders of term {term}", test.name, told.n);
            }
            let commit = view.commit.unwrap_or(0);
            if commit < upto[i] {
                upto[i] = 0; // it has restarted
            }
            for index in upto[i] + 1..=commit {
                let Some(term) = view.term_at(index) else { continue };
                let known = *committed.entry(index).or_insert(term);
                assert_eq!(known, term, "{} #{}: S{i}, index {index}", test.name, told.n);
            }
            upto[i] = commit;
        }
    });
    assert!(!leaders.is_empty(), "{}: nobody was seen to lead", test.name);
    let (last, _) = committed.last_key_value().unwrap_or((&0, &0));
    let knows = views.iter().filter(|view| view.commit >= Some(*last)).count();
    assert!(knows > 0, "{}: no server knows that index {last} is committed", test.name);
    let gave = told.iter().filter(|told| told.what == "command").count();
    assert!(gave == 0 || *last > 0, "{}: {gave} commands, and none was seen committed", test.name);
}

#[test]
fn story_of_a_correct_raft_breaks_no_property() {
    let parts = ["2A", "2B", "2C", "2D", "2A+", "2B+", "2C+", "2D+"];
    let tests = suites::all().filter(|test| parts.contains(&test.part) && test.setup.servers > 1);
    tests.clone().step_by(3).for_each(|test| breaks_no_property(&lab(), test, 1));
    for lab in others() {
        tests.clone().step_by(5).for_each(|test| breaks_no_property(&lab, test, 2));
    }
}

#[test]
fn story_has_the_numbers_of_its_events_in_order() {
    let told = story(&lab(), test("rejoin"), 1);
    assert!(told.iter().enumerate().all(|(place, told)| told.n == place as u64));
    assert!(told.is_sorted_by_key(|told| told.at));
}

/// The fields of the reference's messages under names that nobody knows.
const UNKNOWN: &str = "term=aa,current_term=ab,vote_granted=ac,voted_for=ad,success=ae,prev_log_index=af,prev_log_term=ag,\
                       entries=ah,leader_commit=ai,last_log_index=aj,last_log_term=ak";

#[test]
fn what_cannot_be_read_is_unknown() {
    let test = test("basic_agree");
    let told = story(&lab().renamed(UNKNOWN.parse().unwrap()), test, 1);
    for told in told.iter().filter(|told| told.message.is_some() || told.kind == Kind::Save) {
        assert!(told.term.is_none() && told.indices.is_none(), "{}", told.text);
    }
    // Leaders are known only from what they tell the tester.
    let led = told.iter().position(|told| told.what == "leader").expect("the tester asks");
    assert!(["state", "command"].contains(&told[led + 1].what), "{}", told[led + 1].text);
    let views = states(test, &told, |_, _| {});
    assert!(views.iter().all(|view| view.vote == Vote::Unknown), "no vote was readable");
}

#[test]
fn filters_leave_out_what_does_not_match() {
    let told = story(&lab(), test("rejoin"), 1);
    let shown = |filter: &Filter| told.iter().filter(|told| filter.shows(told)).count();
    let all = Filter { all: true, ..Filter::default() };
    assert_eq!(shown(&all), told.len());
    let usual = shown(&Filter::default());
    assert!(usual < told.len() / 2, "{usual} of {}: idle heartbeats are hidden", told.len());
    let ms = std::time::Duration::from_millis;
    let filters = [
        Filter { servers: vec![1], ..Filter::default() },
        Filter { from: Some(ms(1300)), to: Some(ms(3000)), ..Filter::default() },
        Filter { term: Some(2), ..Filter::default() },
        Filter { kinds: vec![Kind::Vote, Kind::Role], ..Filter::default() },
        Filter { index: Some(2), ..Filter::default() },
        Filter { grep: Some("stale leader|wins".parse().unwrap()), ..Filter::default() },
    ];
    for filter in &filters {
        let some = shown(filter);
        assert!(0 < some && some < usual, "{some} of {usual}: {filter:?}");
    }
    let of_index = told.iter().filter(|told| filters[4].shows(told));
    assert!(of_index.clone().any(|told| told.kind == Kind::Commit));
    assert!(of_index.clone().any(|told| told.kind == Kind::Apply));
    assert!(of_index.clone().any(|told| told.what == "command"), "where it came from");
    assert!(of_index.into_iter().all(|told| told.is_about_index(2)));
}

#[test]
fn refusals_have_reasons() {
    let told = story(&lab(), test("rejoin"), 1);
    let whys: Vec<_> = told.iter().filter_map(|told| told.why.as_deref()).collect();
    let stale = "its term is 2, so S0 is a stale leader (§5.1)";
    let conflict = "its entry at index 2 is of term 1, not 2 (§5.3)";
    assert!(whys.contains(&stale) && whys.contains(&conflict), "{whys:#?}");
    let older = story(&lab(), test("persist2"), 1);
    let more = |told: &Told| told.why.as_ref().is_some_and(|why| why.contains("more up-to-date"));
    assert!(older.iter().any(more), "no candidate had an older log");
}

#[test]
fn lines_fit_every_terminal() {
    for (name, width) in [("rejoin", 40), ("figure_8", 80), ("backup", 120), ("figure_8", 61)] {
        let test = test(name);
        let mut columns = Columns::new(test.setup.servers, Some(width), false);
        for line in columns.header() {
            assert!(line.chars().count() <= width, "{line}");
        }
        for told in story(&lab(), test, 1) {
            columns.note(&told);
            let line = columns.line(&told);
            assert!(line.chars().count() <= width, "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
    }
}

/// What `replay` prints with these arguments, and its exit status.
fn replay(args: &str) -> (u8, String) {
    command(lab(), &format!("replay {args}"))
}

#[test]
fn json_lines_are_a_head_events_and_an_end() {
    let (status, text) = replay("1 rejoin --json");
    assert_eq!(status, 0);
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (head, end) = (&lines[0], &lines[lines.len() - 1]);
    assert_eq!(head["schema"], "raftlab-story/1");
    assert_eq!((&head["test"], &head["servers"]), (&Json::from("rejoin"), &Json::from(3)));
    assert_eq!((&end["passed"], &end["failure"]), (&Json::from(true), &Json::Null));
    let events = &lines[1..lines.len() - 1];
    let told = story(&lab(), test("rejoin"), 1);
    assert_eq!(events.len(), told.len(), "all events, also idle ones");
    for (event, told) in events.iter().zip(&told) {
        assert_eq!(event["n"], told.n);
        assert_eq!(event["kind"], json!(told.kind));
        assert_eq!(event["text"], told.text);
        assert_eq!(event["state"].as_array().map_or(0, Vec::len), told.changes.len());
    }
}

#[test]
fn the_same_bytes_every_time_and_on_every_backend() {
    let (_, text) = replay("3 backup");
    assert_eq!(replay("3 backup").1, text);
    assert!(!text.contains('\u{1b}'), "no colour in a pipe");
}

#[test]
fn around_failure_shows_the_last_events_that_match() {
    let (_, all) = replay("1 rejoin --kind role");
    let (_, last) = replay("1 rejoin --kind role --around-failure 3");
    let events = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.contains(" ms  ")).map(Into::into).collect()
    };
    let (all, last) = (events(&all), events(&last));
    assert_eq!(last[..], all[all.len() - 3..]);
}

#[test]
fn a_run_is_drawn_into_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("new").join("pages");
    let (status, text) = replay(&format!("1 rejoin --report {}", into.display()));
    assert_eq!(status, 0, "{text}");
    let page = std::fs::read_to_string(into.join("2B-rejoin-seed-1.html")).unwrap();
    let (_, data) = page.split_once(r#"id="story">"#).expect("the page has data");
    let (data, _) = data.split_once("</script>").expect("and they end");
    let data: Json = serde_json::from_str(data).unwrap();
    let told = story(&lab(), test("rejoin"), 1);
    assert_eq!(data["events"].as_array().unwrap().len(), told.len());
    for (event, told) in data["events"].as_array().unwrap().iter().zip(&told) {
        let text = &data["strings"][event["text"].as_u64().unwrap() as usize];
        assert_eq!(text, &told.text);
    }
}
