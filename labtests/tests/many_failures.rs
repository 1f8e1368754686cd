//! The command when many runs fail: the same failure is told once, and the files for programs name its group.

mod running;

use labrpc::api::Make;
use labrpc::thread;
use labrpc::time::{Duration, sleep};
use raftlab::raft::Raft;
use rand::RngExt;
use roxmltree::Document;
use running::command;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// What a server panics with, apart from a number.
const ODD: &str = "<no luck> & \"\u{1b}[31m]]>\u{0}";

/// The reference; but in some runs server 0 panics, at one of two places, some time after its start.
fn unlucky() -> Make {
    labtests::make(|peers, me, persister, apply_ch| {
        if me == 0 {
            let mut rng = labrpc::rand::rng();
            let (luck, wait) = (rng.random_range(0..5), rng.random_range(10..900));
            let body = move || {
                sleep(Duration::from_millis(wait));
                assert!(luck != 0, "{ODD} {wait}");
                assert!(luck != 1, "another place {wait}");
            };
            drop(thread::spawn(body));
        }
        Raft::make(peers, me, persister, apply_ch)
    })
}

/// The reference; but every server panics at its start.
fn broken() -> Make {
    labtests::make(|peers, me, persister, apply_ch| {
        assert!(me > 5, "S{me} is broken");
        Raft::make(peers, me, persister, apply_ch)
    })
}

/// What the command wrote.
struct Files {
    status: u8,
    output: String,
    json: Vec<Value>,
    junit: String,
}

fn files(make: Make, args: &str) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let [json, junit] = ["results.json", "results.xml"].map(|name| folder.path().join(name));
    let args = format!("{args} --json {} --junit {}", json.display(), junit.display());
    let (status, output) = command(make, &args);
    let json = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    Files { status, output, json, junit: fs::read_to_string(junit).unwrap() }
}

/// The text without the times of the wall clock.
fn but_for_the_clock(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("in "));
    let line = |line: &str| match (line.find(" time=\""), line.starts_with("2A ")) {
        (Some(at), _) => line[..at].to_string(),
        (None, true) => String::new(),
        (None, false) => line.to_string(),
    };
    lines.map(line).collect::<Vec<_>>().join("\n")
}

const SWEEP: &str = "2A --seeds 20";

#[test]
fn a_failure_is_told_in_full_once_and_then_in_a_line_that_names_it() {
    let Files { status, output, json, .. } = files(unlucky(), SWEEP);
    assert_eq!(status, 1);
    let failed = json.iter().filter(|run| run["passed"] == false).count();
    assert!(failed > 10, "luck: {output}");
    let count = |words: &str| output.matches(words).count();
    assert_eq!(
        (count(": failure 1\n"), count(": failure 2\n"), count(": failure ")),
        (1, 1, 2),
        "{output}"
    );
    assert_eq!(count("FAILED 2A "), failed);
    let later = |n| {
        output.lines().filter(move |line| {
            line.starts_with("FAILED ") && line.contains(&format!(": as failure {n} above: "))
        })
    };
    assert_eq!(later(1).count() + later(2).count(), failed - 2);
    for line in later(1).chain(later(2)) {
        assert!(!line.contains('\u{1b}'), "{line:?}");
        let odd = line.contains("<no luck> & \"\\u{1b}[31m]]>\\u{0} ");
        assert!(odd != line.contains("another place "), "{line:?}");
    }
    assert!(
        output.contains(&format!("\n{failed} runs failed, in 2 ways, the most frequent first:\n"))
    );
}

#[test]
fn the_shortest_run_of_each_group_is_named_and_replays() {
    let Files { output, json, .. } = files(unlucky(), SWEEP);
    let (summary, runs) = json.split_last().unwrap();
    let groups = summary["groups"].as_array().unwrap();
    assert_eq!((groups.len(), summary["ungrouped"].as_u64()), (2, Some(0)), "{summary}");
    assert!(groups[0]["runs"].as_u64() >= groups[1]["runs"].as_u64());
    for group in groups {
        let of_group: Vec<_> =
            runs.iter().filter(|run| run["failure"]["group"] == group["group"]).collect();
        assert_eq!(group["runs"].as_u64(), Some(of_group.len() as u64));
        let at = |run: &Value| run["failure"]["at_seconds"].as_f64().unwrap();
        let first = of_group.iter().min_by(|a, b| at(a).total_cmp(&at(b))).unwrap();
        let shortest = &group["shortest"];
        assert_eq!((&shortest["test"], &shortest["seed"]), (&first["test"], &first["seed"]));
        assert_eq!(shortest["at_seconds"].as_f64(), Some(at(first)));
        assert_eq!(group["message"], first["failure"]["message"]);
        assert!(group["place"].as_str().unwrap().contains("many_failures.rs:"));
        let replay = shortest["replay"].as_str().unwrap();
        assert!(output.contains(&format!("\n    {replay}\n")), "{replay} is not in {output}");
        let (_, args) = replay.split_once(" replay ").unwrap();
        let (status, again) = command(unlucky(), &format!("replay {args}"));
        assert_eq!(status, 1);
        assert!(again.contains(group["message"].as_str().unwrap()), "{again}");
    }
}

#[test]
fn the_groups_have_the_tests_and_the_first_seeds() {
    let Files { json, output, .. } = files(broken(), SWEEP);
    let (summary, runs) = json.split_last().unwrap();
    assert_eq!(runs.len(), 60);
    let groups = summary["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 1, "{summary}");
    assert_eq!((&groups[0]["kind"], &groups[0]["property"]), (&"Panic".into(), &Value::Null));
    assert_eq!(groups[0]["pattern"], "S# is broken");
    let tests = groups[0]["tests"].as_array().unwrap();
    let names: Vec<_> = tests.iter().map(|it| it["test"].as_str().unwrap()).collect();
    assert_eq!(names, ["initial_election", "re_election", "many_elections"]);
    for test in tests {
        assert_eq!((&test["part"], &test["runs"]), (&"2A".into(), &20.into()));
        assert_eq!(test["first_seeds"], serde_json::json!([1, 2, 3, 4, 5, 6, 7, 8]));
    }
    let all = "all: initial_election (seeds 1, 2, 3, 4, 5 and 15 more), re_election (seeds 1, ";
    assert!(output.contains(all), "{output}");
}

#[test]
fn junit_has_a_testcase_for_each_run() {
    let Files { json, junit, .. } = files(unlucky(), SWEEP);
    let xml = Document::parse(&junit).unwrap();
    let cases: Vec<_> = xml.descendants().filter(|it| it.has_tag_name("testcase")).collect();
    let (_, runs) = json.split_last().unwrap();
    assert_eq!(cases.len(), runs.len());
    let mut failed = 0;
    for (case, run) in cases.iter().zip(runs) {
        let name = format!("{}, seed {}", run["test"].as_str().unwrap(), run["seed"]);
        assert_eq!(case.attribute("name"), Some(&*name));
        let failure = case.children().find(|it| it.has_tag_name("failure"));
        assert_eq!(failure.is_none(), run["passed"], "{name}");
        let Some(failure) = failure else { continue };
        failed += 1;
        let message = run["failure"]["message"].as_str().unwrap();
        let message = message.replace('\u{1b}', "\\u{1b}").replace('\0', "\\u{0}");
        assert_eq!(failure.attribute("message"), Some(&*message));
        assert!(failure.text().unwrap().contains(&message));
        let properties = case.descendants().filter(|it| it.has_tag_name("property"));
        let properties: BTreeMap<_, _> = properties
            .map(|it| (it.attribute("name").unwrap(), it.attribute("value").unwrap()))
            .collect();
        assert_eq!(properties["group"], run["failure"]["group"].to_string());
        let replay = format!(" replay {} {}", run["seed"], run["test"].as_str().unwrap());
        assert!(properties["replay"].ends_with(&replay), "{properties:?}");
    }
    let suites = xml.root_element();
    assert_eq!(suites.attribute("tests"), Some("60"));
    assert_eq!(suites.attribute("failures"), Some(&*failed.to_string()));
    let groups = suites.descendants().find(|it| it.has_tag_name("system-out")).unwrap();
    assert!(groups.text().unwrap().contains(&format!("{failed} runs failed, in 2 ways")));
}

#[test]
fn any_number_of_jobs_gives_the_same_texts() {
    let one = files(unlucky(), &format!("{SWEEP} --jobs 1"));
    for jobs in [2, 7] {
        let other = files(unlucky(), &format!("{SWEEP} --jobs {jobs}"));
        assert_eq!(but_for_the_clock(&other.output), but_for_the_clock(&one.output), "{jobs} jobs");
        assert_eq!(but_for_the_clock(&other.junit), but_for_the_clock(&one.junit), "{jobs} jobs");
        assert_eq!(other.json.last(), one.json.last(), "{jobs} jobs");
    }
}

#[test]
fn twenty_tests_that_fail_in_the_same_way_are_told_once() {
    let Files { output, json, junit, .. } = files(broken(), "2A 2B 2C");
    let failed = json.len() - 1;
    assert!(failed > 15, "{failed}");
    assert_eq!(output.matches("is broken").count(), failed + 1, "{output}");
    assert_eq!(output.matches("again: ").count(), 1, "{output}");
    assert_eq!(output.matches(": as failure 1 above: S").count(), failed - 1, "{output}");
    assert!(output.contains(&format!("{failed} runs failed, all in the same way:\n")), "{output}");
    assert!(!output.contains(" (seed"), "there is one seed: {output}");
    let xml = Document::parse(&junit).unwrap();
    let case = xml.descendants().find(|it| it.has_tag_name("testcase")).unwrap();
    assert_eq!(case.attribute("name"), Some("initial_election"));
}

#[test]
fn a_single_failure_is_not_repeated_at_the_end() {
    let (status, output) = command(broken(), &format!("{SWEEP} --fail-fast"));
    assert_eq!(status, 1);
    assert_eq!(output.matches("is broken").count(), 1, "{output}");
    assert!(!output.contains("runs failed"), "{output}");
}

#[test]
fn after_fail_fast_junit_says_what_is_missing() {
    let Files { junit, output, .. } = files(unlucky(), &format!("{SWEEP} --fail-fast"));
    let xml = Document::parse(&junit).unwrap();
    let cases: Vec<_> = xml.descendants().filter(|it| it.has_tag_name("testcase")).collect();
    let missing = 60 - (cases.len() - 1);
    assert!(missing > 10, "luck");
    assert!(output.contains(&format!(" passed, 1 failed, {missing} not run\n")), "{output}");
    let last = cases.last().unwrap();
    assert_eq!(last.attribute("name"), Some(&*format!("the other {missing} runs")));
    assert!(last.children().any(|it| it.has_tag_name("skipped")));
    assert_eq!(xml.root_element().attribute("skipped"), Some("1"));
}

#[test]
fn where_nothing_fails_there_are_no_groups() {
    let make = labtests::make(Raft::make);
    let Files { status, output, json, junit } = files(make, "2A --seeds 3");
    assert_eq!((status, json.len()), (0, 9));
    assert!(json.iter().all(|run| run["passed"] == true));
    assert!(!output.contains("failure") && !junit.contains("system-out"), "{output}");
    assert_eq!(Document::parse(&junit).unwrap().root_element().attribute("failures"), Some("0"));
}

/// Each session has a reader who may not have seen the output of the one before.
#[test]
fn a_resumed_sweep_tells_each_failure_again_before_it_refers_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let args = format!("{SWEEP} --fail-fast --resume {}", folder.path().join("sweep").display());
    let mut sessions = 0;
    let last = loop {
        let (_, output) = command(unlucky(), &args);
        sessions += 1;
        for n in [1, 2] {
            let refers = output.find(&format!(": as failure {n} above"));
            let tells = output.find(&format!(": failure {n}\n"));
            assert!(refers.is_none_or(|at| tells.is_some_and(|before| before < at)), "{output}");
        }
        if !output.contains(" not run") {
            break output;
        }
        assert!(sessions < 60, "{output}");
    };
    assert!(sessions > 5, "nothing was interrupted: {last}");
    let (_, whole) = command(unlucky(), SWEEP);
    let groups = |output: &str| {
        let (_, groups) = output.split_once(" runs failed, in 2 ways").unwrap();
        groups.split_once(" passed, ").unwrap().0.to_string()
    };
    assert_eq!(groups(&last), groups(&whole));
}

#[test]
fn an_unwritable_file_is_said_before_anything_runs() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::create_dir(at("folder")).unwrap();
    let here = at("same.xml");
    for flags in [
        format!("--junit {}", at("no/results.xml")),
        format!("--junit {}", at("folder")),
        "--junit -".into(),
        format!("--junit {here} --json {here}"),
        format!("--json {} --junit {}", at("results.json"), at("no/results.xml")),
        format!("--junit {here} --resume {} --seeds 2", at("sweep")),
    ] {
        let (status, output) = command(broken(), &format!("2A {flags}"));
        assert_eq!((status, output.as_str()), (2, ""), "{flags}");
    }
    let left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["folder"], "nothing is half written");
}

#[test]
fn an_older_file_is_replaced_only_by_a_complete_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.xml");
    fs::write(&path, "older").unwrap();
    let seen = path.clone();
    let make = labtests::make(move |peers, me, persister, apply_ch| {
        assert_eq!(fs::read_to_string(&seen).unwrap(), "older");
        Raft::make(peers, me, persister, apply_ch)
    });
    let (status, output) = command(make, &format!("2A --junit {}", path.display()));
    assert_eq!(status, 0, "{output}");
    assert!(Document::parse(&text_of(&path)).is_ok());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
